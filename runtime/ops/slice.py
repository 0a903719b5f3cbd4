"""Slicing."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._shapes import Shape, by_view, positive_axes


@operator("Slice", infer=by_view, shape_inputs=(1, 2, 3, 4))
def slice_axes(
    data: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    axes: np.ndarray | None = None,
    steps: np.ndarray | None = None,
) -> np.ndarray:
    """``data[start:end:step]`` along each of ``axes`` (default: the first ones), by Python's rules; but where the step is
    negative, a start before the first element is the first element."""
    return data[slice_index(data.shape, starts, ends, axes, steps)]


def slice_index(
    shape: Shape, starts: np.ndarray, ends: np.ndarray, axes: np.ndarray | None, steps: np.ndarray | None
) -> tuple[slice, ...]:
    """What numpy takes for the slice of an array of ``shape``."""
    along = positive_axes(range(len(starts)) if axes is None else axes, len(shape))
    strides = np.ones(len(starts), np.int64) if steps is None else steps
    index = [slice(None)] * len(shape)
    for axis, start, end, step in zip(along, starts, ends, strides, strict=True):
        index[axis] = slice(_first(int(start), shape[axis]) if step < 0 else int(start), int(end), int(step))
    return tuple(index)


def _first(start: int, size: int) -> int:
    return min(max(start + size if start < 0 else start, 0), size - 1)
