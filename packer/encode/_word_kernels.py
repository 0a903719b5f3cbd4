"""Jitted parts of the grouped encoder: masks of groups, counts of words by context, words' bits."""

from __future__ import annotations

import numpy as np

from ...runtime.decode.jitted.bits import store_big_endian
from ...runtime.jit.jitted import jit
from ._kernels import encode_substream, prefix_code_bits

FAR = 8
"""Groups from which a division is faster than going on one by one."""


@jit
def write_masks(starts, minors, minor_length, block_majors, group, symbol_of, symbols, cuts, classes):
    """Fill ``symbols``, uint16 and zeroed, with the mask symbol of every group of every block, and ``cuts`` (blocks + 1,).

    ``symbol_of`` (2**group,) uint16: symbols by mask. ``classes`` (nonzeros,) uint8 is filled with the position classes unless
    it is empty.
    """
    majors, base, filled = len(starts) - 1, np.int64(0), np.int64(0)
    for block in range(len(cuts) - 1):
        cuts[block] = base
        first = block * block_majors
        stop = min(first + block_majors, majors)
        mask, place, limit, entry = np.int64(0), np.int64(-1), np.int64(0), starts[first]
        for major in range(first, stop):
            offset = (major - first) * minor_length
            while entry < starts[major + 1]:
                here = offset + np.int64(minors[entry])
                if here >= limit:
                    if mask:
                        symbols[base + place] = symbol_of[mask]
                        filled = _fill_classes(classes, filled, entry)
                    mask = np.int64(0)
                    if here - limit > FAR * group:
                        place = here // group
                        limit = place * group + group
                    while here >= limit:
                        place, limit = place + 1, limit + group
                mask |= np.int64(1) << (here - limit + group)
                entry += 1
        if mask:
            symbols[base + place] = symbol_of[mask]
            filled = _fill_classes(classes, filled, entry)
        base += ((stop - first) * minor_length + group - 1) // group
    cuts[len(cuts) - 1] = base


@jit(inline="always")
def _fill_classes(classes, start, stop):
    if len(classes) == 0:
        return stop
    size = stop - start
    later = 1 if size < 4 else 2 if size < 7 else 3
    classes[start] = 0
    for index in range(start + 1, stop):
        classes[index] = later
    return stop


@jit(inline="always")
def _longest(symbols, at, stop, grown):
    """The longest word from ``at`` on, and where it ends."""
    word = np.int64(symbols[at])
    at += 1
    if len(grown) > 0:
        while at < stop and grown[word, symbols[at]] >= 0:
            word = np.int64(grown[word, symbols[at]])
            at += 1
    return word, at


@jit
def count_words(symbols, cuts, split_from, grown, class_of, positions, counts):
    """Count the words of every context into ``counts`` (8, 4, alphabet) int64: class before, position class, word.

    ``symbols`` uint16: base symbols, blocks beginning at ``cuts``. ``grown`` (alphabet, base) int16: the phrase that a word and
    a further symbol make, or -1; empty without phrases. ``class_of`` (base,) int64. ``positions`` uint8: the position class of
    each symbol, or empty.
    """
    for block in range(len(cuts) - 1):
        at, stop = cuts[block], cuts[block + 1]
        step = stop - at if stop - at < split_from else (stop - at + 3) // 4
        while at < stop:
            end, before = min(at + step, stop), np.int64(0)
            while at < end:
                position = np.int64(positions[at]) if len(positions) > 0 else np.int64(0)
                word, at = _longest(symbols, at, end, grown)
                counts[before, position, word] += 1
                before = class_of[symbols[at - 1]]


@jit
def mark_seconds(symbols, cuts, split_from, numbers, copies, first, marked):
    """Renumber ``symbols`` uint16 to ``marked``: ``copies`` (base,) int16 for the second of a pair, else ``numbers`` uint16.

    A pair is a symbol whose number is ``first`` or more, then one that has a copy (others are -1); none crosses the end of a
    substream. ``cuts``: see :func:`count_words`.
    """
    for block in range(len(cuts) - 1):
        at, stop = cuts[block], cuts[block + 1]
        step = stop - at if stop - at < split_from else (stop - at + 3) // 4
        while at < stop:
            end, begins = min(at + step, stop), False
            while at < end:
                copy = copies[symbols[at]]
                is_second = begins and copy >= 0
                marked[at] = np.uint16(copy) if is_second else numbers[symbols[at]]
                begins = not is_second and numbers[symbols[at]] >= first
                at += 1


@jit
def count_pairs(symbols, grown, counts):
    """Count each word and the symbol after it into ``counts`` (alphabet, base) int32; return the number of words."""
    at, words = 0, 0
    while at < len(symbols):
        word, at = _longest(symbols, at, len(symbols), grown)
        words += 1
        if at < len(symbols):
            counts[word, symbols[at]] += 1
    return words


