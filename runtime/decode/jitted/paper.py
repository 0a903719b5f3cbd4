"""Jitted decoding of the paper codec's blocks: entries of a gap and a code each, some of them fillers."""

from __future__ import annotations

import numpy as np

from ...jit.jitted import jit
from .blocks import CODE_RANGE, MISCOUNTED, OUTSIDE
from .huffman import decode_sequence


@jit
def _expand(gaps, low, high, count, filler, minor_length, major, stop_major, at, stop, ends, minors, out_low, out_high):
    """As :func:`.blocks.expand`, for entries some of which are fillers; the others' codes go to ``out_low``, ``out_high``."""
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
def decode_paper(
    data, bounds, first, counts, tables, only, filler, first_block, stop_block, block_majors, majors, minor_length,
    gaps, entry_low, entry_high, ends, minors, low, high,
):  # fmt: skip
    """As :func:`.blocks.decode_blocks`. ``filler`` is the code of fillers; ``entry_low`` and ``entry_high`` (entries of the
    largest block,) uint8 are scratch for the bytes of codes, the latter empty when they have one."""
    sequences, at = len(only), 0
    for block in range(first_block, stop_block):
        stop, symbols = at + counts[block, 0], counts[block, 1]
        for part in range(sequences):
            index = block * sequences + part
            offsets = bounds[first[index] : first[index + 1] + 1]
            out = gaps if part == 0 else (entry_low if part == 1 else entry_high)
            status = decode_sequence(data, offsets, tables[part], only[part], out, 0, symbols)
            if status:
                return block, status
        major = (block - first_block) * block_majors
        stop_major = min(major + block_majors, majors)
        status = _expand(
            gaps, entry_low, entry_high, symbols, filler, minor_length, major, stop_major, at, stop, ends, minors, low, high
        )
        if status:
            return block, status
        at = stop
    return 0, 0
