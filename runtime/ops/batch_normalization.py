"""Batch normalisation with given statistics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ._registry import Shaped, operator
from ._shapes import Types, Values, check_shape, given, infers

if TYPE_CHECKING:
    from ...format_spec.graph import Node


def scale_and_shift(node: Node, statistics: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Factor and summand of each channel, (C,) float64, of a ``node`` with these ``statistics``: scale, B, mean and var.

    A variance that leaves nothing to divide by gives what division by zero does, without a warning.
    """
    gamma, beta, mean, variance = (np.asarray(a, np.float64) for a in statistics)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = gamma / np.sqrt(variance + node.attribute("epsilon", 1e-5))
        return scale, beta - mean * scale


def _types(types: Types, values: Values, **_: Any) -> Shaped:
    found = given(types, 0)
    channels = found[1][1:2] or (1,)  # a single axis has one channel
    for index, name in enumerate(("scale", "B", "mean", "var"), 1):
        check_shape(name, types, index, channels)
    return found


@operator("BatchNormalization", infer=infers(_types), allowed={"training_mode": (0,)})
def batch_normalization(
    X: np.ndarray,
    scale: np.ndarray,
    B: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> np.ndarray:
    """``scale * (X - mean) / sqrt(var + epsilon) + B`` for ``X`` (N, C, ...) and vectors (C,); ``momentum`` is for training."""
    per_channel = (-1, *[1] * (X.ndim - 2))
    factor = scale / np.sqrt(var + var.dtype.type(epsilon))
    shift = B - mean * factor
    return (X * factor.reshape(per_channel) + shift.reshape(per_channel)).astype(X.dtype, copy=False)
