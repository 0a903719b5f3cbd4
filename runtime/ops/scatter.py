"""Writing by index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...format_spec.errors import PlanError
from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers, like_input, positive_axis, positive_indices

_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "add": np.add.at,
    "mul": np.multiply.at,
    "max": np.maximum.at,
    "min": np.minimum.at,
}
_NAMES = ("none", *_REDUCTIONS)


def _write(data: np.ndarray, index: tuple[Any, ...], updates: np.ndarray, reduction: str) -> np.ndarray:
    result = data.copy()
    if reduction == "none":
        result[index] = updates
    else:
        _REDUCTIONS[reduction](result, index, updates)
    return result


def _types(types: Types, values: Values, *, axis: int, **_: Any) -> Shaped:
    found = given(types, 0)
    positive_axis(axis, len(found[1]))
    return found


@operator("ScatterElements", infer=infers(_types), allowed={"reduction": _NAMES})
def scatter_elements(
    data: np.ndarray, indices: np.ndarray, updates: np.ndarray, *, axis: int = 0, reduction: str = "none"
) -> np.ndarray:
    """``data`` with each of ``updates`` written, or combined, at its own place but for ``axis``, where ``indices`` say."""
    along = positive_axis(axis, data.ndim)
    index: list[np.ndarray] = list(np.ix_(*map(np.arange, indices.shape)))
    index[along] = positive_indices(indices, data.shape[along])
    return _write(data, tuple(index), updates, reduction)


@operator("ScatterND", infer=like_input, allowed={"reduction": _NAMES})
def scatter_nd(data: np.ndarray, indices: np.ndarray, updates: np.ndarray, *, reduction: str = "none") -> np.ndarray:
    """``data`` with slices ``updates`` written, or combined, at the coordinates in the last axis of ``indices``."""
    index = tuple(positive_indices(indices[..., i], data.shape[i]) for i in range(indices.shape[-1]))
    return _write(data, index, updates, reduction)


@operator("TensorScatter", infer=like_input, allowed={"mode": ("linear", "circular")})
def tensor_scatter(
    past_cache: np.ndarray, update: np.ndarray, write_indices: np.ndarray | None = None, *, axis: int = -2, mode: str = "linear"
) -> np.ndarray:
    """``past_cache`` with ``update`` written along ``axis`` from ``write_indices`` (one a batch entry, axis 0) on.

    Raises:
        PlanError: the axis is the first, or with mode linear, it does not fit.
    """
    along = positive_axis(axis, past_cache.ndim)
    if not along:
        raise PlanError("what is written along the axis of the batch has no place: another is needed")
    size, count = past_cache.shape[along], update.shape[along]
    starts = np.zeros(past_cache.shape[0], np.int64) if write_indices is None else write_indices
    result = past_cache.copy()
    for batch, start in enumerate(starts):
        places = int(start) + np.arange(count)
        if mode == "linear" and count and not 0 <= places[0] <= places[-1] < size:
            raise PlanError(f"{count} entries written from {int(start)} on leave a cache of {size}")
        np.moveaxis(result[batch], along - 1, 0)[places % size] = np.moveaxis(update[batch], along - 1, 0)
    return result
