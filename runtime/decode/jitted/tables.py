"""Jitted reading of Huffman tables: code lengths from their bits, and what the decoders look up."""

from __future__ import annotations

from ....format_spec.coding import MAX_CODE_LENGTH
from ...jit.jitted import jit
from .huffman import ALONE, FEW_PAIRS, MOST, SEVERAL, SINGLES, TABLE_BITS

COMPLETE = 1 << MAX_CODE_LENGTH
LONGEST_RUN = 2 * MAX_CODE_LENGTH + 1

ENDS = 1
"""Status: the data ends inside the table."""

OUT_OF_RANGE = 2
"""Status: a code length is out of range."""

INCOMPLETE = 3
"""Status: the lengths are not those of a complete prefix code."""

PADDED = 4
"""Status: the padding is not zero."""


@jit
def _zeros_from(data, at):
    """Zeros from bit ``at`` on, before the first one: at most one more than a table may have, or all that there are."""
    zeros, end = 0, 8 * len(data)
    while zeros <= LONGEST_RUN and at + zeros < end and not data[at + zeros >> 3] >> (7 - (at + zeros & 7)) & 1:
        zeros += 1
    return zeros


@jit
def read_code_lengths(data, offset, previous, lengths):
    """Read the table at ``data[offset]``; return (offset after it, status).

    Filled in: ``lengths`` (alphabet,) int64, -1 where a symbol is unused. ``previous``: what the first length is told from.
    """
    at, weight, unused_rank = 8 * offset, 0, 3
    lengths[:] = -1
    for symbol in range(len(lengths)):
        rank = _zeros_from(data, at)
        if rank > LONGEST_RUN:
            return offset, OUT_OF_RANGE
        at += rank + 1
        if at > 8 * len(data):
            return offset, ENDS
        if rank == unused_rank:
            unused_rank = 0
            continue
        zigzag = rank - (rank > unused_rank)
        previous += (zigzag + 1) // 2 if zigzag % 2 else -(zigzag // 2)
        if not 0 <= previous <= MAX_CODE_LENGTH:
            return offset, OUT_OF_RANGE
        unused_rank, lengths[symbol] = 3, previous
        weight += COMPLETE >> previous
        if weight >= COMPLETE:
            break
    if weight != COMPLETE:
        return offset, INCOMPLETE
    after = (at + 7) // 8
    if _zeros_from(data[:after], at) < 8 * after - at:
        return offset, PADDED
    return after, 0


@jit
def by_window(lengths, symbols, bits):
    """Fill ``symbols`` and ``bits``, (2048,) int64 both, for each value of the next 11 bits: the symbol, and its code's bits.

    ``lengths`` (alphabet,) int64 is -1 where a symbol is unused; the code is complete.
    """
    at = 0
    for length in range(TABLE_BITS + 1):
        for symbol in range(len(lengths)):
            if lengths[symbol] == length:
                windows = 1 << TABLE_BITS - length
                symbols[at : at + windows], bits[at : at + windows] = symbol, length
                at += windows


@jit
def fill_table(lengths, symbols, bits, table):
    """Fill ``table`` (:data:`.huffman.TABLE`,) uint32 from the lengths of a complete code; return ``SEVERAL`` or ``SINGLES``.

    An entry is: bits of all symbols (bits 0-5), their number (6-7), symbols (8-31, the first one lowest). ``symbols`` and
    ``bits`` are scratch memory, see :func:`by_window`.
    """
    by_window(lengths, symbols, bits)
    pairs = 0
    for window in range(ALONE):
        pairs += bits[window] + bits[window << bits[window] & ALONE - 1] <= TABLE_BITS
    several = FEW_PAIRS * pairs >= ALONE
    for window in range(ALONE):
        total, count, found = bits[window], 1, symbols[window]
        while several and count < MOST:
            following = window << total & ALONE - 1
            if total + bits[following] > TABLE_BITS:
                break
            found |= symbols[following] << 8 * count
            total += bits[following]
            count += 1
        table[window] = total | count << 6 | found << 8
    for symbol in range(len(lengths)):
        table[ALONE + symbol] = max(lengths[symbol], 0)
    return SEVERAL if several else SINGLES
