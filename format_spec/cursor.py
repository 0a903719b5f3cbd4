"""Reading fields one after another without ever leaving the buffer."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .errors import FormatError
from .varint import read_varint


@dataclass
class Cursor:
    """A position in ``data``; every read checks the bytes left and raises :class:`FormatError` that names ``section``."""

    data: bytes | memoryview
    section: str
    offset: int = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.offset

    def fail(self, message: str) -> FormatError:
        """An error at the present position."""
        return FormatError(message, offset=self.offset, section=self.section)

    def varint(self) -> int:
        """An unsigned LEB128 integer."""
        try:
            value, self.offset = read_varint(self.data, self.offset)
        except FormatError as error:
            raise self.fail(str(error)) from None
        return value

    def signed(self) -> int:
        """A zig-zag coded LEB128 integer."""
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def count(self, what: str, item_bytes: int = 1) -> int:
        """A varint that counts items of at least ``item_bytes`` bytes each, all of which must still be in the buffer."""
        value = self.varint()
        if value * item_bytes > self.left:
            raise self.fail(f"{value:,} {what} do not fit the {self.left:,} bytes left")
        return value

    def take(self, length: int) -> bytes:
        """The next ``length`` bytes."""
        if length > self.left:
            raise self.fail(f"{length:,} bytes wanted, {self.left:,} left")
        self.offset += length
        return bytes(self.data[self.offset - length : self.offset])

    def byte(self) -> int:
        """One byte as a number."""
        return self.take(1)[0]

    def float32(self) -> float:
        """A little-endian IEEE 754 binary32 number."""
        return float(struct.unpack("<f", self.take(4))[0])

    def end(self) -> None:
        """Raise unless everything was read."""
        if self.left:
            raise self.fail(f"{self.left:,} bytes too many")
