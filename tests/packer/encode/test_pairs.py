from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.coding import SPLIT_FROM, substream_counts
from tersor.packer.encode._contexts import Symbols
from tersor.packer.encode._pairs import Pairs, choose_pairs


def symbols_of(count: int, k: int, seed: int, blocks: int = 1) -> Symbols:
    rng = np.random.default_rng(seed)
    symbols = np.minimum(rng.geometric(min(1, 4 / k), count) - 1, k - 1).astype(np.uint16)
    cuts = np.sort(np.concatenate([[0, count], rng.integers(0, count + 1, blocks - 1)])).astype(np.int64)
    return Symbols(symbols, cuts, k, (), np.zeros(0, np.uint8))


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    st.sampled_from([0, 1, 2, 50, SPLIT_FROM, 3000]),
    st.integers(6, 40),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(0, 9),
)
def test_marked_codes_are_the_same_values(count: int, k: int, firsts: int, seconds: int, seed: int) -> None:
    codes = symbols_of(count, k, seed, blocks=1 + seed % 3)
    pairs = Pairs.of(np.bincount(codes.symbols, minlength=k), firsts, seconds)
    marked = pairs.mark(codes)
    assert np.array_equal(pairs.entries[marked.symbols], codes.symbols)
    assert np.array_equal(np.sort(pairs.entries[seconds:]), np.arange(k))
    assert marked.base == k + seconds == len(pairs.entries)
    assert sorted(pairs.phrases) == [(first, second) for first in range(pairs.begin, k + seconds) for second in range(seconds)]


@pytest.mark.parametrize("count", [100, SPLIT_FROM + 3, 5000])
def test_copies_follow_what_begins_pairs_and_nothing_else_follows_it(count: int) -> None:
    codes = symbols_of(count, 12, 1)
    pairs = Pairs.of(np.bincount(codes.symbols, minlength=12), 5, 4)
    marked, at = pairs.mark(codes).symbols, 0
    for size in substream_counts(count):
        part = marked[at : at + size]
        is_copy, begins = part < pairs.seconds, part >= pairs.begin
        assert not is_copy[0]
        assert begins[:-1][is_copy[1:]].all()
        alone = begins[:-1] & ~is_copy[1:]
        assert not np.isin(pairs.entries[part[1:][alone]], pairs.entries[: pairs.seconds]).any()
        at += size


def test_frequent_pairs_come_first_after_those_that_follow_no_single_code() -> None:
    pairs = Pairs.of(np.array([1, 100, 10, 1000]), 3, 2)
    assert pairs.entries.tolist() == [1, 3, 0, 1, 2, 3]
    assert pairs.phrases == ((4, 1), (4, 0), (5, 1), (3, 1), (5, 0), (3, 0))


def test_small_alphabets_have_no_pairs() -> None:
    assert choose_pairs(symbols_of(500, 5, 0), 1) is None
    found = choose_pairs(symbols_of(500, 30, 0), 1)
    assert found is not None
    assert found[1].structure.phrases == found[0].phrases
