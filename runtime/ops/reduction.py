"""Reductions over axes. Input 1 lists the axes (int64); none means all, or with ``noop_with_empty_axes`` no axis at all."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ._dtypes import accumulator, highest, lowest
from ._registry import Shaped, operator
from ._shapes import Shape, Types, Values, constant, given, infers, positive_axes


def reduced_axes(rank: int, axes: np.ndarray | None, noop_with_empty_axes: int) -> Shape:
    """The axes to reduce, counted from the front."""
    if axes is None or axes.size == 0:
        return () if noop_with_empty_axes else tuple(range(rank))
    return positive_axes(axes.reshape(-1), rank)


def _types(types: Types, values: Values, *, keepdims: int, noop_with_empty_axes: int) -> Shaped:
    dtype, shape = given(types, 0)
    gone = reduced_axes(len(shape), constant(values, 1), noop_with_empty_axes)
    kept = ((i, 1 if i in gone else n) for i, n in enumerate(shape))
    return dtype, tuple(n for i, n in kept if keepdims or i not in gone)


_FACTS: dict[str, Any] = {"infer": infers(_types), "shape_inputs": (1,)}


def _sum(data: np.ndarray, axes: np.ndarray | None, keepdims: int, noop: int) -> np.ndarray:
    """Sum, floats in float64: numpy adds along an axis that is not the last one by one, and variances cancel what is left."""
    wide = np.dtype(np.float64) if data.dtype.kind == "f" else data.dtype
    return np.asarray(np.sum(data, axis=reduced_axes(data.ndim, axes, noop), dtype=wide, keepdims=bool(keepdims)))


def _squares(data: np.ndarray) -> np.ndarray:
    return np.square(data.astype(accumulator(data.dtype), copy=False))


@operator("ReduceSum", **_FACTS)
def reduce_sum(
    data: np.ndarray, axes: np.ndarray | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> np.ndarray:
    """Sum."""
    return _sum(data, axes, keepdims, noop_with_empty_axes).astype(data.dtype)


@operator("ReduceSumSquare", **_FACTS)
def reduce_sum_square(
    data: np.ndarray, axes: np.ndarray | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> np.ndarray:
    """Sum of squares."""
    return _sum(_squares(data), axes, keepdims, noop_with_empty_axes).astype(data.dtype)


@operator("ReduceL1", **_FACTS)
def reduce_l1(
    data: np.ndarray, axes: np.ndarray | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> np.ndarray:
    """Sum of magnitudes."""
    return _sum(np.abs(data), axes, keepdims, noop_with_empty_axes).astype(data.dtype)


@operator("ReduceL2", **_FACTS)
def reduce_l2(
    data: np.ndarray, axes: np.ndarray | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> np.ndarray:
    """Square root of the sum of squares."""
    return np.sqrt(_sum(_squares(data), axes, keepdims, noop_with_empty_axes)).astype(data.dtype)


@operator("ReduceLogSum", **_FACTS)
def reduce_log_sum(
    data: np.ndarray, axes: np.ndarray | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> np.ndarray:
    """Logarithm of the sum."""
    return np.log(_sum(data, axes, keepdims, noop_with_empty_axes)).astype(data.dtype)


@operator("ReduceLogSumExp", **_FACTS)
def reduce_log_sum_exp(
    data: np.ndarray, axes: np.ndarray | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> np.ndarray:
    """Logarithm of the sum of exponentials, without overflow."""
    gone = reduced_axes(data.ndim, axes, noop_with_empty_axes)
    exponents = data if data.dtype.kind == "f" else data.astype(np.float64)
    top = exponents.max(axis=gone, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, exponents.dtype.type(0))
    result = np.log(np.exp(exponents - shift).sum(axis=gone, keepdims=True)) + shift
    result = result if keepdims else np.squeeze(result, gone)
    return result.astype(data.dtype)


@operator("ReduceMean", **_FACTS)
def reduce_mean(
    data: np.ndarray, axes: np.ndarray | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> np.ndarray:
    """Mean; of nothing, not a number."""
    wide = accumulator(data.dtype) if data.dtype.kind == "f" else np.dtype(np.float64)
    gone = reduced_axes(data.ndim, axes, noop_with_empty_axes)
    sums = np.sum(data, axis=gone, dtype=wide, keepdims=bool(keepdims))
    return (sums / wide.type(prod(data.shape[axis] for axis in gone))).astype(data.dtype)


@operator("ReduceProd", **_FACTS)
def reduce_prod(
    data: np.ndarray, axes: np.ndarray | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> np.ndarray:
    """Product."""
    gone = reduced_axes(data.ndim, axes, noop_with_empty_axes)
    return np.prod(data, axis=gone, dtype=data.dtype, keepdims=bool(keepdims))


@operator("ReduceMax", **_FACTS)
def reduce_max(
    data: np.ndarray, axes: np.ndarray | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> np.ndarray:
    """Maximum; of nothing, the lowest value of the type."""
    gone = reduced_axes(data.ndim, axes, noop_with_empty_axes)
    return np.max(data, axis=gone, keepdims=bool(keepdims), initial=lowest(data.dtype))


@operator("ReduceMin", **_FACTS)
def reduce_min(
    data: np.ndarray, axes: np.ndarray | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> np.ndarray:
    """Minimum; of nothing, the highest value of the type."""
    gone = reduced_axes(data.ndim, axes, noop_with_empty_axes)
    return np.min(data, axis=gone, keepdims=bool(keepdims), initial=highest(data.dtype))
