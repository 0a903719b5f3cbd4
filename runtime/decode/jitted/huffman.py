"""Jitted Huffman decoding: four interleaved substreams, a table look-up giving one to three symbols, five look-ups a refill.

Where codes are long, few look-ups find two symbols: then all give one, which takes fewer instructions.

Every status is 0 when all is well. Callers promise that output slices and offsets lie inside their arrays; what the bits
say is never trusted.
"""

from __future__ import annotations

import numpy as np

from ...jit.jitted import jit
from .bits import load_big_endian, store_quad, trailing_zeros

TABLE_BITS = 11
LOOKUPS = 5
REFILL_BYTES = 7
"""Bytes that five look-ups can pass over: 5 x 11 bits, from any bit of the first byte, rounded up."""

SEVERAL, SINGLES = -1, -2
"""What a table's look-ups give: up to :data:`MOST` symbols, or one."""

MOST = 3
"""Symbols that a look-up finds, at most."""

ALONE = 1 << TABLE_BITS
"""Where in a table the bits of each symbol's code begin, behind what the windows mean."""

TABLE = ALONE + 256
"""Numbers of a table."""

FEW_PAIRS = 4
"""Look-ups give single symbols when fewer than one in so many would find two."""

WRONG_LENGTH = 1
"""Status: a substream does not hold exactly its symbols."""

PADDING = 2
"""Status: bits after a substream's last symbol are not zero."""


@jit(forceinline=True)
def _step(table, window, out, at):
    entry = table[window >> np.uint64(64 - TABLE_BITS)]
    store_quad(out, at, entry >> np.uint32(8))
    return pass_over(window, entry), at + np.int64(entry >> np.uint32(6) & np.uint32(3))


@jit(forceinline=True)
def _step_single(table, window, out, at):
    entry = table[window >> np.uint64(64 - TABLE_BITS)]
    out[np.uint64(at)] = entry >> np.uint32(8)
    return pass_over(window, entry)


@jit(forceinline=True)
def window_at(data, bit):
    """At least 56 bits from ``bit`` on, the first one highest; eight bytes from its byte on are inside ``data``.

    The last bit of these bytes is replaced by a one, by whose place :func:`bit_of` tells how many bits were passed over.
    """
    return (load_big_endian(data, np.int64(bit >> np.uint64(3))) | np.uint64(1)) << (bit & np.uint64(7))


@jit(forceinline=True)
def pass_over(window, entry):
    """The window behind as many bits as the entry's lowest ones say."""
    return window << np.uint64(entry & np.uint32(63))


@jit(forceinline=True)
def bit_of(window, bit):
    """The bit that a window begins with, which began with ``bit`` when it was loaded."""
    return (bit & ~np.uint64(7)) + trailing_zeros(window)


@jit
def last_window(data, bit, end):
    """At least 17 bits from ``bit`` on, zeros standing for those from byte ``end`` on."""
    place, window = np.int64(bit >> np.uint64(3)), np.uint64(0)
    for ahead in range(3):
        byte = data[place + ahead] if place + ahead < end else np.uint8(0)
        window = window << np.uint64(8) | np.uint64(byte)
    return window << (np.uint64(40) + (bit & np.uint64(7)))


@jit
def check_end(data, bit, end):
    """Whether a substream whose symbols end before ``bit`` ends with byte ``end``, the bits between being zero: a status."""
    if (bit + np.uint64(7)) >> np.uint64(3) != np.uint64(end):
        return WRONG_LENGTH
    unused = (np.uint64(8) - (bit & np.uint64(7))) & np.uint64(7)
    if unused and np.uint64(data[end - 1]) & ((np.uint64(1) << unused) - np.uint64(1)):
        return PADDING
    return 0


