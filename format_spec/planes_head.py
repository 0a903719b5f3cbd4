"""The head of a planes payload, and the words that its planes hold: what the reference, the encoder and the decoder share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .coding import GAPS_FLAG, MAX_ALPHABET, MAX_PLANES_BLOCK, SIGNS_FLAG
from .errors import FormatError
from .varint import read_varint, write_varint

if TYPE_CHECKING:
    from .records import TensorRecord
    from .varint import Bytes

SUPPORTED = tuple(np.dtype(name) for name in ("float16", "float32", "float64"))
"""Element types that have a sign, an exponent and a mantissa."""


@dataclass(frozen=True)
class PlanesHead:
    """The ``size`` bytes before the Huffman tables.

    ``block``: positions of every block but the last. ``gap_symbols``: 2 to 256, or 0 when no zeros are left out; ``signed``:
    whether those that are have signs.
    """

    block: int
    gap_symbols: int
    signed: bool
    size: int

    @property
    def before(self) -> int:
        """Sequences of a block before its planes: gaps and signs."""
        return (self.gap_symbols > 0) + self.signed

    def alphabets(self, width: int) -> tuple[int, ...]:
        """Alphabet sizes of a block's sequences, elements having ``width`` bytes."""
        gaps = (self.gap_symbols,) if self.gap_symbols else ()
        return *gaps, *(MAX_ALPHABET,) * (self.signed + width)


def read_planes_head(record: TensorRecord, data: Bytes) -> PlanesHead:
    """Read and check the head.

    Raises:
        FormatError: the element type has no planes, a field is out of range, or the data ends.
    """
    if record.dtype not in SUPPORTED:
        raise FormatError(f"elements of type {record.dtype.name} have no planes", tensor=record.name)
    flags = int(data[0]) if len(data) else 0
    if flags not in (0, GAPS_FLAG, GAPS_FLAG | SIGNS_FLAG):
        raise FormatError(f"flag bits that are reserved, or signs without gaps, are set: {flags:#04x}", offset=0)
    block, at = read_varint(data, 1)
    if not 1 <= block <= min(record.size, MAX_PLANES_BLOCK):
        raise FormatError(f"a block of {block} positions, of {record.size}", offset=1)
    if not flags:
        return PlanesHead(block, 0, False, at)
    gap_symbols, size = read_varint(data, at)
    if not 2 <= gap_symbols <= MAX_ALPHABET:
        raise FormatError(f"{gap_symbols} gap symbols; from 2 to {MAX_ALPHABET} are allowed", offset=at)
    return PlanesHead(block, gap_symbols, flags != GAPS_FLAG, size)


def write_planes_head(block: int, gap_symbols: int, *, signed: bool) -> bytes:
    """The bytes before the Huffman tables."""
    out = bytearray([GAPS_FLAG * bool(gap_symbols) | SIGNS_FLAG * signed])
    write_varint(out, block)
    if gap_symbols:
        write_varint(out, gap_symbols)
    return bytes(out)


def rotated(array: np.ndarray) -> np.ndarray:
    """The elements' bits as unsigned integers, C order, (size,), rotated left by one: the sign comes last."""
    words = np.ascontiguousarray(array).reshape(-1).view(f"u{array.dtype.itemsize}")
    return words << 1 | words >> 8 * array.dtype.itemsize - 1


def restored(words: np.ndarray) -> np.ndarray:
    """What :func:`rotated` has rotated."""
    return words >> 1 | words << 8 * words.dtype.itemsize - 1
