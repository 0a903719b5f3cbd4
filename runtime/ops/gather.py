"""Reading by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers, positive_axis, positive_indices, rows_first


def _gather_types(types: Types, values: Values, *, axis: int) -> Shaped:
    (dtype, shape), (_, indices) = given(types, 0), given(types, 1)
    along = positive_axis(axis, len(shape))
    return dtype, (*shape[:along], *indices, *shape[along + 1 :])


@operator("Gather", infer=infers(_gather_types), weights={0: rows_first})
def gather(data: np.ndarray, indices: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Slices of ``data`` along ``axis``: that axis is replaced by the axes of ``indices`` (negative ones from the end)."""
    along = positive_axis(axis, data.ndim)
    places = positive_indices(indices, data.shape[along])
    if places.size != 1:
        return np.take(data, places, along)
    place = places.item()
    taken = data[(*[slice(None)] * along, slice(place, place + 1))]  # a view: what is planned of it needs no memory
    return taken.reshape((*data.shape[:along], *indices.shape, *data.shape[along + 1 :]))


def _elements_types(types: Types, values: Values, **_: Any) -> Shaped:
    return given(types, 0)[0], given(types, 1)[1]


@operator("GatherElements", infer=infers(_elements_types))
def gather_elements(data: np.ndarray, indices: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """``data[..., indices[..., i, ...], ...]`` along ``axis``, for each place of ``indices``; its shape is the result's."""
    along = positive_axis(axis, data.ndim)
    index: list[np.ndarray] = list(np.ix_(*map(np.arange, indices.shape)))
    index[along] = positive_indices(indices, data.shape[along])
    return data[tuple(index)]


def _nd_types(types: Types, values: Values, *, batch_dims: int) -> Shaped:
    dtype, shape = given(types, 0)
    indices = given(types, 1)[1]
    return dtype, (*indices[:-1], *shape[batch_dims + indices[-1] :])


@operator("GatherND", infer=infers(_nd_types))
def gather_nd(data: np.ndarray, indices: np.ndarray, *, batch_dims: int = 0) -> np.ndarray:
    """Slices of ``data`` at the coordinates in the last axis of ``indices``, the first ``batch_dims`` axes in step."""
    depth = indices.shape[-1]
    batch = np.ix_(*map(np.arange, indices.shape[:batch_dims]))
    trailing = [1] * (indices.ndim - 1 - batch_dims)
    index = [b.reshape(*b.shape, *trailing) for b in batch]
    index += [positive_indices(indices[..., i], data.shape[batch_dims + i]) for i in range(depth)]
    return data[tuple(index)]
