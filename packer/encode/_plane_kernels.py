"""Jitted parts of the planes encoder: bytes of words counted, and coded block by block."""

from __future__ import annotations

import numpy as np

from ...runtime.jit.jitted import jit
from ._kernels import encode_sequence


@jit
def plane_histograms(words, counts):
    """Add to ``counts`` (bytes of a word, 256) int64 how often each byte occurs in each plane, the highest byte's first."""
    width = len(counts)
    for word in words:
        for plane in range(width):
            counts[plane, word >> 8 * (width - 1 - plane) & 255] += 1


@jit
def count_gaps(words, least, block, gaps):
    """Add to ``gaps`` int64 how many words are between each from ``least`` on and the one before, or the begin of its block of
    ``block``; from ``len(gaps) - 1`` on they share the last bin."""
    for start in range(0, len(words), block):
        previous = np.int64(-1)
        for place, word in enumerate(words[start : start + block]):
            if word >= least:
                gaps[min(place - previous - 1, len(gaps) - 1)] += 1
                previous = place


@jit
def list_words(words, least, block, listed, places, cuts):
    """Fill ``listed`` with the words from ``least`` on, ``places`` uint32 with how many words are before each in its block of
    ``block``, and ``cuts`` (blocks + 1,) int64 with where blocks begin in them, and their number."""
    at = np.int64(0)
    for number in range(len(cuts) - 1):
        cuts[number] = at
        for place, word in enumerate(words[number * block : (number + 1) * block]):
            if word >= least:
                listed[at], places[at] = word, place
                at += 1
    cuts[len(cuts) - 1] = at


@jit
def write_signs(words, block, signs, cuts):
    """Fill ``signs`` uint8, zeros until now, with the lowest bits of the words below 2, eight to a byte, every ``block`` words
    from a new byte on; ``cuts`` (blocks + 1,) int64 is set to where blocks begin in it, and to their number."""
    at = np.int64(0)
    for number in range(len(cuts) - 1):
        cuts[number], bit = at, 0
        for word in words[number * block : (number + 1) * block]:
            if word < 2:
                signs[at + (bit >> 3)] |= np.uint8(word) << (7 - (bit & 7))
                bit += 1
        at += (bit + 7) >> 3
    cuts[len(cuts) - 1] = at


@jit
def encode_planes_blocks(gaps, signs, words, cuts, codes, coded, split_from, room, out, lengths):
    """Write every block's sequences to ``out`` and each substream's bytes to ``lengths``; return the bytes of all.

    ``gaps`` and ``signs`` uint8, where there are any; ``words``: elements, whose bytes are the planes. ``cuts`` (sequences,
    blocks + 1) int64: where blocks begin in them; ``codes`` and ``coded`` are ``words`` and ``coded`` of
    :func:`._kernels.encode_blocks`. Scratch: ``room`` uint8, an element of it for each of the largest block.
    """
    at, substream, width = np.int64(0), np.int64(0), words.itemsize
    before = len(cuts) - width
    for block in range(cuts.shape[1] - 1):
        for sequence in range(len(cuts)):
            start, stop, symbols = cuts[sequence, block], cuts[sequence, block + 1], gaps if sequence == 0 else signs
            if sequence >= before:
                shift = 8 * (len(cuts) - 1 - sequence)
                for index in range(start, stop):
                    room[index - start] = words[index] >> shift
                start, stop, symbols = 0, stop - start, room
            at, substream = encode_sequence(
                symbols, start, stop, codes[sequence], coded[sequence], split_from, out, at, lengths, substream
            )
    return at
