"""Canonical, length-limited Huffman codes and their tables."""

from __future__ import annotations

import numpy as np

from .coding import MAX_CODE_LENGTH
from .errors import FormatError

UNUSED = -1
"""The length that stands for a symbol without a code; 0 belongs to the only symbol of an alphabet in use."""

FIRST_UNUSED_RANK = 3
"""Rank of "unused" in a table after a symbol that is in use; after an unused one its rank is 0."""


def code_lengths(counts: np.ndarray, limit: int = MAX_CODE_LENGTH) -> np.ndarray:
    """Lengths of an optimal prefix code with no code over ``limit`` bits: package-merge (Larmore and Hirschberg, 1990).

    ``counts`` (alphabet,): how often each symbol occurs, at least one of them. Returns (alphabet,) int64 with
    :data:`UNUSED` where a symbol does not occur. Ties go to the lower symbol, so equal counts give equal codes.
    """
    lengths = np.full(len(counts), UNUSED, np.int64)
    used = np.flatnonzero(counts)
    order = used[np.argsort(counts[used], kind="stable")]
    weights = counts[order].astype(np.int64)
    lengths[order] = 0
    merged, levels = weights, [np.ones(len(order), bool)]
    for _ in range(limit - 1):
        packages = merged[: len(merged) // 2 * 2].reshape(-1, 2).sum(axis=1)
        items = np.concatenate([weights, packages])
        rank = np.argsort(items, kind="stable")
        merged = items[rank]
        levels.append(rank < len(order))
    taken = 2 * len(order) - 2
    for is_symbol in reversed(levels):
        symbols = int(np.count_nonzero(is_symbol[:taken]))
        lengths[order[:symbols]] += 1
        taken = 2 * (taken - symbols)
    return lengths


def canonical_codes(lengths: np.ndarray) -> np.ndarray:
    """The code of each symbol, (alphabet,) int64: shorter codes first, then lower symbols, counting up from 0."""
    codes = np.zeros(len(lengths), np.int64)
    code, previous = 0, 0
    for symbol in sorted(np.flatnonzero(lengths >= 0), key=lambda s: (lengths[s], s)):
        code <<= int(lengths[symbol]) - previous
        previous = int(lengths[symbol])
        codes[symbol] = code
        code += 1
    return codes


def _rank(length: int, previous: int, after_unused: bool) -> int:
    if length == UNUSED:
        return 0 if after_unused else FIRST_UNUSED_RANK
    change = length - previous
    zigzag = 2 * change - 1 if change > 0 else -2 * change
    return zigzag + (1 if after_unused or zigzag >= FIRST_UNUSED_RANK else 0)


def _length(rank: int, previous: int, after_unused: bool) -> int:
    unused_rank = 0 if after_unused else FIRST_UNUSED_RANK
    if rank == unused_rank:
        return UNUSED
    zigzag = rank - (rank > unused_rank)
    return previous + ((zigzag + 1) // 2 if zigzag % 2 else -(zigzag // 2))


def _first_previous(alphabet: int) -> int:
    return min((alphabet - 1).bit_length(), MAX_CODE_LENGTH)


def write_table(lengths: np.ndarray) -> bytes:
    """The table that :func:`read_table` reads."""
    bits, kraft, previous, after_unused = "", 0, _first_previous(len(lengths)), False
    for length in lengths.tolist():
        bits += "0" * _rank(length, previous, after_unused) + "1"
        after_unused = length == UNUSED
        if not after_unused:
            previous = length
            kraft += 1 << (MAX_CODE_LENGTH - length)
        if kraft == 1 << MAX_CODE_LENGTH:
            break
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def read_table(data: bytes, offset: int, alphabet: int) -> tuple[np.ndarray, int]:
    """Lengths (alphabet,) of the table at ``data[offset]``, and the offset after it.

    Raises:
        FormatError: the data ends inside the table, a length is out of range, the lengths are not those of a complete
            prefix code, or the padding is not zero.
    """
    lengths = np.full(alphabet, UNUSED, np.int64)
    kraft, previous, after_unused, at = 0, _first_previous(alphabet), False, 8 * offset

    def bit(position: int) -> int:
        if position >= 8 * len(data):
            raise FormatError("the data ends inside a Huffman table", offset=offset)
        return data[position >> 3] >> (7 - (position & 7)) & 1

    for symbol in range(alphabet):
        rank = 0
        while not bit(at):
            rank, at = rank + 1, at + 1
            if rank > 2 * MAX_CODE_LENGTH + 1:
                raise FormatError("a code length in a Huffman table is out of range", offset=offset)
        at += 1
        length = _length(rank, previous, after_unused)
        after_unused = length == UNUSED and rank == (0 if after_unused else FIRST_UNUSED_RANK)
        if after_unused:
            continue
        if not 0 <= length <= MAX_CODE_LENGTH:
            raise FormatError("a code length in a Huffman table is out of range", offset=offset)
        lengths[symbol] = previous = length
        kraft += 1 << (MAX_CODE_LENGTH - length)
        if kraft >= 1 << MAX_CODE_LENGTH:
            break
    if kraft != 1 << MAX_CODE_LENGTH:
        raise FormatError("a Huffman table's lengths are not those of a complete prefix code", offset=offset)
    while at % 8:
        if bit(at):
            raise FormatError("the padding of a Huffman table is not zero", offset=offset)
        at += 1
    return lengths, at // 8
