"""Jitted decoding of grouped payloads: masks, their positions, and the codes of the nonzeros."""

from __future__ import annotations

import numpy as np

from ..kernels._jit import jit
from ._bits import store_sums, store_word
from ._blocks import MISCOUNTED, OUTSIDE
from ._huffman import decode_sequence
from ._words import decode_words

LANES = 8
"""Positions written at a time."""


@jit
def _spread(mask, group, minor_length, minor, major, stop_major, at, stop, ends, minors, classes, later):
    """Write the nonzeros of one group position by position; return (minor, major, entries, status)."""
    begin = at
    for place in range(group):
        if mask >> place & 1:
            if major >= stop_major:
                return minor, major, at, OUTSIDE
            if at == stop:
                return minor, major, at, MISCOUNTED
            minors[at] = minor
            if len(classes) > 1:
                classes[at - begin] = later if at > begin else 0
            at += 1
        minor += 1
        if minor == minor_length and major < stop_major:
            ends[major] = at
            minor, major = 0, major + 1
    return minor, major, at, 0


@jit
def expand_masks(
    narrow,
    wide,
    count,
    masks,
    sizes,
    places,
    class_words,
    group,
    minor_length,
    major,
    stop_major,
    at,
    stop,
    ends,
    minors,
    classes,
):
    """Write ``ends[major:stop_major]`` and ``minors[at:stop]`` from ``count`` mask symbols of one block; return a status.

    The symbols are in ``narrow`` (uint8), or in ``wide`` (uint16) when ``narrow`` is empty. ``masks``, ``sizes`` (symbols,)
    int64 and ``places`` (symbols * 8,) uint8: a symbol's mask, its nonzeros and the first eight places of them. ``classes``
    uint8 gets the position classes of the block's nonzeros from its first element on, unless it has a single element;
    ``class_words`` (10,) uint64 are those of a group with so many nonzeros.
    """
    minor, begin = 0, at
    for index in range(count):
        symbol = np.int64(narrow[index]) if len(narrow) > 0 else np.int64(wide[index])
        size = sizes[symbol]
        if minor + group <= minor_length and at + LANES + 1 <= stop:
            store_sums(places, symbol * LANES, minor, minors, at)
            if len(classes) > 1:
                store_word(classes, at - begin, class_words[size])
            if size > LANES:
                minors[at + LANES] = minor + LANES
                if len(classes) > 1:
                    classes[at - begin + LANES] = class_words[size] >> np.uint64(56)
            at += size
            minor += group
            if minor == minor_length:
                ends[major] = at
                minor, major = 0, major + 1
        else:
            later = np.int64(class_words[size] >> np.uint64(56))
            kept = classes[at - begin :] if len(classes) > 1 else classes
            minor, major, at, status = _spread(
                masks[symbol], group, minor_length, minor, major, stop_major, at, stop, ends, minors, kept, later
            )
            if status:
                return status
    return 0 if at == stop else MISCOUNTED


@jit
def _sequence(data, offsets, pairs, only, tables, contexts, classes, class_mask, words, out, shift, start, stop):
    """One sequence: by pairs of symbols where there is one table and no phrase (``pairs`` is not empty), else by words."""
    if len(pairs) > 0:
        return decode_sequence(data, offsets, pairs, only, out, start, stop)
    return decode_words(data, offsets, tables, contexts, classes, class_mask, words, out, shift, start, stop)


@jit
def decode_grouped(
    data, bounds, first, counts, group, shift, masks, sizes, places, class_words,
    mask_pairs, mask_only, mask_tables, mask_contexts, mask_words,
    code_pairs, code_only, code_tables, code_contexts, code_words, class_mask,
    first_block, stop_block, block_majors, majors, minor_length, symbols, wide, classes, ends, minors, codes,
):  # fmt: skip
    """Decode blocks ``first_block`` to ``stop_block``; return (block, status), the block at fault when the status is not 0.

    ``bounds``, ``first``, ``counts``, ``ends``, ``minors``, ``codes`` (``low``): see :func:`._blocks.decode_blocks`; the second
    column of ``counts`` holds the groups. ``shift``: 1 when mask symbols take two bytes. ``masks`` to ``class_words``: see
    :func:`expand_masks`. A model is ``pairs`` and ``only`` (:mod:`._huffman`; empty unless plain), ``tables``, ``contexts`` and
    ``words`` (:func:`._words.decode_words`). Scratch: ``symbols`` uint8, the bytes of a block's mask symbols, ``wide`` the same
    memory as uint16 (empty when ``shift`` is 0), ``classes`` uint8: a block's nonzeros and 8 more, or 1.
    """
    at = 0
    narrow = symbols[: len(symbols) if shift == 0 else 0]
    none = np.zeros(1, np.uint8)
    for block in range(first_block, stop_block):
        major = (block - first_block) * block_majors
        stop_major = min(major + block_majors, majors)
        nonzeros, groups = counts[block, 0], counts[block, 1]
        offsets = bounds[first[2 * block] : first[2 * block + 1] + 1]
        status = _sequence(
            data, offsets, mask_pairs, mask_only, mask_tables, mask_contexts, none, 0, mask_words, symbols, shift, 0, groups
        )
        if status == 0:
            status = expand_masks(
                narrow, wide, groups, masks, sizes, places, class_words, group, minor_length, major, stop_major, at,
                at + nonzeros, ends, minors, classes,
            )  # fmt: skip
        if status == 0:
            offsets = bounds[first[2 * block + 1] : first[2 * block + 2] + 1]
            status = _sequence(
                data, offsets, code_pairs, code_only, code_tables, code_contexts, classes, class_mask, code_words,
                codes[at : at + nonzeros], 0, 0, nonzeros,
            )  # fmt: skip
        if status:
            return block, status
        at += nonzeros
    return 0, 0
