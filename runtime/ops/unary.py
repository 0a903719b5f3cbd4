"""Elementwise functions of one tensor that have no attributes, except trigonometry and activations; the type is kept."""

from __future__ import annotations

import math

import numpy as np

from ._registry import operator
from ._shapes import like_input


@operator("Abs", infer=like_input)
def absolute(X: np.ndarray) -> np.ndarray:
    """Magnitude."""
    return np.abs(X)


@operator("Neg", infer=like_input)
def neg(X: np.ndarray) -> np.ndarray:
    """``-X``."""
    return np.negative(X)


@operator("Sign", infer=like_input)
def sign(X: np.ndarray) -> np.ndarray:
    """-1, 0 or 1."""
    return np.sign(X)


@operator("Floor", infer=like_input)
def floor(X: np.ndarray) -> np.ndarray:
    """Round down."""
    return np.floor(X)


@operator("Ceil", infer=like_input)
def ceil(X: np.ndarray) -> np.ndarray:
    """Round up."""
    return np.ceil(X)


@operator("Round", infer=like_input)
def round_half_even(X: np.ndarray) -> np.ndarray:
    """Round to the nearest integer, halves to the even one."""
    return np.rint(X)


@operator("Reciprocal", infer=like_input)
def reciprocal(X: np.ndarray) -> np.ndarray:
    """``1 / X``."""
    return np.reciprocal(X)


@operator("Sqrt", infer=like_input)
def sqrt(X: np.ndarray) -> np.ndarray:
    """Square root."""
    return np.sqrt(X)


@operator("Exp", infer=like_input)
def exp(X: np.ndarray) -> np.ndarray:
    """Exponential."""
    return np.exp(X)


@operator("Log", infer=like_input)
def log(X: np.ndarray) -> np.ndarray:
    """Natural logarithm."""
    return np.log(X)


@operator("Erf", infer=like_input)
def erf(X: np.ndarray) -> np.ndarray:
    """Error function, rounded once from float64."""
    return np.vectorize(math.erf, otypes=[np.float64])(X).astype(X.dtype)
