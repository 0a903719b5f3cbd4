"""Encoding floating-point elements in byte planes, zeros left out where that is smaller."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from ...format_spec.coding import MAX_ALPHABET, MAX_PLANES_BLOCK, SPLIT_FROM, CodecId
from ...format_spec.planes_head import rotated, write_planes_head
from ._assemble import BLOCK_ENTRIES, Encoded, Sequence8, count_symbols, entry_table, prefix_codes, stated_counts
from ._estimate import GAP_BINS, best_gap_alphabet, coded_bits
from ._kernels import write_gap_symbols
from ._plane_kernels import count_gaps, encode_planes_blocks, list_words, plane_histograms, write_signs

FEW_ZEROS = 1 / 32
"""Share of the elements up to which zeros are listed like others: gaps take a bit for every element that is not one."""

NOTHING = np.zeros(0, np.uint8)


@dataclass(frozen=True, eq=False)
class Way:
    """A way to encode elements, in blocks of ``block``: those ``kept`` whose words are ``least`` or more are listed, with
    gaps of an alphabet of ``gap_symbols`` unless all are; ``signs`` of the others, if they have any; ``counts`` (planes, 256);
    about how many ``bytes`` that takes."""

    least: int
    kept: int
    block: int
    counts: np.ndarray
    bytes: int
    gap_symbols: int = 0
    signs: Sequence8 | None = None


@dataclass(frozen=True, eq=False)
class PlanesPlan:
    """What to encode: ``words``, the elements that are listed; their ``places`` in blocks, uint32, unless all are; ``cuts``
    (blocks + 1,): where blocks begin in the words."""

    way: Way
    words: np.ndarray
    cuts: np.ndarray
    places: np.ndarray


def plan_planes(array: np.ndarray) -> PlanesPlan:
    """The smallest way, by estimate, to encode ``array``, of a type that the codec supports and not empty."""
    words, size = rotated(array), array.size
    counts = _planes_histogram(words)
    ways = [Way(0, size, _block(size, size), counts, _bytes(counts))]
    zeros, signed = (int(np.count_nonzero(words == zero)) for zero in (0, 1))
    if zeros > size * FEW_ZEROS:
        ways.append(_leaving_out(words, counts, zeros))
    if signed and zeros + signed > size * FEW_ZEROS:
        ways.append(_leaving_out(words, counts, zeros, signed))
    return _plan(words, min(ways, key=lambda way: way.bytes))


def _leaving_out(words: np.ndarray, counts: np.ndarray, zeros: int, signed: int = 0) -> Way:
    """With gaps for so many zeros, and so many below zero."""
    counts, size = counts.copy(), len(words)
    counts[:, 0] -= zeros + signed
    counts[-1, :2] += signed, -signed
    kept, least = size - zeros - signed, 1 + (signed > 0)
    block, gaps = _block(size, max(1, kept)), np.zeros(min(size, GAP_BINS) + 1, np.int64)
    count_gaps(words, least, block, gaps)
    choice = best_gap_alphabet(gaps, inf) if kept else None
    signs = _signs(words, block, zeros + signed) if signed else None
    bits = (choice.bits if choice else 0) + (coded_bits(count_symbols(signs)) if signs else 0)
    return Way(least, kept, block, counts, _bytes(counts) + bits // 8, choice.alphabet if choice else 2, signs)


def _plan(words: np.ndarray, way: Way) -> PlanesPlan:
    """What is listed, of all ``words``."""
    cuts = np.minimum(np.arange(0, len(words) + way.block, way.block), len(words))
    if not way.gap_symbols:
        return PlanesPlan(way, words, cuts, NOTHING)
    listed, places = np.empty(way.kept, words.dtype), np.empty(way.kept, np.uint32)
    list_words(words, way.least, way.block, listed, places, cuts)
    return PlanesPlan(way, listed, cuts, places)


def _block(size: int, listed: int) -> int:
    """Positions of a block that has about :data:`BLOCK_ENTRIES` elements listed."""
    return max(1, min(size, MAX_PLANES_BLOCK, round(size * BLOCK_ENTRIES / listed)))


def _bytes(counts: np.ndarray) -> int:
    return sum(map(coded_bits, counts)) // 8


def encode_planes(plan: PlanesPlan) -> Encoded:
    """Codec 11."""
    way = plan.way
    before = [_gap_symbols(plan)] if way.gap_symbols else []
    before += [way.signs] if way.signs else []
    gaps, signs = ([sequence.symbols for sequence in before] + [NOTHING, NOTHING])[:2]
    cuts = np.stack([*(sequence.cuts for sequence in before), *[plan.cuts] * len(way.counts)])
    prefix = prefix_codes([*map(count_symbols, before), *way.counts])
    data, substreams = prefix.room(cuts)
    room = np.empty(int(np.diff(plan.cuts).max()), np.uint8)
    size = encode_planes_blocks(gaps, signs, plan.words, cuts, prefix.words, prefix.coded, SPLIT_FROM, room, data, substreams)
    entries, sizes = entry_table(cuts, substreams, stated_counts(cuts, np.diff(plan.cuts) if way.gap_symbols else None))
    head = write_planes_head(way.block, way.gap_symbols, signed=way.signs is not None)
    parts = {"head": head, "tables": prefix.tables, "entries": entries}
    shares = {"gaps": sizes.pop(0)} if way.gap_symbols else {}
    return Encoded.of(CodecId.PLANES, parts, data[:size].data, {**shares, "values": sum(sizes)})


def _gap_symbols(plan: PlanesPlan) -> Sequence8:
    block, alphabet, cuts = plan.way.block, plan.way.gap_symbols, np.zeros(len(plan.cuts), np.int64)
    symbols = np.empty(len(plan.words) + (len(plan.cuts) - 1) * block // (alphabet - 1), np.uint8)
    write_gap_symbols(plan.cuts, plan.places, block, 1, alphabet - 1, alphabet - 1, symbols, cuts)
    return Sequence8(symbols[: cuts[-1]], cuts, alphabet)


def _signs(words: np.ndarray, block: int, count: int) -> Sequence8:
    """The lowest bits of the ``count`` words that are zeros of either sign."""
    cuts = np.zeros(-(-len(words) // block) + 1, np.int64)
    symbols = np.zeros(count // 8 + len(cuts), np.uint8)
    write_signs(words, block, symbols, cuts)
    return Sequence8(symbols[: cuts[-1]], cuts, MAX_ALPHABET)


def _planes_histogram(words: np.ndarray) -> np.ndarray:
    counts = np.zeros((words.dtype.itemsize, MAX_ALPHABET), np.int64)
    plane_histograms(words, counts)
    return counts
