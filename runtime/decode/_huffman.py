"""Jitted Huffman decoding: four interleaved substreams, a table look-up giving one or two symbols, five look-ups a refill.

Every status is 0 when all is well. Callers promise that output slices and offsets lie inside their arrays; what the bits
say is never trusted.
"""

from __future__ import annotations

import numpy as np

from ..kernels._jit import jit
from ._bits import load_big_endian, store_pair

TABLE_BITS = 11
LOOKUPS = 5
REFILL_BYTES = 7
"""Bytes that five look-ups can pass over: 5 x 11 bits, from any bit of the first byte, rounded up."""

WRONG_LENGTH = 1
"""Status: a substream does not hold exactly its symbols."""

PADDING = 2
"""Status: bits after a substream's last symbol are not zero."""


def by_window(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symbol and bits of its code, (2048,) int64 both, for each value of the next 11 bits.

    ``lengths`` (alphabet,) int64 is -1 where a symbol is unused; the code is complete.
    """
    symbols = np.argsort(lengths, kind="stable")[np.count_nonzero(lengths < 0) :]
    bits = lengths[symbols]
    windows = 1 << TABLE_BITS - bits
    return np.repeat(symbols, windows), np.repeat(bits, windows)


def fill_pair_table(lengths: np.ndarray, table: np.ndarray) -> None:
    """Fill ``table`` (2048,) uint32 from the lengths of a complete code, see :func:`by_window`.

    An entry is: first symbol (bits 0-7), second (8-15), bits of the first alone (16-19), symbols (20-21), bits of all (24-31).
    """
    symbol, bits = by_window(lengths)
    following = np.arange(1 << TABLE_BITS) << bits & (1 << TABLE_BITS) - 1
    both = bits + bits[following]
    two = both <= TABLE_BITS
    pair = symbol[following] << 8 | 2 << 20 | both << 24
    table[:] = symbol | bits << 16 | np.where(two, pair, 1 << 20 | bits << 24)


@jit(forceinline=True)
def _step(table, window, out, at):
    entry = table[window >> np.uint64(64 - TABLE_BITS)]
    store_pair(out, at, entry)
    bits = np.uint64(entry >> np.uint32(24))
    return window << bits, bits, at + np.int64((entry >> np.uint32(20)) & np.uint32(3))


@jit(forceinline=True)
def _window(data, bit):
    return load_big_endian(data, np.int64(bit >> np.uint64(3))) << (bit & np.uint64(7))


@jit(forceinline=True)
def _rounds(bit, size, at, stop):
    """Refills that surely stay inside ``data`` (of ``size`` bytes) and the output."""
    return min((size - 8 - np.int64(bit >> np.uint64(3))) // REFILL_BYTES, (stop - at) // (2 * LOOKUPS))


@jit
def _finish(data, bit, end, table, out, at, stop):
    """Decode the rest of one substream and check that it ends where it should. ``bit`` counts from ``data``'s start."""
    rounds = _rounds(bit, len(data), at, stop)
    while rounds > 0:
        for _ in range(rounds):
            window = _window(data, bit)
            for _ in range(LOOKUPS):
                window, bits, at = _step(table, window, out, at)
                bit += bits
        rounds = _rounds(bit, len(data), at, stop)
    limit = np.uint64(end) * np.uint64(8)
    while at < stop:
        if bit >= limit:
            return WRONG_LENGTH
        place = np.int64(bit >> np.uint64(3))
        window = np.uint64(0)
        for ahead in range(3):
            byte = data[place + ahead] if place + ahead < end else np.uint8(0)
            window = window << np.uint64(8) | np.uint64(byte)
        entry = table[window << (np.uint64(40) + (bit & np.uint64(7))) >> np.uint64(64 - TABLE_BITS)]
        out[at] = entry & np.uint32(255)
        at += 1
        bit += np.uint64(entry >> np.uint32(16) & np.uint32(15))
    if (bit + np.uint64(7)) >> np.uint64(3) != np.uint64(end):
        return WRONG_LENGTH
    unused = (np.uint64(8) - (bit & np.uint64(7))) & np.uint64(7)
    if unused and np.uint64(data[end - 1]) & ((np.uint64(1) << unused) - np.uint64(1)):
        return PADDING
    return 0


@jit
def _decode_four(data, offsets, table, out, start, stop):
    """Decode ``out[start:stop]`` from substreams ``data[offsets[i]:offsets[i + 1]]``, i < 4."""
    quarter = (stop - start + 3) // 4
    a0, a1, a2, a3 = start, start + quarter, start + 2 * quarter, start + 3 * quarter
    s0, s1, s2 = a1, a2, a3
    eight = np.uint64(8)
    p0, p1, p2, p3 = (
        np.uint64(offsets[0]) * eight,
        np.uint64(offsets[1]) * eight,
        np.uint64(offsets[2]) * eight,
        np.uint64(offsets[3]) * eight,
    )
    size = len(data)
    while True:
        rounds = min(
            min(_rounds(p0, size, a0, s0), _rounds(p1, size, a1, s1)),
            min(_rounds(p2, size, a2, s2), _rounds(p3, size, a3, stop)),
        )
        if rounds <= 0:
            break
        for _ in range(rounds):
            w0, w1, w2, w3 = _window(data, p0), _window(data, p1), _window(data, p2), _window(data, p3)
            for _ in range(LOOKUPS):
                w0, bits, a0 = _step(table, w0, out, a0)
                p0 += bits
                w1, bits, a1 = _step(table, w1, out, a1)
                p1 += bits
                w2, bits, a2 = _step(table, w2, out, a2)
                p2 += bits
                w3, bits, a3 = _step(table, w3, out, a3)
                p3 += bits
    status = _finish(data, p0, offsets[1], table, out, a0, s0)
    if status == 0:
        status = _finish(data, p1, offsets[2], table, out, a1, s1)
    if status == 0:
        status = _finish(data, p2, offsets[3], table, out, a2, s2)
    if status == 0:
        status = _finish(data, p3, offsets[4], table, out, a3, stop)
    return status


@jit
def decode_sequence(data, offsets, table, only, out, start, stop):
    """Decode ``out[start:stop]`` (uint8) and return a status.

    ``offsets`` (substreams + 1,) int64 bound each substream in ``data``, ascending. ``only`` is the symbol of an alphabet
    with one symbol in use, which takes no bits, else -1.
    """
    if only >= 0:
        out[start:stop] = only
        return WRONG_LENGTH if offsets[-1] != offsets[0] else 0
    if len(offsets) == 5:
        return _decode_four(data, offsets, table, out, start, stop)
    if len(offsets) == 2:
        return _finish(data, np.uint64(offsets[0] * 8), offsets[1], table, out, start, stop)
    return 0
