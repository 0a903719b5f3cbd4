"""Models of the grouped codec: phrases, contexts and their Huffman codes (SPEC.md, section 5.11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .coding import MAX_ALPHABET, MAX_PHRASES, POSITION_CLASSES, POSITIONAL_FLAG, WORD_BYTES
from .errors import FormatError
from .varint import read_varint, write_varint

if TYPE_CHECKING:
    from .varint import Bytes

ReadTable: TypeAlias = Callable[..., tuple[np.ndarray, int]]


@dataclass(frozen=True, eq=False)
class Model:
    """How the symbols of one sequence kind are coded.

    ``base``: symbols of the sequence; ``phrases``: pairs of symbols, phrase ``i`` being symbol ``base + i``; ``cuts``: the
    first base symbol of every class but the first; ``contexts`` (contexts,): the table of each context; ``tables``: code
    lengths (base + phrases,) int64 of each table, -1 where unused.
    """

    base: int
    phrases: tuple[tuple[int, int], ...]
    cuts: tuple[int, ...]
    positional: bool
    contexts: tuple[int, ...]
    tables: tuple[np.ndarray, ...]

    def words(self) -> list[tuple[int, ...]]:
        """The base symbols that each symbol stands for."""
        words: list[tuple[int, ...]] = [(symbol,) for symbol in range(self.base)]
        for first, second in self.phrases:
            words.append(words[first] + words[second])
        return words

    def context(self, previous: int, position_class: int) -> int:
        """The context after the base symbol ``previous`` (-1: none) before a symbol of this position class."""
        before = 0 if previous < 0 else sum(cut <= previous for cut in self.cuts)
        return before * POSITION_CLASSES + position_class if self.positional else before


def longest_word(base: int) -> int:
    """Base symbols of the longest word: as many as fit eight bytes."""
    return WORD_BYTES if base <= MAX_ALPHABET else WORD_BYTES // 2


def context_count(classes: int, positional: bool) -> int:
    """Contexts of a model."""
    return classes * (POSITION_CLASSES if positional else 1)


def write_model(model: Model, write_table: Callable[[np.ndarray], bytes]) -> bytes:
    """The model as stored."""
    out = bytearray()
    write_varint(out, len(model.phrases))
    for pair in model.phrases:
        for symbol in pair:
            write_varint(out, symbol)
    out.append(len(model.cuts) | (POSITIONAL_FLAG if model.positional else 0) | len(model.tables) - 1 << 4)
    for cut in model.cuts:
        write_varint(out, cut)
    width = (len(model.tables) - 1).bit_length()
    bits = "".join(format(table, f"0{width}b") for table in model.contexts) if width else ""
    bits += "0" * (-len(bits) % 8)
    out += bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    return bytes(out) + b"".join(map(write_table, model.tables))


def read_model(data: Bytes, at: int, base: int, read_table: ReadTable, *, may_be_positional: bool) -> tuple[Model, int]:
    """The model at ``data[at]`` for ``base`` symbols, and the offset after it; ``read_table`` reads a Huffman table.

    Raises:
        FormatError: the data ends, or a field is out of range.
    """
    phrases, at = _read_phrases(data, at, base)
    if at >= len(data):
        raise FormatError("the data ends inside a model", offset=at)
    shape = int(data[at])
    positional = bool(shape & POSITIONAL_FLAG)
    if positional and not may_be_positional:
        raise FormatError("a model of masks has position classes", offset=at)
    cuts, at = _read_cuts(data, at + 1, shape & 7, base)
    tables = (shape >> 4) + 1
    contexts, at = _read_contexts(data, at, context_count(len(cuts) + 1, positional), tables)
    lengths = []
    for _ in range(tables):
        table, at = read_table(data, at, base + len(phrases))
        lengths.append(table)
    return Model(base, tuple(phrases), tuple(cuts), positional, contexts, tuple(lengths)), at


def _read_phrases(data: Bytes, at: int, base: int) -> tuple[list[tuple[int, int]], int]:
    start = at
    count, at = read_varint(data, at)
    if count > MAX_PHRASES:
        raise FormatError(f"{count} phrases; at most {MAX_PHRASES} are allowed", offset=start)
    phrases, sizes = [], [1] * base
    for _ in range(count):
        start = at
        first, at = read_varint(data, at)
        second, at = read_varint(data, at)
        if max(first, second) >= len(sizes) or sizes[first] + sizes[second] > longest_word(base):
            raise FormatError("a phrase of a symbol that is not defined before it, or of too many symbols", offset=start)
        phrases.append((first, second))
        sizes.append(sizes[first] + sizes[second])
    return phrases, at


def _read_cuts(data: Bytes, at: int, count: int, base: int) -> tuple[list[int], int]:
    cuts: list[int] = []
    for _ in range(count):
        start = at
        cut, at = read_varint(data, at)
        if not (cuts[-1] if cuts else 0) < cut < base:
            raise FormatError(f"a class that begins at symbol {cut}", offset=start)
        cuts.append(cut)
    return cuts, at


def _read_contexts(data: Bytes, at: int, count: int, tables: int) -> tuple[tuple[int, ...], int]:
    width = (tables - 1).bit_length()
    after = at + -(-count * width // 8)
    if after > len(data):
        raise FormatError("the data ends inside a context map", offset=at)
    bits = "".join(format(byte, "08b") for byte in bytes(data[at:after]))
    contexts = tuple(int(bits[i * width : (i + 1) * width], 2) if width else 0 for i in range(count))
    if max(contexts) >= tables or "1" in bits[count * width :]:
        raise FormatError("a context map names a missing table, or its padding is not zero", offset=at)
    return contexts, after


@cache
def masks_by_symbol(group: int) -> np.ndarray:
    """The masks of ``group`` positions in the order of their symbols, (2**group,) uint16: by nonzeros, then by value."""
    masks = np.arange(1 << group)
    sizes = np.array([mask.bit_count() for mask in masks.tolist()])
    return masks[np.argsort(sizes, kind="stable")].astype(np.uint16)


@cache
def sizes_by_symbol(group: int) -> np.ndarray:
    """The nonzeros of each mask in the order of :func:`masks_by_symbol`, (2**group,) int64, ascending."""
    return np.array([mask.bit_count() for mask in masks_by_symbol(group).tolist()], np.int64)
