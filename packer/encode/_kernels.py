"""Jitted parts of the encoders: histograms of gaps in either scan order, gap symbols, Huffman bits."""

from __future__ import annotations

import numpy as np

from ...runtime.decode.jitted.bits import store_big_endian
from ...runtime.jit.jitted import jit


@jit
def gap_histogram(starts, minors, minor_length, block_majors, histogram):
    """Count the gaps of a tensor in its own scan order; gaps from ``len(histogram) - 1`` on share the last bin."""
    last = len(histogram) - 1
    previous = np.int64(-1)
    for major in range(len(starts) - 1):
        if major % block_majors == 0:
            previous = -1
        offset = major % block_majors * minor_length
        for entry in range(starts[major], starts[major + 1]):
            here = offset + np.int64(minors[entry])
            histogram[min(here - previous - 1, last)] += 1
            previous = here


@jit
def crossed_gap_histogram(starts, minors, minor_length, histogram):
    """As :func:`gap_histogram` for the other scan order in one block, without reordering."""
    majors, last = len(starts) - 1, len(histogram) - 1
    newest = np.full(minor_length, -1, np.int64)
    oldest = np.full(minor_length, -1, np.int64)
    for major in range(majors):
        for entry in range(starts[major], starts[major + 1]):
            minor = minors[entry]
            before = newest[minor]
            if before < 0:
                oldest[minor] = major
            else:
                histogram[min(major - before - 1, last)] += 1
            newest[minor] = major
    previous = np.int64(-1)
    for minor in range(minor_length):
        if oldest[minor] >= 0:
            histogram[min(minor * majors + oldest[minor] - previous - 1, last)] += 1
            previous = minor * majors + newest[minor]


@jit
def write_gap_symbols(starts, minors, minor_length, block_majors, reach, symbol, symbols, cuts):
    """Fill ``symbols``, uint8 and large enough, with gap symbols; ``symbol`` stands for each ``reach`` positions of a gap.

    ``cuts`` (blocks + 1,) int64 is set to where blocks begin in ``symbols``, and to their number.
    """
    at, majors = np.int64(0), len(starts) - 1
    for block in range(len(cuts) - 1):
        cuts[block] = at
        first, previous = block * block_majors, np.int64(-1)
        for major in range(first, min(first + block_majors, majors)):
            offset = (major - first) * minor_length
            for entry in range(starts[major], starts[major + 1]):
                here = offset + np.int64(minors[entry])
                gap = here - previous - 1
                while gap >= reach:
                    symbols[at] = symbol
                    at, gap = at + 1, gap - reach
                symbols[at] = gap
                at, previous = at + 1, here
    cuts[len(cuts) - 1] = at


