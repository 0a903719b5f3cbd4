"""Elementwise comparisons with broadcasting; the result is boolean."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._shapes import boolean


@operator("Equal", infer=boolean)
def equal(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``A == B``."""
    return np.equal(A, B)


@operator("Less", infer=boolean)
def less(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``A < B``."""
    return np.less(A, B)


@operator("LessOrEqual", infer=boolean)
def less_or_equal(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``A <= B``."""
    return np.less_equal(A, B)


@operator("Greater", infer=boolean)
def greater(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``A > B``."""
    return np.greater(A, B)


@operator("GreaterOrEqual", infer=boolean)
def greater_or_equal(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``A >= B``."""
    return np.greater_equal(A, B)


@operator("IsNaN", infer=boolean)
def is_nan(X: np.ndarray) -> np.ndarray:
    """Where ``X`` is NaN."""
    return np.isnan(X)


@operator("IsInf", infer=boolean)
def is_inf(X: np.ndarray, *, detect_negative: int = 1, detect_positive: int = 1) -> np.ndarray:
    """Where ``X`` is infinite, of the signs asked for."""
    return (np.isposinf(X) & bool(detect_positive)) | (np.isneginf(X) & bool(detect_negative))
