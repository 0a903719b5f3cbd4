"""Softmax, its logarithm, and its hard variant."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._shapes import like_input


@operator("Softmax", infer=like_input)
def softmax(X: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """Exponentials that sum to 1 along ``axis``."""
    powers = np.exp(X - X.max(axis=axis, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=axis, keepdims=True)


@operator("LogSoftmax", infer=like_input)
def log_softmax(X: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """Logarithm of the softmax along ``axis``."""
    shifted = X - X.max(axis=axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


@operator("Hardmax", infer=like_input)
def hardmax(X: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """1 at the first maximum along ``axis``, 0 elsewhere."""
    result = np.zeros_like(X)
    if X.size:
        np.put_along_axis(result, np.expand_dims(X.argmax(axis=axis), axis), 1, axis)
    return result
