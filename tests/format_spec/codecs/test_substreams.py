from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.codecs._substreams import decode_substream, encode_sequence
from tersor.format_spec.coding import substream_counts
from tersor.format_spec.errors import FormatError
from tersor.format_spec.huffman import code_lengths


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.lists(st.integers(0, 40), max_size=40), st.integers(0, 120))
def test_sequences_round_trip(symbols: list[int], repeat: int) -> None:
    array = np.array(symbols * repeat, np.int64)
    lengths = code_lengths(np.bincount(array, minlength=1) + (np.arange(max(array, default=0) + 1) == 0))
    parts, start = encode_sequence(array, lengths), 0
    assert len(parts) == (0 if not len(array) else 1 if len(array) < 1024 else 4)
    for part, count in zip(parts, substream_counts(len(array)), strict=True):
        assert np.array_equal(decode_substream(part, lengths, count), array[start : start + count])
        start += count
    assert start == len(array)


@pytest.mark.parametrize(
    ("data", "count"),
    [(b"", 1), (b"\x00\x00", 8), (b"\x01", 7), (b"\xff", 5), (b"\x00", 9)],
    ids=["no data", "a byte too many", "padding", "ends inside a code", "a symbol too many"],
)
def test_substream_defects_are_errors(data: bytes, count: int) -> None:
    with pytest.raises(FormatError):
        decode_substream(data, np.array([1, 2, 2]), count)


def test_an_alphabet_with_one_symbol_takes_no_bits() -> None:
    lengths = code_lengths(np.array([0, 7, 0]))
    assert encode_sequence(np.ones(7, np.int64), lengths) == [b""]
    assert decode_substream(b"", lengths, 7).tolist() == [1] * 7
    with pytest.raises(FormatError, match="one symbol"):
        decode_substream(b"\0", lengths, 7)
