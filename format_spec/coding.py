"""Numbers of the weight codecs that encoders and decoders share; ``SPEC.md`` gives them meaning."""

from __future__ import annotations

from enum import IntEnum


class CodecId(IntEnum):
    """How a payload holds its tensor's elements."""

    RAW = 1
    SHUFFLED_ZSTD = 2
    FILL = 3
    PAPER = 4
    SHARED = 5
    SPARSE = 6
    MIXED = 7
    GROUPED = 8
    PLAIN_ZSTD = 9
    PLANES = 11


SAME = 10
"""In the place of a codec's number: the tensor has the codec and the payload of an earlier one."""


MAX_CODEBOOK = 65536
"""Entries of the largest codebook: its indices are at most uint16."""

MAX_ALPHABET = 256
"""Symbols of the largest alphabet of a byte sequence; larger codes are split into a low and a high byte."""

MAX_CODE_LENGTH = 11
"""Bits of the longest Huffman code: a table of 2048 two-symbol entries (8 KiB) stays in the first-level cache."""

SUBSTREAMS = 4
"""Substreams of a long sequence of symbols."""

SPLIT_FROM = 1024
"""Symbols from which a sequence has :data:`SUBSTREAMS` substreams instead of one."""

MAX_BLOCK_POSITIONS = (1 << 31) - 1
"""Positions of the largest block, so that offsets inside a block fit a signed 32-bit integer."""

MAX_PLANES_BLOCK = 1 << 20
"""Positions of the largest block of the planes codec: what a decoder keeps beside the tensor is bounded."""

GAPS_FLAG = 1
"""Flag bit of the planes codec: zeros are left out."""

SIGNS_FLAG = 2
"""Flag bit of the planes codec: zeros that are left out have signs."""

COLUMNS_FLAG = 1
"""Flag bit: the scan order is columns-major."""

HALF_FLAG = 2
"""Flag bit: the codebook is stored as fp16."""

LINEAR_FLAG = 4
"""Flag bit: the codebook is stored as multiples of a step."""

MAX_LEVEL = 1 << 24
"""Largest multiple of the step in a linear codebook: float32 holds it exactly."""

MAX_GROUP = 9
"""Positions of the largest group: a 3x3 kernel."""

MAX_GROUPED_CODEBOOK = 256
"""Codebook entries of the grouped codec: its codes are bytes."""

MAX_PHRASES = 255
"""Phrases of a model of the grouped codec."""

MAX_TABLES = 16
"""Huffman codes of a model of the grouped codec."""

MAX_CLASSES = 8
"""Classes of symbols in a model of the grouped codec."""

POSITION_CLASSES = 4
"""Position classes of nonzeros in the grouped codec."""

POSITIONAL_FLAG = 8
"""Bit of a model's shape: its contexts depend on the position class."""

WORD_BYTES = 8
"""Bytes of the longest word of the grouped codec, a symbol taking one, or two where there are more than 256."""


def substream_counts(symbols: int) -> tuple[int, ...]:
    """Symbols of each substream of a sequence of ``symbols``; empty for an empty sequence."""
    if symbols < SPLIT_FROM:
        return (symbols,) if symbols else ()
    quarter = -(-symbols // SUBSTREAMS)
    return (quarter,) * (SUBSTREAMS - 1) + (symbols - (SUBSTREAMS - 1) * quarter,)
