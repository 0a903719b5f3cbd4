"""The words of the planes codec, and the head of its payload."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tersor.format_spec.coding import MAX_PLANES_BLOCK, CodecId
from tersor.format_spec.errors import FormatError
from tersor.format_spec.planes_head import PlanesHead, read_planes_head, restored, rotated, write_planes_head
from tersor.format_spec.records import TensorRecord

RECORD = TensorRecord("w", np.dtype("f4"), (3000, 1000), (), CodecId.PLANES)


def test_the_example_of_the_specification() -> None:
    assert rotated(np.array([0x3F800001, 0x80000000], np.uint32).view(np.float32)).tolist() == [0x7F000002, 1]


@given(st.sampled_from(["u2", "u4", "u8"]).flatmap(lambda kind: arrays(kind, st.integers(0, 9))))
def test_every_pattern_comes_back(patterns: np.ndarray) -> None:
    floats = patterns.view(f"f{patterns.itemsize}")
    assert np.array_equal(restored(rotated(floats)), patterns)


@given(st.integers(1, MAX_PLANES_BLOCK), st.sampled_from([0, 2, 3, 255, 256]), st.booleans())
def test_heads_come_back(block: int, gap_symbols: int, signed: bool) -> None:
    signed = signed and gap_symbols > 0
    data = write_planes_head(block, gap_symbols, signed=signed)
    head = read_planes_head(RECORD, data)
    assert head == PlanesHead(block, gap_symbols, signed, len(data))
    assert head.alphabets(4) == ((gap_symbols,) if gap_symbols else ()) + (256,) * (4 + signed)
    assert head.before == len(head.alphabets(4)) - 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((0, 0), "a block of 0 positions, of 3000000"),
        ((0, 0x81, 0x80, 0x40), "a block of 1048577 positions"),
        ((1, 5, 1), "1 gap symbols; from 2 to 256 are allowed"),
        ((1, 5, 0x81, 2), "257 gap symbols"),
        ((2, 5), "signs without gaps, are set: 0x02"),
        ((4, 5), "reserved"),
        ((), "ends inside an integer"),
    ],
)
def test_fields_out_of_range(data: tuple[int, ...], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_planes_head(RECORD, bytes(data))


@pytest.mark.parametrize("dtype", ["i4", "u1", "c8", "?"])
def test_other_types_have_no_planes(dtype: str) -> None:
    record = TensorRecord("w", np.dtype(dtype), (4,), (), CodecId.PLANES)
    with pytest.raises(FormatError, match=f"elements of type {np.dtype(dtype).name} have no planes"):
        read_planes_head(record, write_planes_head(1, 0, signed=False))
