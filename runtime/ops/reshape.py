"""Operators that only change the shape."""

from __future__ import annotations

import numpy as np

from ...format_spec.errors import PlanError
from ._registry import operator
from ._shapes import by_view, positive_axes


@operator("Reshape", infer=by_view, shape_inputs=(1,))
def reshape(data: np.ndarray, shape: np.ndarray, *, allowzero: int = 0) -> np.ndarray:
    """``data`` as ``shape``: -1 is what remains, 0 copies the input's size at that place unless ``allowzero``."""
    wanted = [int(d) for d in shape]
    if min(wanted, default=0) < -1:  # numpy takes any negative size for -1
        raise PlanError(f"shape {wanted} has a size below -1")
    if not allowzero:
        if any(d == 0 and i >= data.ndim for i, d in enumerate(wanted)):
            raise PlanError(f"shape {wanted} copies an axis that the input of shape {data.shape} has not")
        wanted = [data.shape[i] if d == 0 else d for i, d in enumerate(wanted)]
    return data.reshape(wanted)


@operator("Flatten", infer=by_view)
def flatten(data: np.ndarray, *, axis: int = 1) -> np.ndarray:
    """A matrix: the axes before ``axis`` are its rows, the rest its columns."""
    if not -data.ndim <= axis <= data.ndim:
        raise PlanError(f"axis {axis} is out of range for {data.ndim} axes")
    rows = data.shape[:axis]
    return data.reshape(int(np.prod(rows)), int(np.prod(data.shape[len(rows) :])))


@operator("Squeeze", infer=by_view, shape_inputs=(1,))
def squeeze(data: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    """``data`` without ``axes``, which have size 1 (default: all that have)."""
    return np.squeeze(data, None if axes is None else positive_axes(axes, data.ndim))


@operator("Unsqueeze", infer=by_view, shape_inputs=(1,))
def unsqueeze(data: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """``data`` with new axes of size 1; ``axes`` are their places in the result."""
    return np.expand_dims(data, positive_axes(axes, data.ndim + axes.size))


@operator("Identity", infer=by_view)
def identity(data: np.ndarray) -> np.ndarray:
    """``data`` itself."""
    return data