@jit
def encode_words(symbols, cuts, split_from, grown, class_of, positions, contexts, words, block, out, at, lengths, substream):
    """Write one block's words to ``out`` from byte ``at``, their substreams' bytes to ``lengths``; return (end, substreams).

    ``contexts`` (8, 4) int64: the table of each context; ``words`` (tables, alphabet) uint64: code << 4 | length; the others as
    in :func:`count_words`. ``out`` has 8 bytes more than needed.
    """
    here, stop = cuts[block], cuts[block + 1]
    step = stop - here if stop - here < split_from else (stop - here + 3) // 4
    while here < stop:
        end, before, begin = min(here + step, stop), np.int64(0), at
        if len(grown) == 0 and len(words) == 1:
            at = encode_substream(symbols, here, end, words[0], out, at)
            lengths[substream] = at - begin
            substream, here = substream + 1, end
            continue
        bits, used = np.uint64(0), np.uint64(0)
        while here < end:
            position = np.int64(positions[here]) if len(positions) > 0 else np.int64(0)
            symbol, here = _longest(symbols, here, end, grown)
            word = words[contexts[before, position], symbol]
            length = word & np.uint64(15)
            bits, used = bits << length | word >> np.uint64(4), used + length
            before = class_of[symbols[here - 1]]
            if used > np.uint64(44):  # 7 bits left over and four of at most 11 fit 64
                store_big_endian(out, at, bits << (np.uint64(64) - used))
                at += np.int64(used >> np.uint64(3))
                used &= np.uint64(7)
        if used:
            store_big_endian(out, at, bits << (np.uint64(64) - used))
            at += np.int64((used + np.uint64(7)) >> np.uint64(3))
        lengths[substream] = at - begin
        substream += 1
    return at, substream


@jit
def encode_grouped(
    first, first_cuts, first_grown, first_classes, first_contexts, first_words,
    second, second_cuts, second_grown, second_classes, second_positions, second_contexts, second_words,
    split_from, out, lengths,
):  # fmt: skip
    """Write every block's masks and codes; return (bytes, substreams). Arguments as in :func:`encode_words`."""
    at, substream, nowhere = np.int64(0), np.int64(0), np.zeros(0, np.uint8)
    for block in range(len(first_cuts) - 1):
        at, substream = encode_words(
            first, first_cuts, split_from, first_grown, first_classes, nowhere, first_contexts, first_words, block, out, at,
            lengths, substream,
        )  # fmt: skip
        at, substream = encode_words(
            second, second_cuts, split_from, second_grown, second_classes, second_positions, second_contexts, second_words,
            block, out, at, lengths, substream,
        )  # fmt: skip
    return at, substream


@jit
def code_bits(counts, scale):
    """About the bits of symbols with these ``counts`` (alphabet,) int64 in a Huffman code of their own, with its table.

    The counts are one part in ``scale`` of all; a bit a symbol is what a code that fits a sample loses on the rest.
    """
    used = counts[counts > 0]
    last = 0
    for symbol in range(len(counts)):
        if counts[symbol] > 0:
            last = symbol + 1
    if len(used) == 0:
        return np.int64(0)
    used.sort()
    return prefix_code_bits(used) + len(used) + (len(used) + (last - len(used)) // 2 + 8) // scale


@jit
def merge_contexts(counts, most, scale, owner):
    """Merge the ``counts`` (contexts, alphabet) of contexts while that saves bits, and until ``most`` groups remain.

    ``owner`` (contexts,) int64 is set to the first context of each one's group, -1 where nothing occurs. Returns the bits;
    ``scale``: see :func:`code_bits`.
    """
    contexts = len(counts)
    sums, bits, groups = counts.copy(), np.zeros(contexts, np.int64), 0
    for context in range(contexts):
        owner[context] = context if counts[context].sum() else -1
        groups += owner[context] >= 0
        bits[context] = code_bits(counts[context], scale)
    gains = np.zeros((contexts, contexts), np.int64)
    for one in range(contexts):
        for other in range(one):
            if owner[one] == one and owner[other] == other:
                gains[one, other] = bits[one] + bits[other] - code_bits(sums[one] + sums[other], scale)
    while groups > 1:
        best, kept, gone = np.int64(-(1 << 62)), 0, 0
        for one in range(contexts):
            for other in range(one):
                if owner[one] == one and owner[other] == other and gains[one, other] > best:
                    best, kept, gone = gains[one, other], other, one
        if best <= 0 and groups <= most:
            break
        sums[kept] += sums[gone]
        bits[kept], groups = bits[kept] + bits[gone] - best, groups - 1
        for context in range(contexts):
            if owner[context] == gone:
                owner[context] = kept
        for other in range(contexts):
            if owner[other] == other and other != kept:
                gain = bits[kept] + bits[other] - code_bits(sums[kept] + sums[other], scale)
                gains[max(kept, other), min(kept, other)] = gain
    total = np.int64(0)
    for context in range(contexts):
        if owner[context] == context:
            total += bits[context]
    return total
