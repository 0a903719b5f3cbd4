from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.coding import MAX_CODE_LENGTH
from tersor.format_spec.errors import FormatError
from tersor.format_spec.huffman import UNUSED, canonical_codes, code_lengths, read_table, write_table

COUNTS = st.lists(st.one_of(st.just(0), st.integers(1, 10), st.integers(1, 1 << 40)), min_size=1, max_size=256).filter(any)


def unlimited_bits(counts: np.ndarray) -> int:
    heap = [int(count) for count in counts if count]
    heapq.heapify(heap)
    bits = 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        bits += both
        heapq.heappush(heap, both)
    return bits


def bit_string(text: str) -> bytes:
    text = text.replace(" ", "")
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


@settings(deadline=None, max_examples=60, derandomize=True)
@given(COUNTS)
def test_lengths_form_a_complete_code_and_are_optimal(values: list[int]) -> None:
    counts = np.array(values)
    lengths = code_lengths(counts)
    used = counts > 0
    assert np.array_equal(lengths >= 0, used)
    assert lengths.max() <= MAX_CODE_LENGTH
    assert sum(2.0 ** -float(n) for n in lengths[used]) == 1
    bits = int(counts @ np.maximum(lengths, 0))
    assert bits >= unlimited_bits(counts)
    if lengths.max() < MAX_CODE_LENGTH:
        assert bits == unlimited_bits(counts)


def test_limit_binds_on_fibonacci_counts() -> None:
    counts = [1, 1]
    while len(counts) < 20:
        counts.append(counts[-1] + counts[-2])
    lengths = code_lengths(np.array(counts))
    assert lengths.max() == MAX_CODE_LENGTH
    assert code_lengths(np.array(counts), limit=19).max() == 19


def test_codes_are_canonical() -> None:
    assert canonical_codes(np.array([2, 1, UNUSED, 3, 3])).tolist() == [0b10, 0b0, 0, 0b110, 0b111]


@settings(deadline=None, max_examples=60, derandomize=True)
@given(COUNTS, st.binary(max_size=3), st.binary(max_size=3))
def test_tables_round_trip(values: list[int], before: bytes, after: bytes) -> None:
    lengths = code_lengths(np.array(values))
    table = write_table(lengths)
    found, end = read_table(before + table + after, len(before), len(values))
    assert np.array_equal(found, lengths)
    assert end == len(before) + len(table)


def test_table_bytes_are_pinned() -> None:
    assert write_table(np.array([3, 3, 2, 2, 3, 3])) == bit_string("1 1 001 1 01 1")
    assert write_table(np.array([UNUSED, UNUSED, 0, UNUSED])) == bit_string("0001 1 000001")
    assert write_table(np.array([0])) == b"\x80"


def test_tables_of_32_levels_take_at_most_12_bytes() -> None:
    rng = np.random.default_rng(0)
    weights = np.concatenate([rng.normal(-1, 0.4, 20_000), rng.normal(1, 0.4, 20_000)])
    levels = np.histogram(weights, 32)[0]
    gaps = np.bincount(np.minimum(rng.geometric(0.08, 20_000) - 1, 31))
    assert len(write_table(code_lengths(levels))) <= 12
    assert len(write_table(code_lengths(gaps))) <= 12


@pytest.mark.parametrize(
    ("bits", "alphabet", "message"),
    [
        ("", 2, "ends inside"),
        ("0000 0000", 2, "ends inside"),
        ("0" * 32 + "1", 2, "out of range"),
        ("01" * 12, 40, "out of range"),
        ("0000000001", 2, "out of range"),
        ("1 00001 1", 2, "complete"),
        ("1 001", 2, "complete"),
        ("001 1", 2, "padding"),
        ("1 1 1", 2, "padding"),
        ("0001 1", 2, "complete"),
    ],
)
def test_table_defects_are_named(bits: str, alphabet: int, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_table(b"\xff" + (bit_string(bits) if bits else b""), 1, alphabet)
    assert caught.value.offset == 1
