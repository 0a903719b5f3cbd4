"""Slicing."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._shapes import by_view, positive_axes


@operator("Slice", infer=by_view, shape_inputs=(1, 2, 3, 4))
def slice_axes(
    data: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    axes: np.ndarray | None = None,
    steps: np.ndarray | None = None,
) -> np.ndarray:
    """``data[start:end:step]`` along each of ``axes`` (default: the first ones), by Python's rules."""
    along = positive_axes(range(len(starts)) if axes is None else axes, data.ndim)
    strides = np.ones(len(starts), np.int64) if steps is None else steps
    index = [slice(None)] * data.ndim
    for axis, start, end, step in zip(along, starts, ends, strides, strict=True):
        index[axis] = slice(int(start), int(end), int(step))
    return data[tuple(index)]
