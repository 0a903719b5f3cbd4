from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.errors import FormatError
from tersor.format_spec.varint import MAX_BYTES, read_varint, write_varint


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 2**64 - 1), st.binary(max_size=3), st.binary(max_size=3))
def test_round_trip_between_other_bytes(value: int, before: bytes, after: bytes) -> None:
    out = bytearray(before)
    write_varint(out, value)
    assert len(out) - len(before) == max(1, -(-value.bit_length() // 7)) <= MAX_BYTES
    assert read_varint(bytes(out) + after, len(before)) == (value, len(out))


@pytest.mark.parametrize(("value", "encoded"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02")])
def test_known_bytes(value: int, encoded: str) -> None:
    out = bytearray()
    write_varint(out, value)
    assert out.hex() == encoded


@pytest.mark.parametrize("value", [-1, 2**64])
def test_writer_refuses_what_does_not_fit(value: int) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        write_varint(bytearray(), value)


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ("", "ends inside"),
        ("80", "ends inside"),
        ("8000", "shortest"),
        ("ff8000", "shortest"),
        ("ff" * 9 + "02", "64 bits"),
        ("ff" * 10, "64 bits"),
        ("ff" * 11, "64 bits"),
    ],
)
def test_defects_are_named_with_their_offset(encoded: str, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_varint(b"\0" + bytes.fromhex(encoded), 1)
    assert caught.value.offset == 1


def test_end_bounds_the_reading() -> None:
    with pytest.raises(FormatError, match="ends inside"):
        read_varint(b"\xac\x02", 0, 1)
