"""Sharing that a tensor already has: few distinct values, found without changing a bit."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ...format_spec.tensors import LONGEST_PATTERN, Order, SharedTensor, bit_patterns, matrix_shape, memory_order, to_scan
from ...runtime.decode.reorder import reorder

_MOST = 65_536
_SLOTS = 1 << 18
_POSITION_BITS = 4

_Parts: TypeAlias = "tuple[np.ndarray | None, np.ndarray | None, np.ndarray, np.ndarray]"
"""starts, minors, codes and distinct patterns."""


def find_shared(array: np.ndarray, row_axes: tuple[int, ...], order: Order | None = None) -> SharedTensor | None:
    """``array`` (any dtype and shape) as codes into its distinct bit patterns, in ascending order, or ``None``.

    All-zero bits are left out (an array of nothing else is one shared value); -0.0 and NaN are values. ``None`` when there
    are more than 65,536 values, or so many that codes, positions and codebook would take as much room as the array.
    ``order`` is the scan order of the result, the array's memory order when ``None``.
    """
    if array.size == 0 or array.dtype.kind in "OSU" or array.dtype.itemsize > LONGEST_PATTERN:
        return None
    scan = memory_order(array.ndim, row_axes)
    patterns = bit_patterns(to_scan(np.ascontiguousarray(array), row_axes, scan))
    parts = _find(patterns, matrix_shape(array.shape, row_axes, scan))
    if parts is None:
        return None
    starts, minors, codes, distinct = parts
    codebook = distinct.astype(patterns.dtype).view(array.dtype)
    return reorder(SharedTensor(array.dtype, array.shape, row_axes, scan, starts, minors, codes, codebook), order or scan)


def _find(patterns: np.ndarray, matrix: tuple[int, int]) -> _Parts | None:
    """The parts of a tensor whose bit patterns, in scan order, are ``patterns`` (n,); ``None`` when sharing cannot pay."""
    from ._coding import collect_distinct, exact_codes, exact_entries

    wide = patterns if patterns.dtype.itemsize >= 4 else patterns.astype(np.uint32)
    keys, used = np.zeros(_SLOTS, wide.dtype), np.zeros(_SLOTS, bool)
    distinct, nonzeros = collect_distinct(wide, keys, used, _MOST)
    if nonzeros == 0:
        return None, None, np.zeros(len(wide), np.uint8), np.zeros(1, wide.dtype)
    if distinct > _MOST or not _pays(len(wide), patterns.dtype.itemsize, nonzeros, distinct):
        return None
    slots = np.flatnonzero(used)
    slots = slots[np.argsort(keys[slots])]
    ranks = np.zeros(_SLOTS, np.uint8 if distinct <= 256 else np.uint16)
    ranks[slots] = np.arange(distinct)
    codes = np.empty(nonzeros, ranks.dtype)
    if nonzeros == len(wide):
        exact_codes(wide, keys, used, ranks, codes)
        return None, None, codes, keys[slots]
    starts, minors = np.empty(matrix[0] + 1, np.int64), np.empty(nonzeros, np.uint32)
    exact_entries(wide.reshape(matrix), keys, used, ranks, starts, minors, codes)
    return starts, minors, codes, keys[slots]


def _pays(size: int, item_bytes: int, nonzeros: int, distinct: int) -> bool:
    """Whether codebook, codes and (4-bit) positions are smaller than the array. Single bytes are codes already, which may
    take less than 8 bits each once some are rarer than others."""
    if item_bytes == 1:
        return True
    bits = (distinct - 1).bit_length() + (_POSITION_BITS if nonzeros < size else 0)
    return distinct * item_bytes * 8 + nonzeros * bits < size * item_bytes * 8
