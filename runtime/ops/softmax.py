"""Softmax, its logarithm, and its hard variant."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers, positive_axis


def _types(types: Types, values: Values, *, axis: int, **_: Any) -> Shaped:
    found = given(types, 0)
    positive_axis(axis, max(1, len(found[1])))
    return found


@operator("Softmax", infer=infers(_types))
def softmax(X: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """Exponentials that sum to 1 along ``axis``."""
    powers = np.exp(X - X.max(axis=axis, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=axis, keepdims=True)


@operator("LogSoftmax", infer=infers(_types))
def log_softmax(X: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """Logarithm of the softmax along ``axis``."""
    shifted = X - X.max(axis=axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


@operator("Hardmax", infer=infers(_types))
def hardmax(X: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """1 at the first maximum along ``axis``, 0 elsewhere."""
    result = np.zeros_like(X)
    if X.size:
        np.put_along_axis(result, np.expand_dims(X.argmax(axis=axis), axis), 1, axis)
    return result
