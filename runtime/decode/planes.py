"""Decoder of the planes codec."""

from __future__ import annotations

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
from .jitted.planes import decode_planes

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord
    from ._registry import Executor

RANGE = 1 << 18
"""Elements, about, of the blocks that a parallel decode deals out at once."""


@decoder(CodecId.PLANES)
def decode_planes_of(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> DenseTensor:
    """Elements of all blocks, each decoded where it belongs."""
    check_size(record, limits)
    head, width = read_planes_head(record, data), record.dtype.itemsize
    tables, only, at = read_tables(data, head.size, head.alphabets(width))
    gapped = head.gap_symbols > 0
    entries = read_block_entries((SHARED, SPARSE, SIGNED)[head.before], data, at, (record.size, head.block), 0, len(only))
    words = np.zeros(record.size, f"u{width}")
    fixed = data, entries.bounds, entries.first, entries.counts, tables, only, head.before, head.gap_symbols - 1, head.block
    most, symbols = entries.counts.max(axis=0).tolist()

    def decode_range(span: tuple[int, int]) -> None:
        gaps = np.empty(symbols if gapped else 0, np.uint8)
        signs = np.empty(head.block // 8 + 1 if head.signed else 0, np.uint8)
        planes, places = np.empty((width, most), np.uint8), np.empty(most if gapped else 0, np.uint32)
        block, status = decode_planes(*fixed, *span, gaps, signs, planes, places, words)
        if status:
            raise block_defect(record, entries, block, status)

    for _ in (executor.map if executor else map)(decode_range, _ranges(entries.ends)):
        pass
    return DenseTensor.of(words.view(record.dtype).reshape(record.shape))


def _ranges(ends: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of blocks with about :data:`RANGE` elements each; ``ends`` (blocks + 1,) counts those before each block."""
    cuts = np.searchsorted(ends, np.arange(0, ends[-1], RANGE)).tolist()
    return list(pairwise(sorted({0, *cuts, len(ends) - 1})))
