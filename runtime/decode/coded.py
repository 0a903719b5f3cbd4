"""Decoders of the shared, sparse and paper codecs: whole, in parallel, or a range of blocks at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import CodecId
from ...format_spec.errors import FormatError
from ...format_spec.tensors import SharedTensor
from ._blocks import CODE_RANGE, MISCOUNTED, OUTSIDE, decode_blocks
from ._huffman import PADDING, WRONG_LENGTH
from ._payload import (
    KINDS,
    Entries,
    Head,
    alphabets,
    check_sizes,
    matrix,
    read_codebook,
    read_entry_table,
    read_head,
    read_tables,
)
from ._registry import byte_array, decoder
from .dense import check_size

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord
    from ._registry import Payload

ENTRIES_PER_TASK = 1 << 18
"""Entries that one task of a parallel decode takes, about: some 0.5 ms of work."""

BLOCK_DEFECTS = {
    WRONG_LENGTH: "a substream does not hold exactly its symbols",
    PADDING: "the padding of a substream is not zero",
    OUTSIDE: "a nonzero lies outside its block",
    MISCOUNTED: "a block's gaps do not end in its last nonzero",
    CODE_RANGE: "a code is not an index of the codebook",
}

NOTHING = np.zeros(0, np.uint8)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Consecutive majors of a tensor. Without ``starts`` and ``minors`` nothing is left out; else as in ``SharedTensor``.

    ``first_major`` is the tensor's major that is number 0 here; ``starts`` begins with 0.
    """

    first_major: int
    starts: np.ndarray | None
    minors: np.ndarray | None
    codes: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class CodedTensor:
    """An open payload; its blocks decode independently of one another, from any thread."""

    record: TensorRecord
    data: np.ndarray
    head: Head
    codebook: np.ndarray
    tables: np.ndarray
    only: np.ndarray
    entries: Entries
    table_bytes: int

    @property
    def block_count(self) -> int:
        """Number of blocks."""
        return len(self.entries.counts)

    @property
    def majors(self) -> int:
        """Length of the major axis."""
        return matrix(self.record, self.head.order)[0]

    @property
    def leaves_zeros_out(self) -> bool:
        """Whether there are gaps."""
        return self.record.codec != CodecId.SHARED

    def items(self) -> dict[str, int]:
        """Bytes by category; the sum is the payload's length."""
        codebook = self.head.k * (2 if self.head.half else self.record.dtype.itemsize)
        found = {"head": self.head.size, "codebook": codebook, "tables": self.table_bytes, "entries": self.entries.size}
        bounds, first = self.entries.bounds, self.entries.first
        bytes_of = (bounds[first[1:]] - bounds[first[:-1]]).reshape(self.block_count, -1).sum(axis=0).tolist()
        if self.leaves_zeros_out:
            found["gaps"] = bytes_of.pop(0)
        return {**found, "codes": sum(bytes_of)}

    def decode(self, executor: Executor | None = None) -> SharedTensor:
        """The whole tensor.

        Raises:
            FormatError: a block's bits are malformed.
        """
        starts = np.zeros(self.majors + 1, np.int64)
        count = int(self.entries.ends[-1])
        minors = np.empty(count if self.leaves_zeros_out else 0, np.uint32)
        low, high = np.empty(count, np.uint8), np.empty(count if self.head.k > 256 else 0, np.uint8)
        ranges = self._ranges() if executor else [(0, self.block_count)]

        def decode_range(span: tuple[int, int]) -> None:
            self._decode(*span, starts, minors, low, high)

        for _ in (executor.map if executor else map)(decode_range, ranges):
            pass
        record, kept = self.record, (starts, minors) if self.leaves_zeros_out else (None, None)
        codes = _join(low, high, self.head.k)
        return SharedTensor(record.dtype, record.shape, record.row_axes, self.head.order, *kept, codes, self.codebook)

    def decode_blocks(self, first: int, stop: int) -> Blocks:
        """Blocks ``first`` to ``stop`` (excluded).

        Raises:
            FormatError: a block's bits are malformed.
        """
        ends, block_majors = self.entries.ends, self.head.block_majors
        count = int(ends[stop] - ends[first])
        starts = np.zeros(min(stop * block_majors, self.majors) - first * block_majors + 1, np.int64)
        minors = np.empty(count if self.leaves_zeros_out else 0, np.uint32)
        low, high = np.empty(count, np.uint8), np.empty(count if self.head.k > 256 else 0, np.uint8)
        self._run(first, stop, starts[1:], minors, low, high)
        kept = (starts, minors) if self.leaves_zeros_out else (None, None)
        return Blocks(first * block_majors, *kept, _join(low, high, self.head.k))

    def _ranges(self) -> list[tuple[int, int]]:
        steps = np.arange(0, self.entries.ends[-1], ENTRIES_PER_TASK)
        cuts = np.unique([0, *np.searchsorted(self.entries.ends, steps), self.block_count]).tolist()
        return list(pairwise(cuts))

    def _decode(self, first: int, stop: int, starts: np.ndarray, minors: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Decode a range into its places in the whole tensor's arrays."""
        begin, end = int(self.entries.ends[first]), int(self.entries.ends[stop])
        ends = starts[first * self.head.block_majors + 1 : min(stop * self.head.block_majors, self.majors) + 1]
        self._run(first, stop, ends, minors[begin:end], low[begin:end], high[begin:end])
        if self.leaves_zeros_out:
            ends += begin

    def _run(self, first: int, stop: int, ends: np.ndarray, minors: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        entries, head = self.entries, self.head
        most = int(entries.counts[first:stop, 1].max()) if self.leaves_zeros_out else 0
        is_paper = self.record.codec == CodecId.PAPER
        block, status = decode_blocks(
            self.data, entries.bounds, entries.first, entries.counts, self.tables, self.only, KINDS[CodecId(self.record.codec)],
            head.k, head.gap_width - 1, first, stop, head.block_majors, len(ends), matrix(self.record, head.order)[1],
            np.empty(most, np.uint8), np.empty(most if is_paper else 0, np.uint8),
            np.empty(most if is_paper and len(self.only) == 3 else 0, np.uint8), ends, minors, low, high,
        )  # fmt: skip
        if status:
            offset = int(entries.bounds[entries.first[block * len(self.only)]])
            raise FormatError(f"tensor {self.record.name!r}, block {block}: {BLOCK_DEFECTS[status]}", offset=offset)


def _join(low: np.ndarray, high: np.ndarray, k: int) -> np.ndarray:
    return low if k <= 256 else low | high.astype(np.uint16) << 8


def open_coded(record: TensorRecord, payload: Payload, limits: Limits) -> CodedTensor:
    """Read all of a payload but its data.

    Raises:
        FormatError: the payload is not valid for the record.
        LimitError: the decoded tensor, dense or shared, would be larger than ``limits`` allow.
    """
    check_size(record, limits)
    data = byte_array(payload)
    head = read_head(record, data)
    codebook, start = read_codebook(record, data, head)
    tables, only, at = read_tables(data, start, alphabets(record.codec, head))
    entries = read_entry_table(record, data, at, head, len(only))
    check_sizes(record, limits, head.k, matrix(record, head.order)[0], int(entries.ends[-1]))
    return CodedTensor(record, data, head, codebook, tables, only, entries, at - start)


@decoder(CodecId.SHARED, CodecId.SPARSE, CodecId.PAPER)
def decode_coded(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> SharedTensor:
    """Codes and codebook, and where zeros are left out starts and minors."""
    return open_coded(record, data, limits).decode(executor)
