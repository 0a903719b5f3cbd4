"""Trigonometric and hyperbolic functions, in radians; the element type is kept."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._shapes import like_input


@operator("Sin", infer=like_input)
def sin(X: np.ndarray) -> np.ndarray:
    """Sine."""
    return np.sin(X)


@operator("Cos", infer=like_input)
def cos(X: np.ndarray) -> np.ndarray:
    """Cosine."""
    return np.cos(X)


@operator("Tan", infer=like_input)
def tan(X: np.ndarray) -> np.ndarray:
    """Tangent."""
    return np.tan(X)


@operator("Asin", infer=like_input)
def asin(X: np.ndarray) -> np.ndarray:
    """Inverse sine."""
    return np.arcsin(X)


@operator("Acos", infer=like_input)
def acos(X: np.ndarray) -> np.ndarray:
    """Inverse cosine."""
    return np.arccos(X)


@operator("Atan", infer=like_input)
def atan(X: np.ndarray) -> np.ndarray:
    """Inverse tangent."""
    return np.arctan(X)


@operator("Sinh", infer=like_input)
def sinh(X: np.ndarray) -> np.ndarray:
    """Hyperbolic sine."""
    return np.sinh(X)


@operator("Cosh", infer=like_input)
def cosh(X: np.ndarray) -> np.ndarray:
    """Hyperbolic cosine."""
    return np.cosh(X)


@operator("Tanh", infer=like_input)
def tanh(X: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent."""
    return np.tanh(X)


@operator("Asinh", infer=like_input)
def asinh(X: np.ndarray) -> np.ndarray:
    """Inverse hyperbolic sine."""
    return np.arcsinh(X)


@operator("Acosh", infer=like_input)
def acosh(X: np.ndarray) -> np.ndarray:
    """Inverse hyperbolic cosine."""
    return np.arccosh(X)


@operator("Atanh", infer=like_input)
def atanh(X: np.ndarray) -> np.ndarray:
    """Inverse hyperbolic tangent."""
    return np.arctanh(X)
