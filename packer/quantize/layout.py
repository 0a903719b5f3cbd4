"""The scan order in which weights are coded."""

from __future__ import annotations

from math import prod

from ...format_spec.tensors import Order, scan_axes


def memory_order(rank: int, row_axes: tuple[int, ...]) -> Order:
    """The scan order that follows a C-contiguous array through memory; ``"rows"`` when neither does."""
    return "columns" if scan_axes(rank, row_axes, "columns") == tuple(range(rank)) else "rows"


def matrix_shape(shape: tuple[int, ...], row_axes: tuple[int, ...], order: Order) -> tuple[int, int]:
    """(majors, minor length) of the matrix view of a tensor scanned in ``order``."""
    rows = prod(shape[a] for a in row_axes)
    columns = prod(d for a, d in enumerate(shape) if a not in row_axes)
    return (rows, columns) if order == "rows" else (columns, rows)
