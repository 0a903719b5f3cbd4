"""The grouped codec's decoder: masks of groups of positions and codes, with contexts and phrases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.coded_head import check_decoded
from ...format_spec.coding import MAX_ALPHABET, MAX_CLASSES, POSITION_CLASSES, WORD_BYTES
from ...format_spec.word_models import Model, masks_by_symbol, read_model
from ._entries import read_entry_table
from ._opened import CodedTensor, RangeDecoder, Scratch
from ._tables import make_table, read_lengths
from .jitted.huffman import SEVERAL, TABLE, TABLE_BITS
from .jitted.masks import LANES, decode_grouped
from .jitted.words import PLAIN, POSITIONAL, fill_word_table

if TYPE_CHECKING:
    from ...format_spec.coded_head import CodedHead
    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord


@dataclass(frozen=True, eq=False)
class ModelTables:
    """The models of masks and of codes as :func:`.jitted.masks.decode_grouped` takes them."""

    plain: np.ndarray
    symbol_tables: np.ndarray
    only: np.ndarray
    tables: np.ndarray
    contexts: np.ndarray
    words: np.ndarray
    positional: bool

    @classmethod
    def of(cls, masks: Model, codes: Model) -> ModelTables:
        """Decoding tables of both models."""
        models = masks, codes
        plain = np.array([len(m.tables) == 1 and not m.phrases and m.base <= MAX_ALPHABET for m in models])
        symbol_tables, only = np.zeros((2, TABLE), np.uint32), np.full(2, SEVERAL, np.int64)
        tables = np.zeros((sum(len(m.tables) for m in models), 1 << TABLE_BITS), np.uint32)
        contexts = np.zeros((2, MAX_CLASSES, POSITION_CLASSES), np.int64)
        alphabets = [0 if p else m.base + len(m.phrases) for m, p in zip(models, plain, strict=True)]
        words = np.zeros((2, max(alphabets)), np.uint64)
        at = 0
        for i, model in enumerate(models):
            if plain[i]:
                lengths = model.tables[0]
                only[i] = make_table(lengths, symbol_tables[i])
            else:
                end = at + len(model.tables)
                _fill_words(model, at, tables[at:end], contexts[i], words[i])
                at = end
        return cls(plain, symbol_tables, only, tables[:at].reshape(-1), contexts.reshape(2, -1), words, codes.positional)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the decoder takes."""
        positional = POSITIONAL if self.positional else PLAIN
        return self.plain, self.symbol_tables, self.only, self.tables, self.contexts, self.words, positional


def _fill_words(model: Model, first: int, tables: np.ndarray, contexts: np.ndarray, words: np.ndarray) -> None:
    """Fill in what :func:`.jitted.words.decode_words` takes; the model's tables begin with table ``first`` of all."""
    meanings = model.words()
    sizes = np.array([len(word) for word in meanings])
    classes = np.searchsorted(np.array(model.cuts, np.int64), [word[-1] for word in meanings], side="right")
    contexts[: len(model.cuts) + 1] = np.reshape(model.contexts, (len(model.cuts) + 1, -1)) + first
    states = classes if model.positional else contexts[classes, 0]
    for lengths, table in zip(model.tables, tables, strict=True):
        fill_word_table(lengths, sizes, states, table)
    bits = 8 if model.base <= MAX_ALPHABET else 16
    words[: len(meanings)] = np.array([sum(s << bits * i for i, s in enumerate(word)) for word in meanings], np.uint64)


@dataclass(frozen=True, eq=False)
class GroupTables:
    """What the masks of a group size mean; see :func:`.jitted.masks.expand_masks`."""

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

    models: ModelTables

    def find_decoder(self) -> RangeDecoder:
        """See the base class."""
        return decode_grouped.once()

    @property
    def _shift(self) -> int:
        return int(1 << self.head.width > MAX_ALPHABET)

    def list_fixed(self) -> tuple[Any, ...]:
        """The first arguments of :func:`.jitted.masks.decode_grouped`, the same for every block."""
        entries, group, tables = self.entries, self.head.width, group_tables(self.head.width)
        meaning = group, self._shift, tables.masks, tables.sizes, tables.places, class_words()
        return self.data, entries.bounds, entries.first, entries.counts, *meaning, *self.models.arguments

    def scratch(self, first: int, stop: int) -> Scratch:
        """Bytes of mask symbols, and position classes."""
        nonzeros, groups = self.entries.counts[first:stop].max(axis=0).tolist()
        classes = np.zeros(nonzeros + WORD_BYTES if self.models.positional else 1, np.uint8)
        return np.empty(groups << self._shift, np.uint8), classes


def open_grouped(
    record: TensorRecord, data: np.ndarray, limits: Limits, head: CodedHead, codebook: np.ndarray, start: int
) -> GroupedTensor:
    """Read what follows the codebook, from ``data[start]`` on, but the data.

    Raises:
        FormatError: the payload is not valid for the record.
        LimitError: the decoded tensor would be larger than ``limits`` allow.
    """
    masks, at = read_model(data, start, 1 << head.width, read_lengths, may_be_positional=False)
    codes, at = read_model(data, at, head.k, read_lengths, may_be_positional=True)
    entries = read_entry_table(record, data, at, head, 2)
    check_decoded(record, head, limits, int(entries.ends[-1]))
    return GroupedTensor(record, data, head, codebook, entries, ModelTables.of(masks, codes))