@jit(forceinline=True)
def _rounds(bit, size, at, stop, most):
    """Refills that surely stay inside ``data`` (of ``size`` bytes) and the output, of which each takes ``most`` symbols."""
    return min((size - 8 - np.int64(bit >> np.uint64(3))) // REFILL_BYTES, (stop - at) // most)


@jit
def _finish(data, bit, end, table, out, at, stop):
    """Decode the rest of one substream and check that it ends where it should. ``bit`` counts from ``data``'s start."""
    limit = np.uint64(end) * np.uint64(8)
    while at < stop:
        if bit >= limit:
            return WRONG_LENGTH
        entry = table[last_window(data, bit, end) >> np.uint64(64 - TABLE_BITS)]
        symbol = entry >> np.uint32(8) & np.uint32(255)
        out[at] = symbol
        at += 1
        bit += np.uint64(table[ALONE + symbol])
    return check_end(data, bit, end)


@jit(forceinline=True)
def _least_rounds(p, size, a, s, most):
    """:func:`_rounds` of the substream that has fewest."""
    return min(
        min(_rounds(p[0], size, a[0], s[0], most), _rounds(p[1], size, a[1], s[1], most)),
        min(_rounds(p[2], size, a[2], s[2], most), _rounds(p[3], size, a[3], s[3], most)),
    )


@jit
def _several_side_by_side(data, p, table, out, a, s):
    """Decode four substreams, at bits ``p`` of ``data``, to ``out`` at ``a`` until one is nearly at its end, of ``s``.

    Returns ``p`` and ``a``.
    """
    (p0, p1, p2, p3), (a0, a1, a2, a3) = p, a
    while True:
        rounds = _least_rounds((p0, p1, p2, p3), len(data), (a0, a1, a2, a3), s, MOST * LOOKUPS + 1)
        if rounds <= 0:
            return (p0, p1, p2, p3), (a0, a1, a2, a3)
        for _ in range(rounds):
            w0, w1, w2, w3 = window_at(data, p0), window_at(data, p1), window_at(data, p2), window_at(data, p3)
            for _ in range(LOOKUPS):
                w0, a0 = _step(table, w0, out, a0)
                w1, a1 = _step(table, w1, out, a1)
                w2, a2 = _step(table, w2, out, a2)
                w3, a3 = _step(table, w3, out, a3)
            p0, p1, p2, p3 = bit_of(w0, p0), bit_of(w1, p1), bit_of(w2, p2), bit_of(w3, p3)


@jit
def _singles_side_by_side(data, p, table, out, a, s):
    """:func:`_several_side_by_side` with a table of single symbols, whose places are known beforehand."""
    (p0, p1, p2, p3), (a0, a1, a2, a3) = p, a
    while True:
        rounds = _least_rounds((p0, p1, p2, p3), len(data), (a0, a1, a2, a3), s, LOOKUPS)
        if rounds <= 0:
            return (p0, p1, p2, p3), (a0, a1, a2, a3)
        for _ in range(rounds):
            w0, w1, w2, w3 = window_at(data, p0), window_at(data, p1), window_at(data, p2), window_at(data, p3)
            for i in range(LOOKUPS):
                w0 = _step_single(table, w0, out, a0 + i)
                w1 = _step_single(table, w1, out, a1 + i)
                w2 = _step_single(table, w2, out, a2 + i)
                w3 = _step_single(table, w3, out, a3 + i)
            p0, p1, p2, p3 = bit_of(w0, p0), bit_of(w1, p1), bit_of(w2, p2), bit_of(w3, p3)
            a0, a1, a2, a3 = a0 + LOOKUPS, a1 + LOOKUPS, a2 + LOOKUPS, a3 + LOOKUPS


@jit
def decode_sequence(data, offsets, table, only, out, start, stop):
    """Decode ``out[start:stop]`` (uint8) and return a status.

    ``offsets`` (substreams + 1,) int64 bound each substream in ``data``, ascending; there are 0, 1 or 4. ``only`` is the symbol
    of an alphabet with one symbol in use, which takes no bits, else what ``table`` gives, ``SEVERAL`` or ``SINGLES``.
    """
    if only >= 0:
        for at in range(start, stop):
            out[at] = only
        return WRONG_LENGTH if offsets[-1] != offsets[0] else 0
    parts = len(offsets) - 1
    p, a, s = substreams(offsets, start, stop)
    if parts == 4 and only == SINGLES:
        p, a = _singles_side_by_side(data, p, table, out, a, s)
    elif parts == 4:
        p, a = _several_side_by_side(data, p, table, out, a, s)
    for i in range(parts):
        status = _finish(data, p[i], offsets[i + 1], table, out, a[i], s[i])
        if status:
            return status
    return 0


@jit
def substreams(offsets, start, stop):
    """Of each of four substreams, or the only one: the bit where it begins, where its symbols go, and where those end."""
    parts = len(offsets) - 1
    share = (stop - start + 3) // 4 if parts == 4 else stop - start
    a = (start, start + share, start + 2 * share, start + 3 * share)
    second, third, fourth = (offsets[1], offsets[2], offsets[3]) if parts == 4 else (offsets[0], offsets[0], offsets[0])
    p = (_bits(offsets[0]), _bits(second), _bits(third), _bits(fourth))
    return p, a, (a[1], a[2], a[3], stop)


@jit(forceinline=True)
def _bits(offset):
    return np.uint64(offset) * np.uint64(8)
