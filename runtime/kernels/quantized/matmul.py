"""MatMulInteger and QLinearMatMul of 8-bit matrices, sums in int32."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from ...ops import Shaped
from ...ops.integer_product import along, product_scale
from ...orders.order import Arrays, present
from ...orders.workers import Workers
from ..site import Kernel, Run, Site
from .arithmetic import multiply, rescale, unsigned

BYTES = frozenset(map(np.dtype, (np.int8, np.uint8)))

PLACES = {
    "MatMulInteger": (0, 2, 1, 3),
    "ConvInteger": (0, 2, 1, 3),
    "QLinearMatMul": (0, 2, 3, 5),
    "QLinearConv": (0, 2, 3, 5),
}
"""Inputs of each operator: left operand or image, its zero point, right operand or weights, their zero point."""

A_SCALE, B_SCALE, Y_SCALE, Y_ZERO, BIAS = 1, 4, 6, 7, 8
"""Further inputs of the operators that rescale."""


def fits(parameter: Shaped | None, count: int) -> bool:
    """Whether a scale or zero point is absent, one number, or one for each of ``count``."""
    return parameter is None or prod(parameter[1]) == 1 or parameter[1] == (count,)


def zeros(zero: np.ndarray | None, count: int) -> np.ndarray:
    """A zero point for each of ``count``, int32."""
    return np.zeros(count, np.int32) if zero is None else np.broadcast_to(zero.reshape(-1), count).astype(np.int32)


def rescale_into(y: np.ndarray, sums: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> None:
    """``y = sums * scale + zero`` (M, N) as 8-bit integers; ``scale`` and ``zero`` broadcast."""
    limits = np.iinfo(y.dtype)
    wide, shift = np.atleast_2d(scale.astype(np.float64)), np.atleast_2d(zero.astype(np.int64))
    rescale(sums, wide, shift, limits.min, limits.max, unsigned(y))


def rescaled(given: Mapping[int, np.ndarray], sums: np.ndarray, rows: slice, dtype: np.dtype) -> np.ndarray:
    """``sums`` (M', ...) of QLinearConv, int32 and contiguous, biased and as 8-bit integers; they are the outputs ``rows``."""
    flat = sums.reshape(len(sums), -1)
    if BIAS in given:
        flat = flat + given[BIAS][rows, None]
    scale = given[A_SCALE].reshape(()) * given[B_SCALE].reshape(-1, 1) / given[Y_SCALE].reshape(())
    found = np.empty(flat.shape, dtype)
    rescale_into(found, flat, scale if len(scale) == 1 else scale[rows], given[Y_ZERO].reshape(1, 1))
    return found.reshape(sums.shape)


def lower_integer_matmul(site: Site) -> Kernel | None:
    """A kernel for a stack of matrices times one matrix, each zero point being one number, or one a row or column."""
    places, rescales = PLACES[site.node.op_type], site.node.op_type == "QLinearMatMul"
    left, left_zero, right, right_zero = (site.type(index) for index in places)
    if left is None or right is None or not {left[0], right[0]} <= BYTES or len(right[1]) != 2:
        return None
    rows, columns = prod(left[1][:-1]), right[1][1]
    each_row = rows if len(left[1]) == 2 else 1
    if not (fits(left_zero, each_row) and fits(right_zero, columns)):
        return None
    by_row, by_column = (A_SCALE, Y_SCALE, Y_ZERO), (B_SCALE,)
    if rescales and not all(
        fits(site.type(index), count) for indices, count in ((by_row, each_row), (by_column, columns)) for index in indices
    ):
        return None
    if rescales and site.outputs[0][0] not in BYTES:
        return None
    return Kernel(
        f"integer matmul {left[0].name} {right[0].name}",
        _runner(places, len(left[1]), rows, columns, rescales),
        reads=tuple(range(len(site.inputs))),
        macs=rows * prod(right[1]),
        weight_bytes=prod(right[1]),
        scratch=4 * rows * columns if rescales else 0,
    )


def _runner(places: tuple[int, ...], rank: int, rows: int, columns: int, rescales: bool) -> Run:
    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        left, a_zero, right, b_zero = (inputs[index] if index < len(inputs) else None for index in places)
        a, b, y = present(left), present(right), present(outputs[0]).reshape(rows, columns)
        flat = a.reshape(rows, len(b)).astype(np.int16) - zeros(a_zero, rows).astype(np.int16)[:, None]
        shift = zeros(b_zero, columns)
        sums = scratch.view(np.int32).reshape(rows, columns) if rescales else y
        parts = max(1, min(workers.count, rows))

        def work(part: int) -> None:
            mine = slice(rows * part // parts, rows * (part + 1) // parts)
            multiply(flat[mine], b, shift, sums[mine])

        workers.each(work, parts)
        if rescales:
            a_scale, b_scale, y_scale, y_zero = (present(inputs[index]) for index in (A_SCALE, B_SCALE, Y_SCALE, Y_ZERO))
            scale = product_scale(a_scale, rank, b_scale, 2, y_scale, rank)
            rescale_into(y, sums, scale, along(y_zero, rank, max(0, rank - 2)))

    return run
