"""Elementwise arithmetic on two or more tensors, with numpy's broadcasting; the element type is kept."""

from __future__ import annotations

from functools import reduce

import numpy as np

from ._registry import operator
from ._shapes import elementwise


@operator("Add", infer=elementwise)
def add(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``A + B``."""
    return np.add(A, B)


@operator("Sub", infer=elementwise)
def sub(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``A - B``."""
    return np.subtract(A, B)


@operator("Mul", infer=elementwise)
def mul(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``A * B``."""
    return np.multiply(A, B)


@operator("Div", infer=elementwise)
def div(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``A / B``; integers are divided towards zero."""
    if A.dtype.kind in "iu":
        return np.floor_divide(A - np.fmod(A, B), B)
    return np.divide(A, B)


@operator("Mod", infer=elementwise)
def mod(A: np.ndarray, B: np.ndarray, *, fmod: int = 0) -> np.ndarray:
    """Remainder: with the sign of ``B``, or with ``fmod`` that of ``A``."""
    return np.fmod(A, B) if fmod else np.mod(A, B)


@operator("Pow", infer=elementwise)
def power(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """``X ** Y``, in the element type of ``X``."""
    both_integers = X.dtype.kind in "iu" and Y.dtype.kind in "iu"
    base = X.astype(np.float64) if both_integers and np.any(Y < 0) else X
    return np.power(base, Y).astype(X.dtype)


@operator("Sum", infer=elementwise)
def total(*data: np.ndarray) -> np.ndarray:
    """Sum of the inputs."""
    return reduce(np.add, data)


@operator("Mean", infer=elementwise)
def mean(*data: np.ndarray) -> np.ndarray:
    """Mean of the inputs."""
    return np.divide(reduce(np.add, data), data[0].dtype.type(len(data)))


@operator("Max", infer=elementwise)
def maximum(*data: np.ndarray) -> np.ndarray:
    """Largest of the inputs; NaN wins."""
    return reduce(np.maximum, data)


@operator("Min", infer=elementwise)
def minimum(*data: np.ndarray) -> np.ndarray:
    """Smallest of the inputs; NaN wins."""
    return reduce(np.minimum, data)


@operator("PRelu", infer=elementwise)
def prelu(X: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """``X`` where it is not negative, else ``slope * X``; ``slope`` broadcasts to ``X``."""
    return np.where(X < 0, slope * X, X)
