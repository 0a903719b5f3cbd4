"""Jitted decoding of words: Huffman symbols that stand for one or more base symbols, each coded by its context's table.

As in :mod:`._huffman`, callers promise that slices and offsets lie inside their arrays; what the bits say is never trusted.
"""

from __future__ import annotations

import numpy as np

from ..kernels._jit import jit
from ._bits import store_word
from ._huffman import LOOKUPS, REFILL_BYTES, TABLE_BITS, WRONG_LENGTH, by_window, check_end, last_window, window_at


def fill_word_table(lengths: np.ndarray, sizes: np.ndarray, classes: np.ndarray, table: np.ndarray) -> None:
    """Fill ``table`` (2048,) uint32 from the ``lengths`` (alphabet,) int64 of a complete code, -1 where a symbol is unused.

    ``sizes`` and ``classes`` (alphabet,) int64: base symbols of a symbol's word, class of the last. An entry is: symbol
    (bits 0-9), bits of its code (10-13), size (14-17), class (18-20).
    """
    symbol, bits = by_window(lengths)
    table[:] = symbol | bits << 10 | sizes[symbol] << 14 | classes[symbol] << 18


@jit(forceinline=True)
def _entry(tables, contexts, classes, class_mask, before, window, at):
    context = (before << np.uint32(2)) + np.uint32(classes[at & class_mask])
    return tables[contexts[context] + np.int64(window >> np.uint64(64 - TABLE_BITS))]


@jit(forceinline=True)
def _step(tables, contexts, classes, class_mask, words, before, window, out, shift, at):
    entry = _entry(tables, contexts, classes, class_mask, before, window, at)
    store_word(out, at << shift, words[entry & np.uint32(1023)])
    bits = np.uint64(entry >> np.uint32(10) & np.uint32(15))
    return window << bits, bits, at + np.int64(entry >> np.uint32(14) & np.uint32(15)), entry >> np.uint32(18)


@jit(forceinline=True)
def _rounds(bit, size, at, stop, shift):
    """Refills that surely stay inside ``data`` (of ``size`` bytes) and the output, each word taking eight bytes of it."""
    return min((size - 8 - np.int64(bit >> np.uint64(3))) // REFILL_BYTES, (stop - at) // (LOOKUPS * (8 >> shift)))


@jit
def _finish(data, bit, end, tables, contexts, classes, class_mask, words, before, out, shift, at, stop):
    """Decode the rest of one substream and check that it ends where it should. ``bit`` counts from ``data``'s start."""
    rounds = _rounds(bit, len(data), at, stop, shift)
    while rounds > 0:
        for _ in range(rounds):
            window = window_at(data, bit)
            for _ in range(LOOKUPS):
                window, bits, at, before = _step(tables, contexts, classes, class_mask, words, before, window, out, shift, at)
                bit += bits
        rounds = _rounds(bit, len(data), at, stop, shift)
    limit = np.uint64(end) * np.uint64(8)
    while at < stop:
        entry = _entry(tables, contexts, classes, class_mask, before, last_window(data, bit, end), at)
        size = np.int64(entry >> np.uint32(14) & np.uint32(15))
        bit += np.uint64(entry >> np.uint32(10) & np.uint32(15))
        if bit > limit or at + size > stop:
            return WRONG_LENGTH
        word, before = words[entry & np.uint32(1023)], entry >> np.uint32(18)
        for index in range(size << shift):
            out[(at << shift) + index] = word >> np.uint64(8 * index) & np.uint64(255)
        at += size
    return check_end(data, bit, end) if at == stop else WRONG_LENGTH


@jit
def _decode_four(data, offsets, tables, contexts, classes, class_mask, words, out, shift, start, stop):
    """Decode base symbols ``start`` to ``stop`` from substreams ``data[offsets[i]:offsets[i + 1]]``, i < 4."""
    quarter = (stop - start + 3) // 4
    a0, a1, a2, a3 = start, start + quarter, start + 2 * quarter, start + 3 * quarter
    s0, s1, s2 = a1, a2, a3
    eight, size = np.uint64(8), len(data)
    p0, p1 = np.uint64(offsets[0]) * eight, np.uint64(offsets[1]) * eight
    p2, p3 = np.uint64(offsets[2]) * eight, np.uint64(offsets[3]) * eight
    c0 = c1 = c2 = c3 = np.uint32(0)
    while True:
        rounds = min(
            min(_rounds(p0, size, a0, s0, shift), _rounds(p1, size, a1, s1, shift)),
            min(_rounds(p2, size, a2, s2, shift), _rounds(p3, size, a3, stop, shift)),
        )
        if rounds <= 0:
            break
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
    status = _finish(data, p0, offsets[1], tables, contexts, classes, class_mask, words, c0, out, shift, a0, s0)
    if status == 0:
        status = _finish(data, p1, offsets[2], tables, contexts, classes, class_mask, words, c1, out, shift, a1, s1)
    if status == 0:
        status = _finish(data, p2, offsets[3], tables, contexts, classes, class_mask, words, c2, out, shift, a2, s2)
    if status == 0:
        status = _finish(data, p3, offsets[4], tables, contexts, classes, class_mask, words, c3, out, shift, a3, stop)
    return status


@jit
def decode_words(data, offsets, tables, contexts, classes, class_mask, words, out, shift, start, stop):
    """Decode base symbols ``start`` to ``stop`` of ``out`` (bytes, uint8; two a symbol when ``shift`` is 1); return a status.

    ``offsets`` (substreams + 1,) int64 bound each substream in ``data``. ``tables`` uint32: tables of 2048 entries, one after
    another. ``contexts`` (32,) int64: first entry of the table after a symbol of class i before one of position class j, at
    4 * i + j. ``classes`` uint8: the position classes, read at ``index & class_mask``: a mask of 0 makes all of them the first.
    ``words`` (alphabet,) uint64: the bytes of each symbol's word.
    """
    zero = np.uint32(0)
    if len(offsets) == 5:
        return _decode_four(data, offsets, tables, contexts, classes, class_mask, words, out, shift, start, stop)
    if len(offsets) == 2:
        bit, end = np.uint64(offsets[0] * 8), offsets[1]
        return _finish(data, bit, end, tables, contexts, classes, class_mask, words, zero, out, shift, start, stop)
    return 0
