"""Jitted decoding of grouped payloads: masks, their positions, and the codes of the nonzeros."""

from __future__ import annotations

import numpy as np

from ...jit.jitted import jit
from .bits import store_sums, store_word
from .blocks import MISCOUNTED, OUTSIDE
from .huffman import decode_sequence
from .words import PLAIN, decode_words

LANES = 8
"""Positions written at a time."""


@jit
def _spread(mask, group, minor_length, minor, major, stop_major, at, stop, ends, minors, classes, begin, later):
    """Write the nonzeros of one group position by position; return (minor, major, entries, status)."""
    first = at
    for place in range(group):
        if mask >> place & 1:
            if major >= stop_major:
                return minor, major, at, OUTSIDE
            if at == stop:
                return minor, major, at, MISCOUNTED
            minors[at] = minor
            if len(classes) > 1:
                classes[at - begin] = later if at > first else 0
            at += 1
        minor += 1
        if minor == minor_length and major < stop_major:
            ends[major] = at
            minor, major = 0, major + 1
    return minor, major, at, 0


@jit(forceinline=True)
def _symbol(symbols, shift, index):
    """Number ``index`` of the symbols, uint64. (An index that is signed is looked at for its sign, which takes longer.)"""
    first = np.uint64(index) << np.uint64(shift)
    low = np.uint64(symbols[first])
    return low | np.uint64(symbols[first + np.uint64(1)]) << np.uint64(8) if shift else low


@jit
def _store_groups(
    symbols, shift, index, count, sizes, places, class_words, group, minor_length, minor, at, stop, minors, classes, begin
):  # fmt: skip
    """Write the nonzeros of the groups from ``index`` on that lie within one major, as long as each has room for all that a
    group can have; return (index of the next group, minor, entries). There is nothing else in this loop, for its speed."""
    full = min(count, index + (minor_length - minor) // group)
    with_classes = len(classes) > 1
    while index < full and at + LANES + 1 <= stop:
        symbol = _symbol(symbols, shift, index)
        size = sizes[symbol]
        store_sums(places, np.int64(symbol) * LANES, minor, minors, at)
        if with_classes:
            store_word(classes, at - begin, class_words[np.uint64(size)])
        if size > LANES:
            minors[np.uint64(at + LANES)] = minor + LANES
            if with_classes:
                classes[np.uint64(at - begin + LANES)] = class_words[np.uint64(size)] >> np.uint64(56)
        at += size
        minor += group
        index += 1
    return index, minor, at


@jit
def expand_masks(
    symbols, shift, count, masks, sizes, places, class_words, group, minor_length, major, stop_major, at, stop, ends, minors,
    classes,
):  # fmt: skip
    """Write ``ends[major:stop_major]`` and ``minors[at:stop]`` from ``count`` mask symbols of one block; return a status.

    ``symbols`` (uint8): one or, when ``shift`` is 1, two bytes each, low byte first. ``masks``, ``sizes`` (symbols,) int64 and
    ``places`` (symbols * 8,) uint8: a symbol's mask, its nonzeros and the first eight places of them. ``classes`` uint8 gets
    the position classes of the block's nonzeros from its first element on, unless it has a single element; ``class_words``
    (10,) uint64 are those of a group with so many nonzeros.
    """
    minor, begin, index = 0, at, 0
    while index < count:
        index, minor, at = _store_groups(
            symbols, shift, index, count, sizes, places, class_words, group, minor_length, minor, at, stop, minors, classes,
            begin,
        )  # fmt: skip
        if minor == minor_length:
            ends[major] = at
            minor, major = 0, major + 1
        elif index < count:
            symbol = _symbol(symbols, shift, index)
            later = np.int64(class_words[sizes[symbol]] >> np.uint64(56))
            minor, major, at, status = _spread(
                masks[symbol], group, minor_length, minor, major, stop_major, at, stop, ends, minors, classes, begin, later
            )
            if status:
                return status
            index += 1
    return 0 if at == stop else MISCOUNTED


@jit
def decode_grouped(
    data, bounds, first, counts, group, shift, masks, sizes, places, class_words, plain, symbol_tables, only, tables, contexts,
    words, positional, first_block, stop_block, block_majors, majors, minor_length, symbols, classes, ends, minors, codes, _,
):  # fmt: skip
    """Decode blocks ``first_block`` to ``stop_block``; return (block, status), the block at fault when the status is not 0.

    ``bounds``, ``first``, ``counts``, ``ends``, ``minors``, ``codes`` (``low``): see :func:`.blocks.decode_blocks`; the second
    column of ``counts`` holds the groups. ``shift`` to ``class_words``: see :func:`expand_masks`. There are two models, one of
    masks and one of codes. Where ``plain`` (2,) says so, :func:`.huffman.decode_sequence` takes ``symbol_tables`` (2, 2304)
    and ``only`` (2,), else :func:`.words.decode_words` takes ``tables``, ``contexts`` (2, 32) and ``words`` (2, largest
    alphabet); ``positional`` is whether codes are, see :mod:`.words`. Scratch: ``symbols`` uint8, the bytes of a block's mask
    symbols, and ``classes`` uint8, zeros for a block's nonzeros and 8 more, or for one. The last argument, high bytes of codes,
    is empty: codes are bytes.
    """
    at = 0
    for block in range(first_block, stop_block):
        nonzeros, groups = counts[block, 0], counts[block, 1]
        for part in range(2):
            of_codes = part == 1
            out = codes[at : at + nonzeros] if of_codes else symbols[:]
            count = nonzeros if of_codes else groups
            offsets = bounds[first[2 * block + part] : first[2 * block + part + 1] + 1]
            if plain[part]:
                status = decode_sequence(data, offsets, symbol_tables[part], only[part], out, 0, count)
            else:
                bytes_shift = 0 if of_codes else shift
                if of_codes and len(positional) > 0:
                    status = decode_words(
                        data, offsets, tables, contexts[part], classes, positional, words[part], out, bytes_shift, 0, count
                    )
                else:
                    status = decode_words(
                        data, offsets, tables, contexts[part], classes, PLAIN, words[part], out, bytes_shift, 0, count
                    )
            if status == 0 and not of_codes:
                major = (block - first_block) * block_majors
                stop_major = min(major + block_majors, majors)
                status = expand_masks(
                    symbols, shift, groups, masks, sizes, places, class_words, group, minor_length, major, stop_major, at,
                    at + nonzeros, ends, minors, classes,
                )  # fmt: skip
            if status:
                return block, status
        at += nonzeros
    return 0, 0
