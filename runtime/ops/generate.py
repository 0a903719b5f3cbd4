"""Tensors made from a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._dtypes import DTYPES, onnx_dtype
from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers, like_input, positive_axis, required


def _count(start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> int:
    return max(0, int(np.ceil((limit.item() - start.item()) / delta.item())))


def _range_types(types: Types, values: Values) -> Shaped:
    start, limit, delta = (required(values, i) for i in range(3))
    return start.dtype, (_count(start, limit, delta),)


@operator("Range", infer=infers(_range_types), shape_inputs=(0, 1, 2))
def number_range(start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """``start``, ``start + delta``, ... before ``limit``, in their element type."""
    return (start.item() + np.arange(_count(start, limit, delta)) * delta.item()).astype(start.dtype)


def _eye_types(types: Types, values: Values, *, dtype: int | None, **_: Any) -> Shaped:
    own, shape = given(types, 0)
    return own if dtype is None else onnx_dtype(dtype), shape


@operator("EyeLike", infer=infers(_eye_types), allowed={"dtype": DTYPES})
def eye_like(X: np.ndarray, *, dtype: int | None = None, k: int = 0) -> np.ndarray:
    """A matrix of the shape of ``X`` with ones on diagonal ``k``; of its type, or ONNX element type ``dtype``."""
    return np.eye(*X.shape, k=k, dtype=X.dtype if dtype is None else onnx_dtype(dtype))


def _one_hot_types(types: Types, values: Values, *, axis: int) -> Shaped:
    shape = given(types, 0)[1]
    along = positive_axis(axis, len(shape) + 1)
    return given(types, 2)[0], (*shape[:along], int(required(values, 1).reshape(())), *shape[along:])


@operator("OneHot", infer=infers(_one_hot_types), shape_inputs=(1,))
def one_hot(indices: np.ndarray, depth: np.ndarray, values: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """A new axis of size ``depth``: ``values[1]`` at the index, else ``values[0]``; an index out of range marks nothing."""
    along = positive_axis(axis, indices.ndim + 1)
    size = int(depth.reshape(()))
    places = np.expand_dims(np.where(indices < 0, indices + size, indices), along)
    classes = np.arange(size).reshape(-1, *[1] * (indices.ndim - along))
    return np.where(places == classes, values[1], values[0])


@operator("Trilu", infer=like_input)
def trilu(X: np.ndarray, k: np.ndarray | None = None, *, upper: int = 1) -> np.ndarray:
    """The upper (or lower) triangle of each matrix of ``X`` (..., M, N), from diagonal ``k`` on; zeros elsewhere."""
    diagonal = 0 if k is None else int(k.reshape(()))
    return np.triu(X, diagonal) if upper else np.tril(X, diagonal)


def _det_types(types: Types, values: Values, **_: Any) -> Shaped:
    dtype, shape = given(types, 0)
    return dtype, shape[:-2]


@operator("Det", infer=infers(_det_types))
def det(X: np.ndarray) -> np.ndarray:
    """Determinant of each matrix of ``X`` (..., M, M)."""
    return np.linalg.det(X).astype(X.dtype)
