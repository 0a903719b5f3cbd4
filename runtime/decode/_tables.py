"""Reading the Huffman tables of a payload."""

from __future__ import annotations

import numpy as np

from ...format_spec.coding import MAX_CODE_LENGTH
from ...format_spec.errors import FormatError
from .jitted.huffman import ALONE, SEVERAL, TABLE
from .jitted.tables import ENDS, INCOMPLETE, OUT_OF_RANGE, PADDED, fill_table, read_code_lengths

DEFECTS = {
    ENDS: "the data ends inside a Huffman table",
    OUT_OF_RANGE: "a code length in a Huffman table is out of range",
    INCOMPLETE: "a Huffman table's lengths are not those of a complete prefix code",
    PADDED: "the padding of a Huffman table is not zero",
}


def read_lengths(data: np.ndarray, offset: int, alphabet: int) -> tuple[np.ndarray, int]:
    """Code lengths (alphabet,) int64, -1 for unused symbols, of the table at ``data[offset]``, and the offset after it.

    Raises:
        FormatError: the table is cut off, a length is out of range, the code is not complete, or padding is not zero.
    """
    lengths = np.empty(alphabet, np.int64)
    after, status = read_code_lengths(data, offset, min((alphabet - 1).bit_length(), MAX_CODE_LENGTH), lengths)
    if status:
        raise FormatError(DEFECTS[status], offset=offset)
    return lengths, after


def read_tables(data: np.ndarray, at: int, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, int]:
    """Decoding tables (sequences, 2304) uint32, ``only`` (sequences,) int64, see :mod:`.jitted.huffman`; the offset after."""
    tables = np.zeros((len(sizes), TABLE), np.uint32)
    only = np.full(len(sizes), SEVERAL, np.int64)
    for index, size in enumerate(sizes):
        lengths, at = read_lengths(data, at, size)
        only[index] = make_table(lengths, tables[index])
    return tables, only, at


def make_table(lengths: np.ndarray, table: np.ndarray) -> int:
    """Fill ``table`` (2304,) uint32, zeros, from the lengths of a complete code; returns its ``only``."""
    return int(lengths.argmax()) if lengths.max() == 0 else fill_table(lengths, *np.empty((2, ALONE), np.int64), table)
