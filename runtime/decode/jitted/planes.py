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
def decode_planes(
    data, bounds, first, counts, tables, only, before, escape, size, block_positions, ends, sign_ends,
    first_block, stop_block, gaps, planes, words, places, signs,
):  # fmt: skip
    """Decode blocks ``first_block`` to ``stop_block``; return (block, status), the block at fault when the status is not 0.

    ``bounds``, ``first``, ``counts``, ``tables`` and ``only`` are as :func:`.blocks.decode_blocks` takes them; ``before`` the
    planes there are gaps (1), and signs (2); ``size`` counts all positions. ``ends`` and ``sign_ends`` (blocks + 1,) int64 say
    where blocks begin in what all list. Outputs, of these blocks alone: ``words`` unsigned, of the elements' size, the bits of
    what is listed; with gaps ``places`` uint32, the positions in the block; with signs ``signs`` uint8, eight zeros' to a byte.
    Scratch, for the largest of them: ``gaps`` (gap symbols,) and ``planes`` (bytes of an element, elements) uint8.
    """
    sequences, own_ends = len(only), np.zeros(1, np.int64)
    for block in range(first_block, stop_block):
        at, stop, symbols = ends[block] - ends[first_block], ends[block + 1] - ends[first_block], counts[block, 1]
        sign, last_sign = sign_ends[block] - sign_ends[first_block], sign_ends[block + 1] - sign_ends[first_block]
        for part in range(sequences):
            index = block * sequences + part
            offsets = bounds[first[index] : first[index + 1] + 1]
            target, begin, end = planes[max(part - before, 0)], 0, stop - at
            if part < before:
                target, begin, end = (gaps, 0, symbols) if part == 0 else (signs, sign, last_sign)
            status = decode_sequence(data, offsets, tables[part], only[part], target, begin, end)
            if status:
                return block, status
        _join(planes, stop - at, 8 * len(planes) - 1, words[at:stop])
        if before > 0:
            positions = min(block_positions, size - block * block_positions)
            status = expand(gaps, symbols, escape, positions, 0, 1, at, stop, own_ends, places)
            left = (positions - stop + at) & 7
            if status == 0 and before > 1 and left > 0 and np.int64(signs[last_sign - 1]) & (1 << 8 - left) - 1:
                status = SIGNS
            if status:
                return block, status
    return 0, 0


@jit
def spread(words, places, signs, ends, sign_ends, first_block, stop_block, block_positions, out):
    """Write the ``words`` to their ``places`` in ``out``, zeros until now, and between them, where there are ``signs``, those.

    These are the outputs of :func:`decode_planes` for the same blocks; ``out`` is of all.
    """
    bits = 8 * out.itemsize - 1
    for block in range(first_block, stop_block):
        own = out[block * block_positions : (block + 1) * block_positions]
        position, bit, stop = np.int64(0), 8 * (sign_ends[block] - sign_ends[first_block]), ends[block + 1] - ends[first_block]
        for index in range(ends[block] - ends[first_block], stop + 1):
            place = np.int64(places[index]) if index < stop else len(own)
            if len(signs) > 0:
                for zero in range(position, place):
                    own[zero] = np.uint64(signs[bit >> 3] >> (7 - (bit & 7)) & 1) << bits
                    bit += 1
            if index < stop:
                own[place] = words[index]
            position = place + 1


@jit
def list_by_majors(places, ends, block_positions, minor_length, starts, minors):
    """Fill ``starts`` (majors + 1,) int64 and ``minors`` uint32, a major being ``minor_length`` positions, as shared tensors
    have them; the other arrays are those of :func:`decode_planes`, for all blocks."""
    major, begin = np.int64(0), np.int64(0)
    for block in range(len(ends) - 1):
        for index in range(ends[block], ends[block + 1]):
            position = block * block_positions + np.int64(places[index])
            while position - begin >= minor_length:
                major, begin = major + 1, begin + minor_length
                starts[major] = index
            minors[index] = position - begin
    starts[major + 1 :] = ends[len(ends) - 1]
