"""Batch normalisation, with given statistics or with those of the batch."""

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


def _types(types: Types, values: Values, *, training_mode: int, **_: Any) -> list[Shaped]:
    found = given(types, 0)
    channels = found[1][1:2] or (1,)  # a single axis has one channel
    for index, name in enumerate(("scale", "B", "mean", "var"), 1):
        check_shape(name, types, index, channels)
    return [found, given(types, 3), given(types, 4)] if training_mode else [found]


@operator("BatchNormalization", infer=infers(_types), allowed={"training_mode": (0, 1)})
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
) -> np.ndarray | tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``scale * (X - mean) / sqrt(var + epsilon) + B`` for ``X`` (N, C, ...) and vectors (C,).

    In training mode, which exporters also leave where weights are standardised, mean and variance are those of ``X``, and
    ``mean`` and ``var``, moved towards them, are returned as well.
    """
    if not training_mode:
        return _normalised(X, scale, B, mean, var, epsilon)
    axes = tuple(axis for axis in range(X.ndim) if axis != 1)
    own_mean, own_var = (np.asarray(of(X, axis=axes, dtype=np.float64)) for of in (np.mean, np.var))
    running_mean, running_var = (
        np.reshape(old * momentum + own * (1 - momentum), old.shape).astype(old.dtype)
        for old, own in ((mean, own_mean), (var, own_var))
    )
    y = _normalised(X, scale, B, own_mean.astype(mean.dtype), own_var.astype(var.dtype), epsilon)
    return y, running_mean, running_var


def _normalised(
    X: np.ndarray, scale: np.ndarray, B: np.ndarray, mean: np.ndarray, var: np.ndarray, epsilon: float
) -> np.ndarray:
    per_channel = (-1, *[1] * (X.ndim - 2))
    factor = scale / np.sqrt(var + var.dtype.type(epsilon))
    shift = B - mean * factor
    return (X * factor.reshape(per_channel) + shift.reshape(per_channel)).astype(X.dtype, copy=False)