@jit
def write_filled_codes(starts, minors, codes, minor_length, block_majors, reach, filler, entries):
    """Fill ``entries`` (gap symbols,) uint32 with the codes, each after one ``filler`` for every ``reach`` of its gap."""
    at, previous = np.int64(0), np.int64(-1)
    for major in range(len(starts) - 1):
        if major % block_majors == 0:
            previous = -1
        offset = major % block_majors * minor_length
        for entry in range(starts[major], starts[major + 1]):
            here = offset + np.int64(minors[entry])
            for _ in range((here - previous - 1) // reach):
                entries[at] = filler
                at += 1
            entries[at] = codes[entry]
            at, previous = at + 1, here


@jit
def histogram(symbols, counts):
    """Count ``symbols`` (unsigned) into ``counts`` (alphabet,) int64, zeroed here; four tables keep equal neighbours apart."""
    alphabet = len(counts)
    parts = np.zeros((4, alphabet), np.int64)
    whole = len(symbols) // 4 * 4
    for at in range(0, whole, 4):
        parts[0, symbols[at]] += 1
        parts[1, symbols[at + 1]] += 1
        parts[2, symbols[at + 2]] += 1
        parts[3, symbols[at + 3]] += 1
    for at in range(whole, len(symbols)):
        parts[0, symbols[at]] += 1
    for symbol in range(alphabet):
        counts[symbol] = parts[0, symbol] + parts[1, symbol] + parts[2, symbol] + parts[3, symbol]


@jit(inline="always")
def _append(symbol, words, bits, used):
    word = words[symbol]
    length = word & np.uint64(15)
    return bits << length | word >> np.uint64(4), used + length


@jit
def encode_substream(symbols, start, stop, words, out, at):
    """Write ``symbols[start:stop]`` to ``out`` from byte ``at`` and up to 8 bytes further; return the offset after them."""
    bits, used = np.uint64(0), np.uint64(0)
    whole = start + (stop - start) // 5 * 5
    for first in range(start, whole, 5):  # 7 bits left over and five of at most 11 fit 64
        for ahead in range(5):
            bits, used = _append(symbols[first + ahead], words, bits, used)
        store_big_endian(out, at, bits << (np.uint64(64) - used))
        at += np.int64(used >> np.uint64(3))
        used &= np.uint64(7)
    for index in range(whole, stop):
        bits, used = _append(symbols[index], words, bits, used)
        store_big_endian(out, at, bits << (np.uint64(64) - used))
        at += np.int64(used >> np.uint64(3))
        used &= np.uint64(7)
    return at + np.int64(used > np.uint64(0))


@jit
def encode_sequence(symbols, start, stop, words, coded, split_from, out, at, lengths, substream):
    """Write a block's ``symbols[start:stop]`` to ``out`` from byte ``at`` on, and the bytes of its substreams, of which
    ``substream`` is the first, to ``lengths``; return (offset after them, substream after them)."""
    step = stop - start if stop - start < split_from else (stop - start + 3) // 4
    while start < stop:
        end = min(start + step, stop)
        after = encode_substream(symbols, start, end, words, out, at) if coded else at
        lengths[substream] = after - at
        substream, at, start = substream + 1, after, end
    return at, substream


@jit
def encode_blocks(first, second, third, cuts, words, coded, split_from, out, lengths):
    """Write every block's sequences to ``out`` and each substream's bytes to ``lengths``; return the bytes of all.

    ``first``, ``second``, ``third``: symbols, uint8; ``cuts`` (sequences, blocks + 1) int64: where blocks begin in them.
    ``words`` (sequences, 256) uint64: code << 4 | length; ``coded`` (sequences,) bool: false where the only symbol takes no
    bits. ``out`` has 8 bytes more than needed.
    """
    at, substream = np.int64(0), np.int64(0)
    for block in range(cuts.shape[1] - 1):
        for sequence in range(cuts.shape[0]):
            symbols = first if sequence == 0 else second if sequence == 1 else third
            start, stop, code = cuts[sequence, block], cuts[sequence, block + 1], words[sequence]
            at, substream = encode_sequence(
                symbols, start, stop, code, coded[sequence], split_from, out, at, lengths, substream
            )
    return at


@jit
def prefix_code_bits(weights):
    """Bits of an optimal prefix code for ascending ``weights`` (symbols,) int64: the sum of its inner nodes (Huffman, 1952)."""
    symbols = len(weights)
    nodes = np.empty(symbols, np.int64)
    leaf, inner, made, total = 0, 0, 0, np.int64(0)
    while made < symbols - 1:
        pair = np.int64(0)
        for _ in range(2):
            if leaf < symbols and (inner == made or weights[leaf] <= nodes[inner]):
                pair += weights[leaf]
                leaf += 1
            else:
                pair += nodes[inner]
                inner += 1
        nodes[made] = pair
        total += pair
        made += 1
    return total


@jit
def drop_zeros(codes, renumbered, minor_length, starts, minors, kept):
    """List the codes that ``renumbered`` (k,) int64 does not map to -1: ``starts``, ``minors``, and new codes in ``kept``."""
    at, position = np.int64(0), np.int64(0)
    starts[0] = 0
    for major in range(len(starts) - 1):
        for minor in range(minor_length):
            code = renumbered[codes[position]]
            position += 1
            if code >= 0:
                minors[at] = minor
                kept[at] = code
                at += 1
        starts[major + 1] = at


@jit
def place_codes(starts, minors, codes, minor_length, placed):
    """Write 1 + code of every entry to its position in ``placed`` (positions,), which is zero elsewhere."""
    for major in range(len(starts) - 1):
        offset = major * minor_length
        for entry in range(starts[major], starts[major + 1]):
            placed[offset + np.int64(minors[entry])] = np.int64(codes[entry]) + 1
