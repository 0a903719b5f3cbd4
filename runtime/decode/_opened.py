"""What open payloads have in common: blocks that decode independently, into the arrays of a shared tensor."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...format_spec.coding import CodecId
from ...format_spec.errors import FormatError
from ...format_spec.tensors import SharedTensor
from ._entries import Entries
from .jitted.blocks import CODE_RANGE, MISCOUNTED, OUTSIDE
from .jitted.huffman import PADDING, WRONG_LENGTH
from .jitted.planes import SIGNS

if TYPE_CHECKING:
    from ...format_spec.coded_head import CodedHead
    from ...format_spec.records import TensorRecord
    from ._registry import Executor

Scratch: TypeAlias = "tuple[np.ndarray, ...]"
"""Arrays that decoding a range of blocks needs meanwhile."""

RangeDecoder: TypeAlias = "Callable[..., tuple[int, int]]"
"""Jitted: decodes a range of blocks; (block at fault, status), which is 0 when all is well."""

RANGES, ENTRIES = 8, (1 << 17, 1 << 19)
"""Ranges that a parallel decode deals out, and the fewest and most entries of one, about: 0.3 to 1.2 ms of work. Each hand-over
takes the interpreter's lock."""

BLOCK_DEFECTS = {
    WRONG_LENGTH: "a substream does not hold exactly its symbols",
    PADDING: "the padding of a substream is not zero",
    OUTSIDE: "a nonzero lies outside its block",
    MISCOUNTED: "its gaps or masks do not have the nonzeros that its entry says",
    CODE_RANGE: "a code is not an index of the codebook",
    SIGNS: "bits after the signs of its zeros are not zero",
}


@dataclass(frozen=True, eq=False, repr=False)
class CodedTensor(ABC):
    """An open payload; its blocks decode independently of one another, from any thread."""

    record: TensorRecord
    data: np.ndarray
    head: CodedHead
    codebook: np.ndarray
    entries: Entries

    @property
    def block_count(self) -> int:
        """Number of blocks."""
        return len(self.entries.counts)

    @cached_property
    def majors(self) -> int:
        """Length of the major axis."""
        return self.record.matrix(self.head.order)[0]

    @cached_property
    def minor_length(self) -> int:
        """Length of the minor axis."""
        return self.record.matrix(self.head.order)[1]

    @property
    def leaves_zeros_out(self) -> bool:
        """Whether there are gaps or masks."""
        return self.record.codec != CodecId.SHARED

    @property
    def bytes(self) -> int:
        """Memory of everything that decoding reads."""
        return sum(part.nbytes for part in self.fixed if isinstance(part, np.ndarray))

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
        left = iter(ranges)

        def decode_ranges(_: int) -> None:
            scratch = self.scratch(0, self.block_count)
            for span in left:
                self._decode(*span, scratch, starts, minors, low, high)

        for _ in (executor.map if executor else map)(decode_ranges, range(min(len(ranges), os.cpu_count() or 1))):
            pass
        record, kept = self.record, (starts, minors) if self.leaves_zeros_out else (None, None)
        codes = _join(low, high, self.head.k)
        return SharedTensor(record.dtype, record.shape, record.row_axes, self.head.order, *kept, codes, self.codebook)

    def _ranges(self) -> list[tuple[int, int]]:
        count, (least, most) = int(self.entries.ends[-1]), ENTRIES
        steps = np.arange(0, count, min(most, max(least, count // RANGES)))
        cuts = {0, *np.searchsorted(self.entries.ends, steps).tolist(), self.block_count}
        return list(pairwise(sorted(cuts)))

    def _decode(
        self, first: int, stop: int, scratch: Scratch, starts: np.ndarray, minors: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> None:
        """Decode a range into its places in the whole tensor's arrays; ``scratch``: see :meth:`scratch`."""
        begin, end = int(self.entries.ends[first]), int(self.entries.ends[stop])
        ends = starts[first * self.head.block_majors + 1 : min(stop * self.head.block_majors, self.majors) + 1]
        self.decode_into(first, stop, scratch, ends, minors[begin:end], low[begin:end], high[begin:end])
        if self.leaves_zeros_out:
            ends += begin

    @cached_property
    def decoder(self) -> RangeDecoder:
        """The jitted decoder of this codec, to be called with arguments of this tensor only."""
        return self.find_decoder()

    @cached_property
    def fixed(self) -> tuple[Any, ...]:
        """What the decoder takes first, whatever the blocks."""
        return self.list_fixed()

    @abstractmethod
    def find_decoder(self) -> RangeDecoder:
        """:attr:`decoder`."""

    @abstractmethod
    def list_fixed(self) -> tuple[Any, ...]:
        """:attr:`fixed`."""

    @abstractmethod
    def scratch(self, first: int, stop: int) -> Scratch:
        """Scratch arrays that blocks ``first`` to ``stop`` need, each block in its turn."""

    def decode_into(
        self, first: int, stop: int, scratch: Scratch, ends: np.ndarray, minors: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> None:
        """Decode blocks ``first`` to ``stop``: for each major where its entries end, ``ends`` int64 (when zeros are left out),
        for each entry its place ``minors`` uint32 (empty when they are not) and the bytes of its code, uint8 (``high`` is empty
        when one is enough). ``scratch``: see :meth:`scratch`.

        Raises:
            FormatError: a block's bits are malformed.
        """
        block, status = self.decoder(
            *self.fixed, first, stop, self.head.block_majors, len(ends), self.minor_length, *scratch, ends, minors, low, high
        )
        if status:
            raise block_defect(self.record, self.entries, block, status)


def block_defect(record: TensorRecord, entries: Entries, block: int, status: int) -> FormatError:
    """The error of a block that its decoder has found fault with."""
    sequences = (len(entries.first) - 1) // len(entries.counts)
    offset = int(entries.bounds[entries.first[block * sequences]])
    return FormatError(f"block {block}: {BLOCK_DEFECTS[status]}", offset=offset, tensor=record.name)


def _join(low: np.ndarray, high: np.ndarray, k: int) -> np.ndarray:
    return low if k <= 256 else low | high.astype(np.uint16) << 8
