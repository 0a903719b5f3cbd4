"""Elementwise logic on booleans and on the bits of integers, with broadcasting."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._shapes import elementwise


@operator("Not", infer=elementwise)
def logical_not(X: np.ndarray) -> np.ndarray:
    """Negation of booleans."""
    return np.logical_not(X)


@operator("And", infer=elementwise)
def logical_and(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Conjunction of booleans."""
    return np.logical_and(A, B)


@operator("Or", infer=elementwise)
def logical_or(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Disjunction of booleans."""
    return np.logical_or(A, B)


@operator("Xor", infer=elementwise)
def logical_xor(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Exclusive disjunction of booleans."""
    return np.logical_xor(A, B)


@operator("BitwiseNot", infer=elementwise)
def bitwise_not(X: np.ndarray) -> np.ndarray:
    """Every bit of integers flipped."""
    return np.bitwise_not(X)


@operator("BitwiseAnd", infer=elementwise)
def bitwise_and(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Bits set in both integers."""
    return np.bitwise_and(A, B)


@operator("BitwiseOr", infer=elementwise)
def bitwise_or(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Bits set in either integer."""
    return np.bitwise_or(A, B)


@operator("BitwiseXor", infer=elementwise)
def bitwise_xor(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Bits set in exactly one of the integers."""
    return np.bitwise_xor(A, B)


@operator("BitShift", infer=elementwise, allowed={"direction": ("LEFT", "RIGHT")})
def bit_shift(X: np.ndarray, Y: np.ndarray, *, direction: str) -> np.ndarray:
    """``X`` (unsigned) shifted by ``Y`` bits."""
    return np.left_shift(X, Y) if direction == "LEFT" else np.right_shift(X, Y)
