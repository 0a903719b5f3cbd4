"""Jitted decoding of ranges of blocks: Huffman sequences, then gaps to the ends of majors and to minors."""

from __future__ import annotations

import numpy as np

from ..kernels._jit import jit
from ._entries import PAPER, SHARED
from ._huffman import decode_sequence
from ._positions import GAPS, add_gaps

OUTSIDE = 3
"""Status: a nonzero lies outside its block. (1 and 2 are the Huffman decoder's.)"""

MISCOUNTED = 4
"""Status: the gaps do not end in the block's last nonzero, or its number is not the one declared."""

CODE_RANGE = 5
"""Status: a code is not an index of the codebook."""


@jit
def _expand(gaps, count, escape, minor_length, major, stop_major, at, stop, ends, minors):
    """Write ``ends[major:stop_major]`` and ``minors[at:stop]`` from the gap symbols of one block."""
    minor, is_entry, index = np.int64(-1), np.int64(1), np.int64(0)
    while index < count:
        if index + GAPS <= count and at + GAPS <= stop:
            last = add_gaps(gaps, index, escape, minor, minors, at)
            if 0 <= last < minor_length:
                minor, is_entry = last, np.int64(1)
                index += GAPS
                at += GAPS
                continue
        one_by_one = min(index + GAPS, count)
        while index < one_by_one:
            if at == stop:
                return MISCOUNTED
            symbol = np.int64(gaps[index])
            index += 1
            is_entry = np.int64(symbol != escape)
            minor += symbol + is_entry
            while minor >= minor_length:
                if major == stop_major - 1:
                    return OUTSIDE
                minor -= minor_length
                ends[major] = at
                major += 1
            minors[at] = minor  # an escape's is overwritten: entries are still to come
            at += is_entry
    if at != stop or is_entry == 0:
        return MISCOUNTED
    ends[major:stop_major] = at
    return 0


@jit
def _expand_paper(gaps, low, high, count, filler, minor_length, major, stop_major, at, stop, ends, minors, out_low, out_high):
    """As :func:`_expand`, for entries some of which are fillers; the values' codes go to ``out_low`` and ``out_high``."""
    minor, code = -1, -1
    for index in range(count):
        minor += np.int64(gaps[index]) + 1
        while minor >= minor_length:
            if major == stop_major - 1:
                return OUTSIDE
            minor -= minor_length
            ends[major] = at
            major += 1
        code = np.int64(low[index]) | (np.int64(high[index]) << 8 if len(high) > 0 else 0)
        if code > filler:
            return CODE_RANGE
        if code < filler:
            if at == stop:
                return MISCOUNTED
            minors[at] = minor
            out_low[at] = low[index]
            if len(out_high) > 0:
                out_high[at] = high[index]
            at += 1
    if at != stop or code == filler:
        return MISCOUNTED
    ends[major:stop_major] = at
    return 0


@jit
def _check_codes(low, high, at, stop, k):
    for index in range(at, stop):
        if (np.int64(low[index]) | np.int64(high[index]) << 8) >= k:
            return CODE_RANGE
    return 0


@jit
def _sequence(data, bounds, first, sequence, index, tables, only, out, start, stop):
    substreams = bounds[first[sequence] : first[sequence + 1] + 1]
    return decode_sequence(data, substreams, tables[index], only[index], out, start, stop)


@jit
def decode_blocks(
    data, bounds, first, counts, tables, only, kind, k, escape, first_block, stop_block, block_majors, majors, minor_length,
    gaps, entry_low, entry_high, ends, minors, low, high,
):  # fmt: skip
    """Decode blocks ``first_block`` to ``stop_block``; return (block, status), the block at fault when the status is not 0.

    ``bounds`` int64: offsets in ``data`` of all substreams; ``first``, ``counts``: see :func:`._entries.read_entries`.
    ``tables`` (sequences, 2048) and ``only`` (sequences,): see :mod:`._huffman`. ``majors`` counts those of the range.
    Outputs: ``ends`` (majors,) int64, the entries up to the end of each major; ``minors`` (entries,) uint32; ``low`` and
    ``high`` (entries,) uint8, the codes' bytes. ``high`` is empty when codes are bytes; ``ends`` and ``minors`` when nothing
    is left out. Scratch: ``gaps`` (largest gap count,) uint8; in the paper codec also ``entry_low`` and ``entry_high``.
    """
    sequences, at = len(only), 0
    codes = 0 if kind == SHARED else 1
    wide = sequences - codes == 2
    for block in range(first_block, stop_block):
        major = (block - first_block) * block_majors
        stop_major = min(major + block_majors, majors)
        nonzeros, symbols = counts[block, 0], counts[block, 1]
        sequence, stop, status = block * sequences, at + nonzeros, 0
        if kind != SHARED:
            status = _sequence(data, bounds, first, sequence, 0, tables, only, gaps, 0, symbols)
        if status == 0 and kind == PAPER:
            status = _sequence(data, bounds, first, sequence + 1, 1, tables, only, entry_low, 0, symbols)
            if status == 0 and wide:
                status = _sequence(data, bounds, first, sequence + 2, 2, tables, only, entry_high, 0, symbols)
            if status == 0:
                status = _expand_paper(
                    gaps, entry_low, entry_high, symbols, k, minor_length, major, stop_major, at, stop, ends, minors, low, high
                )
        elif status == 0:
            status = _sequence(data, bounds, first, sequence + codes, codes, tables, only, low, at, stop)
            if status == 0 and wide:
                status = _sequence(data, bounds, first, sequence + codes + 1, codes + 1, tables, only, high, at, stop)
                if status == 0:
                    status = _check_codes(low, high, at, stop, k)
            if status == 0 and kind != SHARED:
                status = _expand(gaps, symbols, escape, minor_length, major, stop_major, at, stop, ends, minors)
        if status:
            return block, status
        at = stop
    return 0, 0
