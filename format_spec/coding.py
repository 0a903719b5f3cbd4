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


MAX_CODEBOOK = 65536
"""Entries of the largest codebook: its indices are at most uint16."""

MAX_ALPHABET = 256
"""Symbols of the largest Huffman alphabet; larger codes are split into a low and a high byte."""

MAX_CODE_LENGTH = 11
"""Bits of the longest Huffman code: a table of 2048 two-symbol entries (8 KiB) stays in the first-level cache."""

SUBSTREAMS = 4
"""Substreams of a long sequence of symbols."""

SPLIT_FROM = 1024
"""Symbols from which a sequence has :data:`SUBSTREAMS` substreams instead of one."""

MAX_BLOCK_POSITIONS = (1 << 31) - 1
"""Positions of the largest block, so that offsets inside a block fit a signed 32-bit integer."""

COLUMNS_FLAG = 1
"""Flag bit: the scan order is columns-major."""

HALF_FLAG = 2
"""Flag bit: the codebook is stored as fp16."""


def substream_counts(symbols: int) -> tuple[int, ...]:
    """Symbols of each substream of a sequence of ``symbols``; empty for an empty sequence."""
    if symbols < SPLIT_FROM:
        return (symbols,) if symbols else ()
    quarter = -(-symbols // SUBSTREAMS)
    return (quarter,) * (SUBSTREAMS - 1) + (symbols - (SUBSTREAMS - 1) * quarter,)
