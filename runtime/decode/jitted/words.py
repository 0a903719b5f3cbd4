"""Jitted decoding of words: Huffman symbols that stand for one or more base symbols, each coded by its context's table.

As in :mod:`.huffman`, callers promise that slices and offsets lie inside their arrays; what the bits say is never trusted.
"""

from __future__ import annotations

import numpy as np

from ...jit.jitted import jit
from .bits import store_word
from .huffman import (
    ALONE,
    LOOKUPS,
    REFILL_BYTES,
    TABLE_BITS,
    WRONG_LENGTH,
    bit_of,
    check_end,
    last_window,
    pass_over,
    substreams,
    window_at,
)
from .tables import by_window

POSITIONAL, PLAIN = ((),), ()
"""Whether a table depends on the position of a symbol besides the one before, as the length of a tuple: known when compiled."""


def fill_word_table(lengths: np.ndarray, sizes: np.ndarray, states: np.ndarray, table: np.ndarray) -> None:
    """Fill ``table`` (2048,) uint32 from the ``lengths`` (alphabet,) int64 of a complete code, -1 where a symbol is unused.

    ``sizes`` and ``states`` (alphabet,) int64: base symbols of a symbol's word, and what is to be known of it for the next one:
    the class of its last symbol, or where positions do not matter, the number of the next table. An entry is: bits of the code
    (bits 0-7), size (8-15), symbol (16-25), state (26-31).
    """
    symbol, bits = np.empty((2, ALONE), np.int64)
    by_window(lengths, symbol, bits)
    table[:] = bits | sizes[symbol] << 8 | symbol << 16 | states[symbol] << 26


@jit(forceinline=True)
def _entry(tables, contexts, classes, positional, before, window, at):
    number = before
    if len(positional) > 0:
        number = np.uint64(contexts[(before << np.uint64(2)) + np.uint64(classes[np.uint64(at)])])
    return tables[(number << np.uint64(TABLE_BITS)) + (window >> np.uint64(64 - TABLE_BITS))]


@jit(forceinline=True)
def _size(entry):
    return np.int64(entry >> np.uint32(8) & np.uint32(255))


@jit(forceinline=True)
def _symbol(entry):
    return entry >> np.uint32(16) & np.uint32(1023)


@jit(forceinline=True)
def _state(entry):
    return np.uint64(entry >> np.uint32(26))


@jit(forceinline=True)
def _step(tables, contexts, classes, positional, words, before, window, out, shift, at):
    entry = _entry(tables, contexts, classes, positional, before, window, at)
    store_word(out, at << shift, words[_symbol(entry)])
    return pass_over(window, entry), at + _size(entry), _state(entry)


@jit(forceinline=True)
def _rounds(bit, size, at, stop, shift):
    """Refills that surely stay inside ``data`` (of ``size`` bytes) and the output, each word taking eight bytes of it."""
    return min((size - 8 - np.int64(bit >> np.uint64(3))) // REFILL_BYTES, ((stop - at) << shift) // (LOOKUPS * 8))


@jit
def _finish(data, bit, end, tables, contexts, classes, positional, words, before, out, shift, at, stop):
    """Decode the rest of one substream and check that it ends where it should. ``bit`` counts from ``data``'s start."""
    limit = np.uint64(end) * np.uint64(8)
    while at < stop:
        entry = _entry(tables, contexts, classes, positional, before, last_window(data, bit, end), at)
        size = _size(entry)
        bit += np.uint64(entry & np.uint32(63))
        if bit > limit or at + size > stop:
            return WRONG_LENGTH
        word, before = words[_symbol(entry)], _state(entry)
        for index in range(size << shift):
            out[(at << shift) + index] = word >> np.uint64(8 * index) & np.uint64(255)
        at += size
    return check_end(data, bit, end) if at == stop else WRONG_LENGTH


@jit
def _side_by_side(data, p, tables, contexts, classes, positional, words, before, out, shift, a, s):
    """Decode four substreams, at bits ``p`` of ``data``, to ``out`` at ``a`` until one is nearly at its end, of ``s``.

    Returns ``p``, ``a`` and the state of each substream behind its last symbol, which is ``before`` at first.
    """
    (p0, p1, p2, p3), (a0, a1, a2, a3), size = p, a, len(data)
    c0 = c1 = c2 = c3 = before
    while True:
        rounds = min(
            min(_rounds(p0, size, a0, s[0], shift), _rounds(p1, size, a1, s[1], shift)),
            min(_rounds(p2, size, a2, s[2], shift), _rounds(p3, size, a3, s[3], shift)),
        )
        if rounds <= 0:
            return (p0, p1, p2, p3), (a0, a1, a2, a3), (c0, c1, c2, c3)
        for _ in range(rounds):
            w0, w1, w2, w3 = window_at(data, p0), window_at(data, p1), window_at(data, p2), window_at(data, p3)
            for _ in range(LOOKUPS):
                w0, a0, c0 = _step(tables, contexts, classes, positional, words, c0, w0, out, shift, a0)
                w1, a1, c1 = _step(tables, contexts, classes, positional, words, c1, w1, out, shift, a1)
                w2, a2, c2 = _step(tables, contexts, classes, positional, words, c2, w2, out, shift, a2)
                w3, a3, c3 = _step(tables, contexts, classes, positional, words, c3, w3, out, shift, a3)
            p0, p1, p2, p3 = bit_of(w0, p0), bit_of(w1, p1), bit_of(w2, p2), bit_of(w3, p3)


@jit
def decode_words(data, offsets, tables, contexts, classes, positional, words, out, shift, start, stop):
    """Decode base symbols ``start`` to ``stop`` of ``out`` (bytes, uint8; two a symbol when ``shift`` is 1); return a status.

    ``offsets`` (substreams + 1,) int64 bound each substream in ``data``. ``tables`` uint32: tables of 2048 entries, one after
    another. ``contexts`` (32,) int64: number of the table after a symbol of class i before one of position class j, at 4 * i +
    j. ``classes`` uint8: the position classes, which are read where the model is :data:`POSITIONAL`. ``words`` (alphabet,)
    uint64: the bytes of each symbol's word.
    """
    parts, first = len(offsets) - 1, np.uint64(contexts[0])
    if len(positional) > 0:
        first = np.uint64(0)
    p, a, s = substreams(offsets, start, stop)
    before = (first, first, first, first)
    if parts == 4:
        p, a, before = _side_by_side(data, p, tables, contexts, classes, positional, words, first, out, shift, a, s)
    for i in range(parts):
        status = _finish(
            data, p[i], offsets[i + 1], tables, contexts, classes, positional, words, before[i], out, shift, a[i], s[i]
        )
        if status:
            return status
    return 0
