"""Sequences of symbols in substreams of Huffman codes, the plain way."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from ..coding import substream_counts
from ..errors import FormatError, MissingExtra
from ..huffman import canonical_codes


def encode_sequence(symbols: np.ndarray, lengths: np.ndarray) -> list[bytes]:
    """The substreams of ``symbols``."""
    bitarray = _library().bitarray
    codes = canonical_codes(lengths)
    prefixes = {s: bitarray(format(codes[s], f"0{lengths[s]}b")) for s in range(len(lengths)) if lengths[s] > 0}
    substreams, start = [], 0
    for count in substream_counts(len(symbols)):
        bits = bitarray(endian="big")
        if prefixes:
            bits.encode(prefixes, symbols[start : start + count].tolist())
        substreams.append(bits.tobytes())
        start += count
    return substreams


def decode_substream(data: bytes, lengths: np.ndarray, count: int) -> np.ndarray:
    """Exactly ``count`` symbols, (count,) int64, from a substream of exactly ``data``.

    Raises:
        FormatError: too few or too many bytes, or the padding is not zero.
        MissingExtra: bitarray is not installed.
    """
    library = _library()
    used = np.flatnonzero(lengths >= 0)
    if len(used) == 1:
        if data:
            raise FormatError("a substream of an alphabet with one symbol is not empty")
        return np.full(count, used[0], np.int64)
    order = used[np.lexsort((used, lengths[used]))]
    bits = library.bitarray(endian="big")
    bits.frombytes(data)
    try:
        decoder = library.util.canonical_decode(bits, np.bincount(lengths[used]).tolist(), order.tolist())
        symbols = np.fromiter(islice(decoder, count), np.int64)
    except ValueError as error:
        raise FormatError("a substream ends inside a code") from error
    length = int(lengths[symbols].sum())
    if len(symbols) != count or len(data) != -(-length // 8) or bits[length:].any():
        raise FormatError("a substream does not hold exactly its symbols and zero padding")
    return symbols


def _library() -> Any:
    """The package bitarray."""
    try:
        import bitarray.util
    except ModuleNotFoundError as error:
        raise MissingExtra("the reference codecs need bitarray: pip install 'tersor[pack]'") from error
    return bitarray
