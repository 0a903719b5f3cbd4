"""The grouped codec's decoder: masks of groups of positions and codes, with contexts and phrases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.coding import MAX_ALPHABET, MAX_CLASSES, POSITION_CLASSES, WORD_BYTES
from ...format_spec.word_models import Model, masks_by_symbol, read_model
from ._huffman import PAIRS, TABLE_BITS, fill_table
from ._masks import LANES, decode_grouped
from ._opened import CodedTensor, Room
from ._payload import check_sizes, matrix, read_entry_table
from ._tables import read_lengths
from ._words import fill_word_table

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord
    from ._payload import Head


@dataclass(frozen=True, eq=False)
class WordTables:
    """A model as kernels take it: ``pairs`` and ``only`` when it is plain, else the others; see :mod:`._words`."""

    pairs: np.ndarray
    only: int
    tables: np.ndarray
    contexts: np.ndarray
    words: np.ndarray
    class_mask: int

    @classmethod
    def of(cls, model: Model) -> WordTables:
        """Decoding tables of a model."""
        nothing = np.zeros(0, np.uint32)
        if len(model.tables) == 1 and not model.phrases and model.base <= MAX_ALPHABET:
            pairs, lengths = np.zeros(1 << TABLE_BITS, np.uint32), model.tables[0]
            only = int(lengths.argmax()) if lengths.max() == 0 else fill_table(lengths, pairs)
            return cls(pairs, only, nothing, np.zeros(0, np.int64), np.zeros(0, np.uint64), 0)
        meanings = model.words()
        sizes = np.array([len(word) for word in meanings])
        classes = np.searchsorted(np.array(model.cuts, np.int64), [word[-1] for word in meanings], side="right")
        tables = np.zeros((len(model.tables), 1 << TABLE_BITS), np.uint32)
        for lengths, table in zip(model.tables, tables, strict=True):
            fill_word_table(lengths, sizes, classes, table)
        contexts = np.zeros((MAX_CLASSES, POSITION_CLASSES), np.int64)
        contexts[: len(model.cuts) + 1] = np.reshape(model.contexts, (len(model.cuts) + 1, -1)) << TABLE_BITS
        return cls(nothing, PAIRS, tables.reshape(-1), contexts.reshape(-1), _word_bytes(model), -1 if model.positional else 0)

    @property
    def arguments(self) -> tuple[np.ndarray, int, np.ndarray, np.ndarray, np.ndarray]:
        """What kernels take, without the class mask."""
        return self.pairs, self.only, self.tables, self.contexts, self.words


def _word_bytes(model: Model) -> np.ndarray:
    """The bytes of each symbol's word, (alphabet,) uint64."""
    bits = 8 if model.base <= MAX_ALPHABET else 16
    return np.array([sum(s << bits * i for i, s in enumerate(word)) for word in model.words()], np.uint64)


@dataclass(frozen=True, eq=False)
class GroupTables:
    """What the masks of a group size mean; see :func:`._masks.expand_masks`."""

    masks: np.ndarray
    sizes: np.ndarray
    places: np.ndarray


@cache
def group_tables(group: int) -> GroupTables:
    """The tables of one group size."""
    masks = masks_by_symbol(group).astype(np.int64)
    occupied = masks[:, None] >> np.arange(group) & 1
    places = np.zeros((len(masks), LANES), np.uint8)
    for row, mask in zip(places, occupied, strict=True):
        found = np.flatnonzero(mask)[:LANES]
        row[: len(found)] = found
    return GroupTables(masks, occupied.sum(axis=1), places.reshape(-1))


@cache
def class_words() -> np.ndarray:
    """(10,) uint64: the position classes of a group's nonzeros, a byte each, by their number."""
    later = [1, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    return np.array([sum(c << 8 * i for i in range(1, WORD_BYTES)) for c in later], np.uint64)


@dataclass(frozen=True, eq=False, repr=False)
class GroupedTensor(CodedTensor):
    """An open payload of the grouped codec."""

    masks: WordTables
    codes: WordTables

    @cached_property
    def fixed(self) -> tuple[Any, ...]:
        """The first arguments of :func:`._masks.decode_grouped`, the same for every block."""
        entries, group, tables = self.entries, self.head.width, group_tables(self.head.width)
        shift = int(len(tables.masks) > MAX_ALPHABET)
        meaning = group, shift, tables.masks, tables.sizes, tables.places, class_words()
        models = *self.masks.arguments, *self.codes.arguments, self.codes.class_mask
        return self.data, entries.bounds, entries.first, entries.counts, *meaning, *models

    def room(self, first: int, stop: int) -> Room:
        """Mask symbols as bytes, the same memory as uint16 where a symbol takes two, and position classes."""
        nonzeros, groups = self.entries.counts[first:stop].max(axis=0).tolist()
        shift = int(1 << self.head.width > MAX_ALPHABET)
        symbols = np.empty(groups << shift, np.uint8)
        wide = symbols.view(np.uint16) if shift else np.empty(0, np.uint16)
        return symbols, wide, np.zeros(nonzeros + WORD_BYTES if self.codes.class_mask else 1, np.uint8)

    def _run(self, first: int, stop: int, ends: np.ndarray, minors: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        block, status = decode_grouped(
            *self.fixed, first, stop, self.head.block_majors, len(ends), self.minor_length, *self.room(first, stop), ends,
            minors, low,
        )  # fmt: skip
        if status:
            raise self.defect(block, status)


def open_grouped(
    record: TensorRecord, data: np.ndarray, limits: Limits, head: Head, codebook: np.ndarray, start: int
) -> GroupedTensor:
    """Read what follows the codebook, from ``data[start]`` on, but the data.

    Raises:
        FormatError: the payload is not valid for the record.
        LimitError: the decoded tensor would be larger than ``limits`` allow.
    """
    masks, at = read_model(data, start, 1 << head.width, read_lengths, may_be_positional=False)
    codes, at = read_model(data, at, head.k, read_lengths, may_be_positional=True)
    entries = read_entry_table(record, data, at, head, 2)
    check_sizes(record, limits, head.k, matrix(record, head.order)[0], int(entries.ends[-1]))
    sizes = (start - head.size, at - start)
    return GroupedTensor(record, data, head, codebook, entries, *sizes, WordTables.of(masks), WordTables.of(codes))
