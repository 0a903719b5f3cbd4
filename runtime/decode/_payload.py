"""A coded payload (shared, sparse, paper or grouped) taken apart: all that its blocks need, checked, but no block decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import (
    COLUMNS_FLAG,
    HALF_FLAG,
    LINEAR_FLAG,
    MAX_ALPHABET,
    MAX_BLOCK_POSITIONS,
    MAX_CODEBOOK,
    MAX_GROUP,
    MAX_GROUPED_CODEBOOK,
    SPLIT_FROM,
    SUBSTREAMS,
    CodecId,
)
from ...format_spec.errors import FormatError
from ...format_spec.varint import read_varint
from ._entries import COUNTS, GROUPED, INTEGER, LENGTH, PAPER, SHARED, SHORT, SPARSE, read_entries
from ._huffman import SEVERAL, TABLE, fill_table
from ._tables import read_lengths
from .dense import check_size

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord
    from ...format_spec.tensors import Order

KINDS = {CodecId.SHARED: SHARED, CodecId.SPARSE: SPARSE, CodecId.PAPER: PAPER, CodecId.GROUPED: GROUPED}

ENTRY_DEFECTS = {
    SHORT: "the data ends inside the entry table",
    INTEGER: "an integer in the entry table is not in its shortest form, or too large",
    COUNTS: "a block's nonzeros and gaps do not fit its positions",
    LENGTH: "a substream is longer than the payload",
}


@dataclass(frozen=True)
class Head:
    """The first bytes of a payload.

    ``form``: the codebook's flag bits. ``width``: gap symbols (sparse), bits of a gap (paper), size of a group (grouped), or 0.
    """

    k: int
    order: Order
    form: int
    block_majors: int
    width: int
    size: int


@dataclass(frozen=True, eq=False)
class Entries:
    """The entry table, as kernels take it; see :func:`._entries.read_entries`.

    ``bounds`` (substreams + 1,) int64: where each substream begins in the payload, and the payload's end.
    ``ends`` (blocks + 1,) int64: nonzeros before each block, and all.
    """

    counts: np.ndarray
    first: np.ndarray
    bounds: np.ndarray
    ends: np.ndarray
    size: int


def read_head(record: TensorRecord, data: np.ndarray) -> Head:
    """Read and check the head.

    Raises:
        FormatError: a field is out of range, or the data ends.
    """
    k, at = read_varint(data, 0)
    most = MAX_GROUPED_CODEBOOK if record.codec == CodecId.GROUPED else MAX_CODEBOOK - (record.codec == CodecId.PAPER)
    if not 1 <= k <= most:
        raise FormatError(f"a codebook of {k} entries; from 1 to {most} are allowed", offset=0)
    flags, at = _read_byte(data, at)
    form = flags & ~COLUMNS_FLAG
    if form not in (0, HALF_FLAG, LINEAR_FLAG):
        raise FormatError(f"reserved flag bits, or two forms of a codebook, are set: {flags:#04x}", offset=at - 1)
    order: Order = "columns" if flags & COLUMNS_FLAG else "rows"
    majors, minor_length = record.matrix(order)
    block_majors, after = read_varint(data, at)
    if not 1 <= block_majors <= majors or block_majors * minor_length > MAX_BLOCK_POSITIONS:
        raise FormatError(f"a block of {block_majors} majors of {minor_length} positions, of {majors} majors", offset=at)
    width, size = _read_width(record.codec, data, after)
    return Head(k, order, form, block_majors, width, size)


def _read_byte(data: np.ndarray, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise FormatError("the data ends inside the head", offset=at)
    return int(data[at]), at + 1


def _read_width(codec: int, data: np.ndarray, at: int) -> tuple[int, int]:
    if codec == CodecId.SHARED:
        return 0, at
    width, after = read_varint(data, at) if codec == CodecId.SPARSE else _read_byte(data, at)
    low, high = {CodecId.PAPER: (1, 8), CodecId.GROUPED: (1, MAX_GROUP)}.get(CodecId(codec), (2, MAX_ALPHABET))
    if not low <= width <= high:
        raise FormatError(f"a gap width or group size of {width}; from {low} to {high} are allowed", offset=at)
    return width, after


def alphabets(codec: int, head: Head) -> tuple[int, ...]:
    """Alphabet sizes of a block's sequences: gaps (not when shared), codes (or their low and high bytes)."""
    codes = head.k + (codec == CodecId.PAPER)
    sizes = (codes,) if codes <= MAX_ALPHABET else (MAX_ALPHABET, (codes - 1 >> 8) + 1)
    if codec == CodecId.SHARED:
        return sizes
    return (1 << head.width if codec == CodecId.PAPER else head.width, *sizes)


def read_tables(data: np.ndarray, at: int, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, int]:
    """Decoding tables (sequences, 2304) uint32, ``only`` (sequences,) int64 (see :mod:`._huffman`), and the offset after."""
    tables = np.zeros((len(sizes), TABLE), np.uint32)
    only = np.full(len(sizes), SEVERAL, np.int64)
    for index, size in enumerate(sizes):
        lengths, at = read_lengths(data, at, size)
        if lengths.max() == 0:
            only[index] = lengths.argmax()
        else:
            only[index] = fill_table(lengths, tables[index])
    return tables, only, at


def read_entry_table(record: TensorRecord, data: np.ndarray, at: int, head: Head, sequences: int) -> Entries:
    """Read and check the entry table at ``data[at]``; nothing is allocated that the data's length does not warrant.

    Raises:
        FormatError: the data ends, a count does not fit, or the substreams do not end with the payload.
    """
    majors, minor_length = record.matrix(head.order)
    blocks = -(-majors // head.block_majors)
    if blocks > len(data) - at:
        raise FormatError(f"the data is too short for the entries of {blocks} blocks", offset=at)
    last = majors - (blocks - 1) * head.block_majors
    positions = np.array([head.block_majors * minor_length, last * minor_length], np.int64)
    counts, first = np.zeros((blocks, 2), np.int64), np.zeros(blocks * sequences + 1, np.int64)
    lengths = np.zeros(min(blocks * sequences * SUBSTREAMS, len(data) - at), np.int64)
    kind = KINDS[CodecId(record.codec)]
    after, status = read_entries(data, at, kind, head.width, sequences, SPLIT_FROM, positions, counts, first, lengths)
    if status:
        raise FormatError(ENTRY_DEFECTS[status], offset=after)
    bounds = np.zeros(first[-1] + 1, np.int64)
    np.cumsum(lengths[: first[-1]], out=bounds[1:])
    bounds += after
    if bounds[-1] != len(data):
        raise FormatError(f"the entry table promises {bounds[-1] - after} bytes of data, not {len(data) - after}", offset=at)
    return Entries(counts, first, bounds, np.concatenate([[0], np.cumsum(counts[:, 0])]), after - at)


def check_sizes(record: TensorRecord, limits: Limits, k: int, majors: int, entries: int) -> None:
    """Raise :class:`LimitError` when the decoded arrays would be over the limit."""
    check_size(record, limits)
    entry_bytes = (1 if k <= 256 else 2) + (0 if record.codec == CodecId.SHARED else 4)
    limits.check("tensor_bytes", entries * entry_bytes + 8 * (majors + 1))
