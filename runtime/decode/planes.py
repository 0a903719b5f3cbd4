"""Decoder of the planes codec."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import CodecId
from ...format_spec.planes_head import read_planes_head
from ...format_spec.records import check_size
from ...format_spec.tensors import DenseTensor
from ._opened import block_defect
from ._payload import read_block_entries, read_tables
from ._registry import decoder
from .jitted.entries import SHARED, SIGNED, SPARSE
from .jitted.planes import decode_planes, list_by_majors, spread

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord
    from ._registry import Executor

RANGE = 1 << 18
"""Elements, about, of the blocks that a parallel decode deals out at once."""


@dataclass(frozen=True, eq=False)
class PrunedTensor(DenseTensor):
    """A tensor whose nonzeros are listed one by one.

    ``values`` (nonzeros,): the tensor's dtype; ``places`` uint32: their positions in blocks of ``block`` elements in C order,
    ascending; ``ends`` (blocks + 1,) int64: where blocks begin in both.
    """

    values: np.ndarray
    places: np.ndarray
    ends: np.ndarray
    block: int

    def by_first_axis(self) -> tuple[np.ndarray, np.ndarray]:
        """(starts, minors): the nonzeros whose first index is ``i`` are ``starts[i]:starts[i + 1]``, int64, and their positions
        among all elements with that index ``minors``, uint32."""
        starts, minors = np.zeros(self.shape[0] + 1, np.int64), np.empty(len(self.values), np.uint32)
        list_by_majors(self.places, self.ends, self.block, self.size // self.shape[0], starts, minors)
        return starts, minors


@decoder(CodecId.PLANES)
def decode_planes_of(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> DenseTensor:
    """Elements of all blocks; where zeros are left out, they are put where they belong when that is asked for."""
    check_size(record, limits)
    head, width = read_planes_head(record, data), record.dtype.itemsize
    tables, only, at = read_tables(data, head.size, head.alphabets(width))
    sizes, gapped = (record.size, head.block), head.gap_symbols > 0
    entries = read_block_entries((SHARED, SPARSE, SIGNED)[head.before], data, at, sizes, 0, len(only))
    ends, sign_ends = entries.ends, _sign_ends(entries.ends, *sizes, signed=head.signed)
    words, signs = np.empty(ends[-1], f"u{width}"), np.empty(sign_ends[-1], np.uint8)
    places = np.empty(len(words) if gapped else 0, np.uint32)
    most, symbols = entries.counts.max(axis=0).tolist()
    fixed = data, entries.bounds, entries.first, entries.counts, tables, only, head.before, head.gap_symbols - 1, *sizes

    def decode_range(span: tuple[int, int]) -> None:
        gaps, planes = np.empty(symbols if gapped else 0, np.uint8), np.empty((width, most), np.uint8)
        block, status = decode_planes(*fixed, ends, sign_ends, *span, gaps, planes, words, places, signs)
        if status:
            raise block_defect(record, entries, block, status)

    for _ in (executor.map if executor else map)(decode_range, _ranges(ends)):
        pass
    if not gapped:
        return DenseTensor.of(words.view(record.dtype).reshape(record.shape))

    def dense() -> np.ndarray:
        out = np.zeros(record.size, words.dtype)
        spread(words, places, ends, head.block, signs, sign_ends, out)
        return out.view(record.dtype).reshape(record.shape)

    return PrunedTensor(record.dtype, record.shape, dense, words.view(record.dtype), places, ends, head.block)


def _sign_ends(ends: np.ndarray, size: int, block: int, *, signed: bool) -> np.ndarray:
    """(blocks + 1,) int64: bytes of signs before each block, and of all; ``ends`` counts the elements that are listed."""
    zeros = np.diff(np.minimum(np.arange(len(ends)) * block, size) - ends)
    return np.concatenate([[0], np.cumsum((zeros + 7) // 8 * signed)]).astype(np.int64)


def _ranges(ends: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of blocks with about :data:`RANGE` elements each; ``ends`` (blocks + 1,) counts those before each block."""
    cuts = np.searchsorted(ends, np.arange(0, ends[-1], RANGE)).tolist()
    return list(pairwise(sorted({0, *cuts, len(ends) - 1})))
