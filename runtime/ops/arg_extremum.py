"""Positions of extremes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers, positive_axis


def _types(types: Types, values: Values, *, axis: int, keepdims: int, **_: Any) -> Shaped:
    shape = given(types, 0)[1]
    along = positive_axis(axis, len(shape))
    return np.dtype(np.int64), (*shape[:along], *([1] if keepdims else []), *shape[along + 1 :])


@operator("ArgMax", infer=infers(_types))
def arg_max(data: np.ndarray, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> np.ndarray:
    """Index along ``axis`` of the maximum, int64; of several the first, or the last if ``select_last_index``."""
    if select_last_index:
        found = data.shape[axis] - 1 - np.argmax(np.flip(data, axis), axis=axis, keepdims=bool(keepdims))
    else:
        found = np.argmax(data, axis=axis, keepdims=bool(keepdims))
    return np.asarray(found, np.int64)


@operator("ArgMin", infer=infers(_types))
def arg_min(data: np.ndarray, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> np.ndarray:
    """Index along ``axis`` of the minimum, int64; of several the first, or the last if ``select_last_index``."""
    if select_last_index:
        found = data.shape[axis] - 1 - np.argmin(np.flip(data, axis), axis=axis, keepdims=bool(keepdims))
    else:
        found = np.argmin(data, axis=axis, keepdims=bool(keepdims))
    return np.asarray(found, np.int64)
