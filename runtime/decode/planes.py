"""Decoder of the planes codec."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...format_spec.coding import CodecId
from ...format_spec.planes_head import read_planes_head
from ...format_spec.records import check_size
from ...format_spec.tensors import DenseTensor
from ._entries import read_block_entries
from ._opened import block_defect
from ._registry import byte_array, decoder
from ._tables import read_tables
from .jitted.entries import SHARED, SIGNED, SPARSE
from .jitted.planes import decode_planes, list_by_majors, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ...format_spec.limits import Limits
    from ...format_spec.planes_head import PlanesHead
    from ...format_spec.records import TensorRecord
    from ._entries import Entries
    from ._registry import Executor, Payload

    Listed: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
    """Words, places (none without gaps) and bytes of signs of some blocks."""

PLACE = np.dtype(np.uint32)
"""The type of positions in a block."""

MOST_PLACES = 1 << 32
"""Elements of a tensor whose places among those with the same first index surely fit :data:`PLACE`."""

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


@dataclass(frozen=True, eq=False)
class OpenPlanes:
    """A payload of which all but the data has been read.

    ``ends`` and ``sign_ends`` (blocks + 1,) int64: where blocks begin in the elements that are listed, and in bytes of signs.
    """

    record: TensorRecord
    head: PlanesHead
    data: np.ndarray
    tables: np.ndarray
    only: np.ndarray
    entries: Entries
    sign_ends: np.ndarray

    @property
    def ends(self) -> np.ndarray:
        """See the class."""
        return self.entries.ends

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """Ranges of blocks with about :data:`RANGE` elements each."""
        cuts = np.searchsorted(self.ends, np.arange(0, self.ends[-1], RANGE)).tolist()
        return list(pairwise(sorted({0, *cuts, len(self.entries.counts)})))

    def room(self, first: int, stop: int) -> Listed:
        """Arrays for what blocks ``first`` to ``stop`` list."""
        count, places = int(self.ends[stop] - self.ends[first]), self.head.gap_symbols > 0
        signs = np.empty(self.sign_ends[stop] - self.sign_ends[first], np.uint8)
        return np.empty(count, f"u{self.record.dtype.itemsize}"), np.empty(count * places, PLACE), signs

    def part(self, listed: Listed, first: int, stop: int) -> Listed:
        """The part of these blocks in what all list."""
        (words, places, signs), own = listed, slice(self.ends[first], self.ends[stop])
        return words[own], places[own], signs[self.sign_ends[first] : self.sign_ends[stop]]

    @property
    def bytes(self) -> int:
        """Memory of everything that decoding reads."""
        kept = self.data, self.tables, *vars(self.entries).values(), self.sign_ends
        return sum(part.nbytes for part in kept)

    def decode(self, first: int, stop: int, listed: Listed) -> None:
        """Fill ``listed``, which is of these blocks."""
        entries, head, record = self.entries, self.head, self.record
        most, symbols = entries.counts[first:stop].max(axis=0).tolist()
        gaps, planes = np.empty(symbols, np.uint8), np.empty((record.dtype.itemsize, most), np.uint8)
        coded = self.data, entries.bounds, entries.first, entries.counts, self.tables, self.only
        numbers = head.before, head.gap_symbols - 1, record.size, head.block
        block, status = decode_planes(*coded, *numbers, self.ends, self.sign_ends, first, stop, gaps, planes, *listed)
        if status:
            raise block_defect(record, entries, block, status)


@decoder(CodecId.PLANES)
def decode_planes_of(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> DenseTensor:
    """Elements of all blocks. Where zeros are left out, the others stay listed until all are asked for, unless that takes as
    many bytes as all of them: then each is put where it belongs at once, lest a tensor take four times its bytes.
    """
    opened = open_planes(record, data, limits)
    blocks, width = len(opened.entries.counts), record.dtype.itemsize
    gapped, run = opened.head.gap_symbols > 0, executor.map if executor else map
    listed_bytes = int(opened.ends[-1]) * (PLACE.itemsize + width)
    if gapped and (listed_bytes >= record.dense_bytes or record.size > MOST_PLACES):
        return DenseTensor.of(_elements(record, _decode_dense(opened, run)))
    listed = words, places, _ = _decode_listed(opened, run)
    if not gapped:
        return DenseTensor.of(_elements(record, words))

    ends, sign_ends, block = opened.ends, opened.sign_ends, opened.head.block  # what is kept must not keep the payload

    def dense() -> np.ndarray:
        out = np.zeros(record.size, words.dtype)
        spread(*listed, ends, sign_ends, 0, blocks, block, out)
        return _elements(record, out)

    return PrunedTensor(record.dtype, record.shape, dense, words.view(record.dtype), places, ends, block)


def open_planes(record: TensorRecord, payload: Payload, limits: Limits) -> OpenPlanes:
    """Read all of a payload but its data.

    Raises:
        FormatError: the payload is not valid for the record.
        LimitError: the decoded tensor would be larger than ``limits`` allow.
    """
    check_size(record, limits)
    data = byte_array(payload)
    head = read_planes_head(record, data)
    tables, only, at = read_tables(data, head.size, head.alphabets(record.dtype.itemsize))
    kind, sizes = (SHARED, SPARSE, SIGNED)[head.before], (record.size, head.block)
    entries = read_block_entries(kind, data, at, sizes, 0, len(only))
    return OpenPlanes(record, head, data, tables, only, entries, _sign_ends(entries.ends, *sizes, signed=head.signed))


def _decode_listed(opened: OpenPlanes, run: Callable[..., Iterable[None]]) -> Listed:
    """What all blocks list, range by range."""
    listed = opened.room(0, len(opened.entries.counts))

    def decode_range(span: tuple[int, int]) -> None:
        opened.decode(*span, opened.part(listed, *span))

    for _ in run(decode_range, opened.ranges):
        pass
    return listed


def _decode_dense(opened: OpenPlanes, run: Callable[..., Iterable[None]]) -> np.ndarray:
    """All words (size,), range by range."""
    out = np.zeros(opened.record.size, f"u{opened.record.dtype.itemsize}")

    def decode_range(span: tuple[int, int]) -> None:
        listed = opened.room(*span)
        opened.decode(*span, listed)
        spread(*listed, opened.ends, opened.sign_ends, *span, opened.head.block, out)

    for _ in run(decode_range, opened.ranges):
        pass
    return out


def _elements(record: TensorRecord, words: np.ndarray) -> np.ndarray:
    return words.view(record.dtype).reshape(record.shape)


def _sign_ends(ends: np.ndarray, size: int, block: int, *, signed: bool) -> np.ndarray:
    """(blocks + 1,) int64: bytes of signs before each block, and of all; ``ends`` counts the elements that are listed."""
    zeros = np.diff(np.minimum(np.arange(len(ends)) * block, size) - ends)
    return np.concatenate([[0], np.cumsum((zeros + 7) // 8 * signed)]).astype(np.int64)
