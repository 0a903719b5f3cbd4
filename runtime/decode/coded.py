"""Decoders of the coded codecs, on the whole tensor or a range of its blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.codebooks import read_codebook
from ...format_spec.coded_head import alphabets, check_decoded, read_head
from ...format_spec.coding import CodecId
from ...format_spec.records import check_size
from ._entries import read_entry_table
from ._opened import CodedTensor, RangeDecoder, Scratch
from ._registry import byte_array, decoder
from ._tables import read_tables
from .grouped import open_grouped
from .jitted.blocks import decode_blocks
from .jitted.paper import decode_paper

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord
    from ...format_spec.tensors import SharedTensor
    from ._registry import Executor, Payload

__all__ = ["CodedTensor", "open_coded"]


@dataclass(frozen=True, eq=False, repr=False)
class HuffmanTensor(CodedTensor):
    """An open payload with a Huffman table for each sequence kind."""

    tables: np.ndarray
    only: np.ndarray

    @property
    def _coded(self) -> tuple[np.ndarray, ...]:
        entries = self.entries
        return self.data, entries.bounds, entries.first, entries.counts, self.tables, self.only


class GappedTensor(HuffmanTensor):
    """Of the shared or the sparse codec."""

    def find_decoder(self) -> RangeDecoder:
        """See the base class."""
        return decode_blocks.once()

    def list_fixed(self) -> tuple[Any, ...]:
        """The first arguments of :func:`.jitted.blocks.decode_blocks`, the same for every block."""
        return *self._coded, int(self.leaves_zeros_out), self.head.k, self.head.width - 1

    def scratch(self, first: int, stop: int) -> Scratch:
        """Gap symbols."""
        return (np.empty(int(self.entries.counts[first:stop, 1].max()) if self.leaves_zeros_out else 0, np.uint8),)


class PaperTensor(HuffmanTensor):
    """Of the paper codec."""

    def find_decoder(self) -> RangeDecoder:
        """See the base class."""
        return decode_paper.once()

    def list_fixed(self) -> tuple[Any, ...]:
        """The first arguments of :func:`.jitted.paper.decode_paper`, the same for every block."""
        return *self._coded, self.head.k

    def scratch(self, first: int, stop: int) -> Scratch:
        """Gap symbols, and the bytes of the entries' codes."""
        most = int(self.entries.counts[first:stop, 1].max())
        return np.empty(most, np.uint8), np.empty(most, np.uint8), np.empty(most if len(self.only) == 3 else 0, np.uint8)


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
    tables, only, at = read_tables(data, start, alphabets(record.codec, head.k, head.width))
    entries = read_entry_table(record, data, at, head, len(only))
    check_decoded(record, head, limits, int(entries.ends[-1]))
    kind = PaperTensor if record.codec == CodecId.PAPER else GappedTensor
    return kind(record, data, head, codebook, entries, tables, only)


@decoder(CodecId.SHARED, CodecId.SPARSE, CodecId.PAPER, CodecId.GROUPED)
def decode_coded(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> SharedTensor:
    """Codes and codebook, and where zeros are left out starts and minors."""
    return open_coded(record, data, limits).decode(executor)
