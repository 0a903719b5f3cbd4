"""Splitting along one axis."""

from __future__ import annotations

import numpy as np

from ...format_spec.errors import PlanError
from ._registry import operator
from ._shapes import boundaries, by_view, positive_axis

MOST_EMPTY = 1 << 16
"""Pieces of an axis without elements, at most: no node has so many outputs."""


@operator("Split", infer=by_view, shape_inputs=(1,))
def split(
    data: np.ndarray, sizes: np.ndarray | None = None, *, axis: int = 0, num_outputs: int | None = None
) -> tuple[np.ndarray, ...]:
    """Consecutive pieces of ``data`` along ``axis``, of ``sizes``, or ``num_outputs`` equal ones (the last may be smaller)."""
    along = positive_axis(axis, data.ndim)
    length = data.shape[along]
    ends = boundaries(_sizes(length, num_outputs) if sizes is None else [int(s) for s in sizes])
    if ends[-1] != length:
        raise PlanError(f"the pieces add up to {ends[-1]}, axis {axis} has {length}")
    return tuple(np.split(data, ends[1:-1], along))


def _sizes(length: int, count: int | None) -> list[int]:
    if count is None:
        raise PlanError("neither the sizes of the pieces nor their number is given")
    if count < 1:
        raise PlanError(f"num_outputs must be at least 1, not {count}")
    piece = -(-length // count)
    if piece * (count - 1) > length or count > max(length, MOST_EMPTY):
        raise PlanError(f"{length} elements make no {count:,} pieces of {piece}")
    return [piece] * (count - 1) + [length - piece * (count - 1)]
