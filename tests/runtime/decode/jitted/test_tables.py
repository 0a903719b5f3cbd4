from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tersor.format_spec.errors import FormatError
from tersor.format_spec.huffman import canonical_codes, code_lengths, read_table, write_table
from tersor.runtime.decode._tables import make_table, read_lengths
from tersor.runtime.decode.jitted.huffman import ALONE, FEW_PAIRS, MOST, SEVERAL, SINGLES, TABLE, TABLE_BITS


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=256).filter(lambda c: np.count_nonzero(c) > 1))
@example([1] * 64)
@example([2] * 8 + [1] * 48)
@example([32] + [1] * 224)
@example([32] * 2 + [1] * 192)
def test_a_table_of_several_symbols_agrees_with_the_codes(values: list[int]) -> None:
    lengths = code_lengths(np.array(values))
    codes, table = canonical_codes(lengths), np.zeros(TABLE, np.uint32)
    kind, used = make_table(lengths, table), lengths[lengths > 0]
    both = used[:, None] + used
    pairs = int((1 << TABLE_BITS - both[both <= TABLE_BITS]).sum())
    assert kind == (SINGLES if FEW_PAIRS * pairs < ALONE else SEVERAL)
    most = 1 if kind == SINGLES else MOST
    symbol_of = {(int(n), int(c)): s for s, (n, c) in enumerate(zip(lengths, codes, strict=True)) if n > 0}
    for window in range(0, 1 << TABLE_BITS, 37):
        text, found = format(window, f"0{TABLE_BITS}b"), []
        while len(found) < most:
            hits = [(n, symbol_of[n, int(text[:n], 2)]) for n in range(1, len(text) + 1) if (n, int(text[:n], 2)) in symbol_of]
            if not hits:
                break
            found.append(hits[0])
            text = text[hits[0][0] :]
        entry = int(table[window])
        assert entry & 63 == sum(n for n, _ in found)
        assert entry >> 6 & 3 == len(found)
        assert table[ALONE + (entry >> 8 & 255)] == found[0][0]
        assert [entry >> 8 + 8 * i & 255 for i in range(len(found))] == [symbol for _, symbol in found]


def _lengths_or_error(read: Any, data: Any, offset: int, alphabet: int) -> tuple[list[int], int] | str:
    try:
        lengths, after = read(data, offset, alphabet)
    except FormatError as error:
        return str(error)
    return lengths.tolist(), after


@settings(deadline=None, max_examples=300, derandomize=True)
@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=256).filter(any),
    st.binary(max_size=3),
    st.binary(max_size=3),
    st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=2),
    st.integers(0),
)
def test_lengths_are_read_as_the_reference_reads_them(
    counts: list[int], before: bytes, after: bytes, flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(before + write_table(code_lengths(np.array(counts))) + after)
    for place, bits in flips:
        data[place % len(data)] ^= bits
    for whole in (bytes(data), bytes(data[: cut % len(data)])):
        jitted = _lengths_or_error(read_lengths, np.frombuffer(whole, np.uint8), len(before), len(counts))
        assert jitted == _lengths_or_error(read_table, whole, len(before), len(counts))


@pytest.mark.parametrize("alphabet", [1, 2, 3])
def test_ranks_of_any_two_lengths_are_read_as_the_reference_reads_them(alphabet: int) -> None:
    """Each is as many zeros before a one; behind them are ones, zeros, or nothing."""
    for first in range(28):
        for second in range(28):
            for rest in ("1" * 16, "0" * 40, "01" * 8, ""):
                text = "0" * first + "1" + "0" * second + "1" + rest
                data = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
                jitted = _lengths_or_error(read_lengths, np.frombuffer(data, np.uint8), 0, alphabet)
                assert jitted == _lengths_or_error(read_table, data, 0, alphabet), text


def test_importing_the_package_does_not_import_numba() -> None:
    code = "import sys, tersor.runtime, tersor.runtime.decode; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
