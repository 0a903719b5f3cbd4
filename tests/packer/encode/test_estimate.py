from __future__ import annotations

import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.packer.encode._estimate import best_gap_alphabet, coded_bits, fewest_bits, gap_symbol_counts, wide_coded_bits
from tersor.packer.encode._kernels import crossed_gap_histogram, gap_histogram, histogram, prefix_code_bits


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=80))
def test_prefix_code_bits(weights: list[int]) -> None:
    heap, bits = list(weights), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        bits += both
        heapq.heappush(heap, both)
    assert prefix_code_bits(np.sort(np.array(weights, np.int64))) == bits


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.integers(1, 40), st.integers(0, 99))
def test_gap_histograms_of_both_orders(majors: int, minor_length: int, density: float, bins: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((majors, minor_length)) < density
    starts = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int64)
    minors = np.nonzero(mask)[1].astype(np.uint32)
    for matrix, block, crossed in ((mask, 3, False), (mask, 100, False), (mask.T, 100, True)):
        expected = np.zeros(bins, np.int64)
        for first in range(0, len(matrix), block):
            gaps = np.diff(np.flatnonzero(matrix[first : first + block]), prepend=-1) - 1
            np.add.at(expected, np.minimum(gaps, bins - 1), 1)
        found = np.zeros(bins, np.int64)
        if crossed:
            crossed_gap_histogram(starts, minors, minor_length, found)
        else:
            gap_histogram(starts, minors, minor_length, block, found)
        assert np.array_equal(found, expected)


def test_gap_symbols_are_counted_with_escapes() -> None:
    gaps = np.zeros(8, np.int64)
    gaps[[0, 3, 7]] = 5, 2, 1
    assert gap_symbol_counts(gaps, 4).tolist() == [5 + 2, 1, 0, 2 * 1 + 1 * 2]


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(st.integers(0, 500), min_size=2, max_size=256).filter(any))
def test_the_lower_bound_is_one(values: list[int]) -> None:
    counts = np.array(values)
    assert fewest_bits(counts) <= coded_bits(counts)


def test_the_best_alphabet_is_nearly_the_smallest() -> None:
    for density in (0.02, 0.1, 0.4, 0.9):
        gaps = np.bincount(np.random.default_rng(0).geometric(density, 50_000) - 1)
        best = best_gap_alphabet(gaps, float("inf"))
        assert best is not None
        sizes = [coded_bits(gap_symbol_counts(gaps, 1 << width)) for width in range(1, 9)]
        assert min(sizes) <= best.bits <= min(sizes) * 1.004
        assert best_gap_alphabet(gaps, 100.0) is None


@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.lists(st.integers(0, 255), max_size=50))
def test_histogram(symbols: list[int]) -> None:
    counts = np.full(256, 7, np.int64)
    histogram(np.array(symbols, np.uint8), counts)
    assert np.array_equal(counts, np.bincount(np.array(symbols, np.int64), minlength=256))


def test_wide_alphabets_count_both_bytes() -> None:
    counts = np.zeros(600, np.int64)
    counts[[3, 300, 301, 599]] = 8, 4, 2, 1
    low = np.zeros(256, np.int64)
    low[[3, 44, 45, 87]] = 8, 4, 2, 1
    assert wide_coded_bits(counts) == coded_bits(low) + coded_bits(np.array([8, 6, 1]))
