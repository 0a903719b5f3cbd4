"""Words of the grouped codec: symbols of a model, bit by bit (SPEC.md, section 5.11)."""

from __future__ import annotations

import numpy as np

from ..coding import substream_counts
from ..errors import FormatError
from ..huffman import canonical_codes
from ..word_models import Model


def parse(model: Model, symbols: np.ndarray) -> list[np.ndarray]:
    """The words of a sequence of base symbols, one array for each substream: at every place the longest that phrases reach.

    A word grows base symbol by base symbol, as long as a phrase of the word so far and the next one exists.
    """
    grown: dict[tuple[int, int], int] = {}
    for index, pair in enumerate(model.phrases):
        grown.setdefault(pair, model.base + index)
    parsed, begin = [], 0
    for count in substream_counts(len(symbols)):
        words: list[int] = []
        for symbol in symbols[begin : begin + count].tolist():
            if words and (words[-1], symbol) in grown:
                words[-1] = grown[words[-1], symbol]
            else:
                words.append(symbol)
        parsed.append(np.array(words, np.int64))
        begin += count
    return parsed


def encode_words(model: Model, symbols: np.ndarray, position_classes: np.ndarray) -> list[bytes]:
    """The substreams of a sequence of base symbols, each with its position class."""
    codes = [canonical_codes(lengths) for lengths in model.tables]
    meanings, substreams, at = model.words(), [], 0
    for words in parse(model, symbols):
        bits, previous = "", -1
        for word in words.tolist():
            table = model.contexts[model.context(previous, int(position_classes[at]))]
            length = int(model.tables[table][word])
            bits += format(codes[table][word], f"0{length}b") if length else ""
            previous = meanings[word][-1]
            at += len(meanings[word])
        bits += "0" * (-len(bits) % 8)
        substreams.append(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
    return substreams


def decode_words(model: Model, substreams: list[bytes], count: int, position_classes: np.ndarray) -> np.ndarray:
    """The ``count`` base symbols of a sequence, (count,) int64; inverts :func:`encode_words`.

    Raises:
        FormatError: a substream does not hold exactly its symbols, or its padding is not zero.
    """
    symbols_of = [
        {(int(lengths[s]), int(code)): s for s, code in enumerate(canonical_codes(lengths)) if lengths[s] >= 0}
        for lengths in model.tables
    ]
    meanings = model.words()
    decoded: list[int] = []
    for data, share in zip(substreams, substream_counts(count), strict=True):
        bits = "".join(format(byte, "08b") for byte in data)
        used, stop, previous = 0, len(decoded) + share, -1
        while len(decoded) < stop:
            table = symbols_of[model.contexts[model.context(previous, int(position_classes[len(decoded)]))]]
            symbol, used = _read_symbol(table, bits, used)
            decoded.extend(meanings[symbol])
            previous = decoded[-1]
        if len(decoded) != stop or len(data) != -(-used // 8) or "1" in bits[used:]:
            raise FormatError("a substream does not hold exactly its symbols and zero padding")
    return np.array(decoded, np.int64)


def _read_symbol(table: dict[tuple[int, int], int], bits: str, at: int) -> tuple[int, int]:
    code, start = 0, at
    while (at - start, code) not in table:
        if at >= len(bits):
            raise FormatError("a substream ends inside a code")
        code, at = code << 1 | (bits[at] == "1"), at + 1
    return table[at - start, code], at
