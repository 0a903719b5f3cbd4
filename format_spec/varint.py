"""Unsigned LEB128 integers: seven bits a byte, least significant first, the high bit set on every byte but the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from .errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

Bytes: TypeAlias = "Sequence[int] | np.ndarray"

MAX_BYTES = 10
"""Bytes of the longest integer, which is below 2**64."""


def write_varint(out: bytearray, value: int) -> None:
    """Append ``value``, 0 <= value < 2**64, in its shortest form."""
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{value} is not an unsigned 64-bit integer")
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def read_varint(data: Bytes, offset: int, end: int | None = None) -> tuple[int, int]:
    """Read the integer at ``data[offset]`` from bytes before ``end`` (default: all); return it and the offset after it.

    Raises:
        FormatError: the bytes end inside the integer, it is not in its shortest form, or it needs more than 64 bits.
    """
    value, stop = 0, len(data) if end is None else end
    for index in range(MAX_BYTES):
        if offset + index >= stop:
            raise FormatError("the data ends inside an integer", offset=offset)
        byte = int(data[offset + index])
        value |= (byte & 127) << 7 * index
        if byte < 128:
            if index and byte == 0:
                raise FormatError("an integer is not in its shortest form", offset=offset)
            if value >= 1 << 64:
                break
            return value, offset + index + 1
    raise FormatError("an integer does not fit 64 bits", offset=offset)
