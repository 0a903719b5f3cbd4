"""Jitted decoding of ranges of blocks: Huffman sequences, then gaps to the ends of majors and to minors."""

from __future__ import annotations

import numpy as np

from ...jit.jitted import jit
from .huffman import decode_sequence
from .positions import GAPS, add_gaps

OUTSIDE = 3
"""Status: a nonzero lies outside its block. (1 and 2 are the Huffman decoder's.)"""

MISCOUNTED = 4
"""Status: the gaps do not end in the block's last nonzero, or its number is not the one declared."""

CODE_RANGE = 5
"""Status: a code is not an index of the codebook."""


@jit
def expand(gaps, count, escape, minor_length, major, stop_major, at, stop, ends, minors):
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
def decode_blocks(
    data, bounds, first, counts, tables, only, gapped, k, escape, first_block, stop_block, block_majors, majors, minor_length,
    gaps, ends, minors, low, high,
):  # fmt: skip
    """Decode blocks ``first_block`` to ``stop_block``; return (block, status), the block at fault when the status is not 0.

    ``bounds`` int64: offsets in ``data`` of all substreams; ``first``, ``counts``: see :func:`.entries.read_entries`.
    ``tables`` (sequences, 2304) and ``only`` (sequences,): see :mod:`.huffman`. ``gapped`` is 1 when zeros are left out, the
    first sequence then being gaps, else 0. ``majors`` counts those of the range. Outputs: ``ends`` (majors,) int64, the entries
    up to the end of each major; ``minors`` (entries,) uint32; ``low`` and ``high`` (entries,) uint8, the codes' bytes. ``high``
    is empty when codes are bytes; ``minors`` when nothing is left out, and ``ends`` then stays as it is. Scratch: ``gaps``
    (largest gap count,) uint8.
    """
    sequences, at = len(only), 0
    for block in range(first_block, stop_block):
        stop, symbols = at + counts[block, 0], counts[block, 1]
        for part in range(sequences):
            index = block * sequences + part
            offsets = bounds[first[index] : first[index + 1] + 1]
            out = gaps if part < gapped else (low if part == gapped else high)
            begin, end = (0, symbols) if part < gapped else (at, stop)
            status = decode_sequence(data, offsets, tables[part], only[part], out, begin, end)
            if status:
                return block, status
        if len(high) > 0:
            for index in range(at, stop):
                if (np.int64(low[index]) | np.int64(high[index]) << 8) >= k:
                    return block, CODE_RANGE
        if gapped:
            major = (block - first_block) * block_majors
            stop_major = min(major + block_majors, majors)
            status = expand(gaps, symbols, escape, minor_length, major, stop_major, at, stop, ends, minors)
            if status:
                return block, status
        at = stop
    return 0, 0
