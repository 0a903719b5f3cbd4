"""Jitted decoding of words: Huffman symbols that stand for one or more base symbols, each coded by its context's table.

As in :mod:`._huffman`, callers promise that slices and offsets lie inside their arrays; what the bits say is never trusted.
"""

from __future__ import annotations

import numpy as np

from ..kernels._jit import jit
from ._bits import store_word
from ._huffman import LOOKUPS, REFILL_BYTES, TABLE_BITS, WRONG_LENGTH, by_window, check_end, last_window, substreams, window_at


def fill_word_table(lengths: np.ndarray, sizes: np.ndarray, classes: np.ndarray, table: np.ndarray) -> None:
    """Fill ``table`` (2048,) uint32 from the ``lengths`` (alphabet,) int64 of a complete code, -1 where a symbol is unused.

    ``sizes`` and ``classes`` (alphabet,) int64: base symbols of a symbol's word, class of the last. An entry is: symbol
    (bits 0-9), bits of its code (10-13), size (14-17), class (18-20).
    """
    symbol, bits = by_window(lengths)
    table[:] = symbol | bits << 10 | sizes[symbol] << 14 | classes[symbol] << 18


@jit(forceinline=True)
def _entry(tables, contexts, classes, class_mask, before, window, at):
    context = (before << np.uint64(2)) + np.uint64(classes[np.uint64(at & class_mask)])
    return tables[np.uint64(contexts[context]) + (window >> np.uint64(64 - TABLE_BITS))]


@jit(forceinline=True)
def _step(tables, contexts, classes, class_mask, words, before, window, out, shift, at):
    entry = _entry(tables, contexts, classes, class_mask, before, window, at)
    store_word(out, at << shift, words[entry & np.uint32(1023)])
    bits = np.uint64(entry >> np.uint32(10) & np.uint32(15))
    return window << bits, bits, at + np.int64(entry >> np.uint32(14) & np.uint32(15)), np.uint64(entry >> np.uint32(18))


@jit(forceinline=True)
def _rounds(bit, size, at, stop, shift):
    """Refills that surely stay inside ``data`` (of ``size`` bytes) and the output, each word taking eight bytes of it."""
    return min((size - 8 - np.int64(bit >> np.uint64(3))) // REFILL_BYTES, ((stop - at) << shift) // (LOOKUPS * 8))


@jit
def _finish(data, bit, end, tables, contexts, classes, class_mask, words, before, out, shift, at, stop):
    """Decode the rest of one substream and check that it ends where it should. ``bit`` counts from ``data``'s start."""
    limit = np.uint64(end) * np.uint64(8)
    while at < stop:
        entry = _entry(tables, contexts, classes, class_mask, before, last_window(data, bit, end), at)
        size = np.int64(entry >> np.uint32(14) & np.uint32(15))
        bit += np.uint64(entry >> np.uint32(10) & np.uint32(15))
        if bit > limit or at + size > stop:
            return WRONG_LENGTH
        word, before = words[entry & np.uint32(1023)], np.uint64(entry >> np.uint32(18))
        for index in range(size << shift):
            out[(at << shift) + index] = word >> np.uint64(8 * index) & np.uint64(255)
        at += size
    return check_end(data, bit, end) if at == stop else WRONG_LENGTH


@jit
def _side_by_side(data, p, tables, contexts, classes, class_mask, words, out, shift, a, s):
    """Decode four substreams, at bits ``p`` of ``data``, to ``out`` at ``a`` until one is nearly at its end, of ``s``.

    Returns ``p``, ``a`` and the class of each substream's last symbol.
    """
    (p0, p1, p2, p3), (a0, a1, a2, a3), size = p, a, len(data)
    c0 = c1 = c2 = c3 = np.uint64(0)
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
                w0, bits, a0, c0 = _step(tables, contexts, classes, class_mask, words, c0, w0, out, shift, a0)
                p0 += bits
                w1, bits, a1, c1 = _step(tables, contexts, classes, class_mask, words, c1, w1, out, shift, a1)
                p1 += bits
                w2, bits, a2, c2 = _step(tables, contexts, classes, class_mask, words, c2, w2, out, shift, a2)
                p2 += bits
                w3, bits, a3, c3 = _step(tables, contexts, classes, class_mask, words, c3, w3, out, shift, a3)
                p3 += bits


@jit
def decode_words(data, offsets, tables, contexts, classes, class_mask, words, out, shift, start, stop):
    """Decode base symbols ``start`` to ``stop`` of ``out`` (bytes, uint8; two a symbol when ``shift`` is 1); return a status.

    ``offsets`` (substreams + 1,) int64 bound each substream in ``data``. ``tables`` uint32: tables of 2048 entries, one after
    another. ``contexts`` (32,) int64: first entry of the table after a symbol of class i before one of position class j, at
    4 * i + j. ``classes`` uint8: the position classes, read at ``index & class_mask``: a mask of 0 makes all of them the first.
    ``words`` (alphabet,) uint64: the bytes of each symbol's word.
    """
    parts = len(offsets) - 1
    p, a, s = substreams(offsets, start, stop)
    zero = np.uint64(0)
    before = (zero, zero, zero, zero)
    if parts == 4:
        p, a, before = _side_by_side(data, p, tables, contexts, classes, class_mask, words, out, shift, a, s)
    for i in range(parts):
        status = _finish(
            data, p[i], offsets[i + 1], tables, contexts, classes, class_mask, words, before[i], out, shift, a[i], s[i]
        )
        if status:
            return status
    return 0
