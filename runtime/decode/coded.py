"""Decoders of the coded codecs, on the whole tensor or a range of its blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.codebooks import read_codebook
from ...format_spec.coding import CodecId
from ._blocks import decode_blocks
from ._opened import Blocks, CodedTensor, Room
from ._payload import KINDS, alphabets, check_sizes, matrix, read_entry_table, read_head, read_tables
from ._registry import byte_array, decoder
from .dense import check_size
from .grouped import open_grouped

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord
    from ...format_spec.tensors import SharedTensor
    from ._registry import Executor, Payload

__all__ = ["Blocks", "CodedTensor", "open_coded"]


@dataclass(frozen=True, eq=False, repr=False)
class GappedTensor(CodedTensor):
    """An open payload of the shared, sparse or paper codec: a Huffman table for each sequence kind."""

    tables: np.ndarray
    only: np.ndarray

    @cached_property
    def fixed(self) -> tuple[Any, ...]:
        """The first arguments of :func:`._blocks.decode_blocks`, the same for every block."""
        entries, head = self.entries, self.head
        kind = KINDS[CodecId(self.record.codec)]
        tables = self.data, entries.bounds, entries.first, entries.counts, self.tables, self.only
        return *tables, kind, head.k, head.width - 1

    def room(self, first: int, stop: int) -> Room:
        """Gap symbols, and in the paper codec the bytes of the entries' codes."""
        most = int(self.entries.counts[first:stop, 1].max()) if self.leaves_zeros_out else 0
        is_paper = self.record.codec == CodecId.PAPER
        wide = is_paper and len(self.only) == 3
        return np.empty(most, np.uint8), np.empty(most if is_paper else 0, np.uint8), np.empty(most if wide else 0, np.uint8)

    def _run(self, first: int, stop: int, ends: np.ndarray, minors: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        block, status = decode_blocks(
            *self.fixed, first, stop, self.head.block_majors, len(ends), self.minor_length, *self.room(first, stop), ends,
            minors, low, high,
        )  # fmt: skip
        if status:
            raise self.defect(block, status)


def open_coded(record: TensorRecord, payload: Payload, limits: Limits) -> CodedTensor:
    """Read all of a payload but its data.

    Raises:
        FormatError: the payload is not valid for the record.
        LimitError: the decoded tensor, dense or shared, would be larger than ``limits`` allow.
    """
    check_size(record, limits)
    data = byte_array(payload)
    head = read_head(record, data)
    codebook, start = read_codebook(record, data, head.size, head.k, head.form)
    if record.codec == CodecId.GROUPED:
        return open_grouped(record, data, limits, head, codebook, start)
    tables, only, at = read_tables(data, start, alphabets(record.codec, head))
    entries = read_entry_table(record, data, at, head, len(only))
    check_sizes(record, limits, head.k, matrix(record, head.order)[0], int(entries.ends[-1]))
    return GappedTensor(record, data, head, codebook, entries, start - head.size, at - start, tables, only)


@decoder(CodecId.SHARED, CodecId.SPARSE, CodecId.PAPER, CodecId.GROUPED)
def decode_coded(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> SharedTensor:
    """Codes and codebook, and where zeros are left out starts and minors."""
    return open_coded(record, data, limits).decode(executor)
