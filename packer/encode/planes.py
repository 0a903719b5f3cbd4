"""Encoding floating-point elements in byte planes, zeros left out where that is smaller."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np

from ...format_spec.coding import MAX_ALPHABET, MAX_PLANES_BLOCK, SPLIT_FROM, CodecId
from ...format_spec.planes_head import rotated, write_planes_head
from ._assemble import BLOCK_ENTRIES, Encoded, Sequence8, count_symbols, entry_table, prefix_codes, stated_counts
from ._estimate import GAP_BINS, best_gap_alphabet, coded_bits
from ._kernels import gap_histogram, write_gap_symbols
from ._plane_kernels import encode_planes_blocks, list_words, plane_histograms, write_signs

FEW_ZEROS = 1 / 32
"""Share of the elements up to which zeros are listed like others: gaps take a bit for every element that is not one."""

NOTHING = np.zeros(0, np.uint8)


@dataclass(frozen=True, eq=False)
class PlanesPlan:
    """What to encode: ``words``, the elements that are listed; their ``places`` in blocks, uint32, and the gap alphabet, unless
    all are; ``signs`` of the others, if they have any; ``cuts`` (blocks + 1,): where blocks of ``block`` positions begin in the
    words; ``counts`` (planes, 256); about how many ``bytes`` that takes."""

    block: int
    words: np.ndarray
    cuts: np.ndarray
    counts: np.ndarray
    bytes: int
    places: np.ndarray = field(default_factory=lambda: NOTHING)
    gap_symbols: int = 0
    signs: Sequence8 | None = None


def plan_planes(array: np.ndarray) -> PlanesPlan:
    """The smallest way, by estimate, to encode ``array``, of a type that the codec supports and not empty."""
    words = rotated(array)
    counts, block = _planes_histogram(words), _block(array.size, array.size)
    cuts = np.minimum(np.arange(0, array.size + block, block), array.size)
    plans = [PlanesPlan(block, words, cuts, counts, _bytes(counts))]
    zeros, signed = (int(np.count_nonzero(words == zero)) for zero in (0, 1))
    if zeros > array.size * FEW_ZEROS:
        plans.append(_leaving_out(words, counts, zeros))
    if signed and zeros + signed > array.size * FEW_ZEROS:
        plans.append(_leaving_out(words, counts, zeros, signed))
    return min(plans, key=lambda plan: plan.bytes)


def _leaving_out(words: np.ndarray, counts: np.ndarray, zeros: int, signed: int = 0) -> PlanesPlan:
    """With gaps for so many zeros, and so many below zero."""
    counts, size = counts.copy(), len(words)
    counts[:, 0] -= zeros + signed
    counts[-1, :2] += signed, -signed
    kept = size - zeros - signed
    block, listed, places = _block(size, max(1, kept)), np.empty(kept, words.dtype), np.empty(kept, np.uint32)
    cuts, gaps = np.zeros(-(-size // block) + 1, np.int64), np.zeros(min(size, GAP_BINS) + 1, np.int64)
    list_words(words, 1 + (signed > 0), block, listed, places, cuts)
    gap_histogram(cuts, places, block, 1, gaps)
    choice = best_gap_alphabet(gaps, inf) if kept else None
    signs = _signs(words, block, zeros + signed) if signed else None
    bits = (choice.bits if choice else 0) + (coded_bits(count_symbols(signs)) if signs else 0)
    alphabet = choice.alphabet if choice else 2
    return PlanesPlan(block, listed, cuts, counts, _bytes(counts) + bits // 8, places, alphabet, signs)


def _block(size: int, listed: int) -> int:
    """Positions of a block that has about :data:`BLOCK_ENTRIES` elements listed."""
    return max(1, min(size, MAX_PLANES_BLOCK, round(size * BLOCK_ENTRIES / listed)))


def _bytes(counts: np.ndarray) -> int:
    return sum(map(coded_bits, counts)) // 8


def encode_planes(plan: PlanesPlan) -> Encoded:
    """Codec 11."""
    before = [_gap_symbols(plan)] if plan.gap_symbols else []
    before += [plan.signs] if plan.signs else []
    gaps, signs = ([sequence.symbols for sequence in before] + [NOTHING, NOTHING])[:2]
    cuts = np.stack([*(sequence.cuts for sequence in before), *[plan.cuts] * len(plan.counts)])
    prefix = prefix_codes([*map(count_symbols, before), *plan.counts])
    data, substreams = prefix.room(cuts)
    room = np.empty(int(np.diff(plan.cuts).max()), np.uint8)
    size = encode_planes_blocks(gaps, signs, plan.words, cuts, prefix.words, prefix.coded, SPLIT_FROM, room, data, substreams)
    entries, sizes = entry_table(cuts, substreams, stated_counts(cuts, np.diff(plan.cuts) if plan.gap_symbols else None))
    head = write_planes_head(plan.block, plan.gap_symbols, signed=plan.signs is not None)
    parts = {"head": head, "tables": prefix.tables, "entries": entries}
    shares = {"gaps": sizes.pop(0)} if plan.gap_symbols else {}
    return Encoded.of(CodecId.PLANES, parts, data[:size].tobytes(), {**shares, "values": sum(sizes)})


def _gap_symbols(plan: PlanesPlan) -> Sequence8:
    escape, cuts = plan.gap_symbols - 1, np.zeros(len(plan.cuts), np.int64)
    symbols = np.empty(len(plan.words) + (len(plan.cuts) - 1) * plan.block // escape, np.uint8)
    write_gap_symbols(plan.cuts, plan.places, plan.block, 1, escape, escape, symbols, cuts)
    return Sequence8(symbols[: cuts[-1]], cuts, plan.gap_symbols)


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
