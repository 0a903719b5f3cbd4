"""Jitted decoding of blocks of byte planes: Huffman sequences, elements put together, and put where they belong."""

from __future__ import annotations

import numpy as np

from ...jit.jitted import jit
from .blocks import expand
from .huffman import decode_sequence

SIGNS = 6
"""Status: bits after the signs of a block's zeros are not zero. (Smaller ones are those of what is called.)"""


@jit
def _join(planes, count, bits, words):
    """Write ``words[:count]`` from the first ``count`` bytes of each of the ``planes``; ``bits``: of a word, less one."""
    for index in range(count):
        words[index] = planes[0, index]
    for plane in range(1, len(planes)):
        for index in range(count):
            words[index] = words[index] << 8 | planes[plane, index]
    for index in range(count):
        words[index] = words[index] >> 1 | words[index] << bits


@jit
def _put_signs(signs, places, count, bits, out):
    """Write what is left out of ``out``, all but ``places[:count]``, zeros of either sign; return 0 or the status."""
    at, position = 0, np.int64(0)
    for index in range(count + 1):
        end = np.int64(places[index]) if index < count else len(out)
        for place in range(position, end):
            out[place] = np.uint64(signs[at >> 3] >> (7 - (at & 7)) & 1) << bits
            at += 1
        position = end + 1
    if at & 7 and np.int64(signs[at >> 3]) & (1 << 8 - (at & 7)) - 1:
        return SIGNS
    return 0


@jit
def decode_planes(
    data, bounds, first, counts, tables, only, before, escape, block_positions, first_block, stop_block,
    gaps, signs, planes, places, out,
):  # fmt: skip
    """Decode blocks ``first_block`` to ``stop_block``; return (block, status), the block at fault when the status is not 0.

    ``bounds``, ``first``, ``counts``, ``tables`` and ``only`` are as :func:`.blocks.decode_blocks` takes them; ``before`` the
    planes there are gaps (1), and signs (2). ``out`` (all positions,) unsigned, of the elements' size: the elements' bits, zero
    until now where there are gaps. Scratch, for the largest block: ``gaps`` (gap symbols,) and ``signs`` (symbols,) uint8,
    ``planes`` (bytes of an element, elements) uint8, ``places`` (elements,) uint32.
    """
    sequences, width = len(only), len(planes)
    ends, words, bits = np.zeros(1, np.int64), np.empty(len(places), out.dtype), 8 * width - 1
    for block in range(first_block, stop_block):
        count, symbols = counts[block, 0], counts[block, 1]
        start = block * block_positions
        own = out[start : start + block_positions]
        for part in range(sequences):
            index = block * sequences + part
            offsets = bounds[first[index] : first[index + 1] + 1]
            target, size = planes[max(part - before, 0)], count
            if part < before:
                target, size = (gaps, symbols) if part == 0 else (signs, (len(own) - count + 7) // 8)
            status = decode_sequence(data, offsets, tables[part], only[part], target, 0, size)
            if status:
                return block, status
        if before == 0:
            _join(planes, count, bits, own)
            continue
        status = expand(gaps, symbols, escape, len(own), 0, 1, 0, count, ends, places)
        if status == 0 and before > 1:
            status = _put_signs(signs, places, count, bits, own)
        if status:
            return block, status
        _join(planes, count, bits, words)
        for index in range(count):
            own[np.int64(places[index])] = words[index]
    return 0, 0
