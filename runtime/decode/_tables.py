"""Reading the Huffman tables of a payload."""

from __future__ import annotations

import numpy as np

from ...format_spec.coding import MAX_CODE_LENGTH
from ...format_spec.errors import FormatError

COMPLETE = 1 << MAX_CODE_LENGTH
LONGEST_RUN = 2 * MAX_CODE_LENGTH + 1
OUT_OF_RANGE = "a code length in a Huffman table is out of range"


def read_lengths(data: np.ndarray, offset: int, alphabet: int) -> tuple[np.ndarray, int]:
    """Code lengths (alphabet,) int64, -1 for unused symbols, of the table at ``data[offset]``, and the offset after it.

    Raises:
        FormatError: the table is cut off, a length is out of range, the code is not complete, or padding is not zero.
    """
    longest = alphabet * (LONGEST_RUN + 1) // 8 + 1
    bits = np.unpackbits(data[offset : offset + longest])
    ones = np.flatnonzero(bits)[:alphabet]
    ranks = (np.diff(ones, prepend=-1) - 1).tolist()
    lengths = [-1] * alphabet
    weight, previous, unused_rank, at = 0, min((alphabet - 1).bit_length(), MAX_CODE_LENGTH), 3, 0
    for symbol, rank in enumerate(ranks):
        at += rank + 1
        if rank == unused_rank:
            unused_rank = 0
            continue
        zigzag = rank - (rank > unused_rank)
        length = previous + ((zigzag + 1) // 2 if zigzag % 2 else -(zigzag // 2))
        if rank > LONGEST_RUN or not 0 <= length <= MAX_CODE_LENGTH:
            raise FormatError(OUT_OF_RANGE, offset=offset)
        unused_rank, previous = 3, length
        lengths[symbol] = length
        weight += COMPLETE >> length
        if weight >= COMPLETE:
            break
    if weight < COMPLETE and len(ranks) < alphabet:
        ends = len(bits) - at <= LONGEST_RUN
        raise FormatError("the data ends inside a Huffman table" if ends else OUT_OF_RANGE, offset=offset)
    if weight != COMPLETE:
        raise FormatError("a Huffman table's lengths are not those of a complete prefix code", offset=offset)
    after = -(-at // 8)
    if bits[at : 8 * after].any():
        raise FormatError("the padding of a Huffman table is not zero", offset=offset)
    return np.array(lengths, np.int64), offset + after
