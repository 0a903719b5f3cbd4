"""Batch normalisation with given statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._registry import Shaped, operator
from ._shapes import Types, Values, check_shape, given, infers


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
