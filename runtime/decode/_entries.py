"""The entry table of a coded payload, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import SPLIT_FROM, SUBSTREAMS, CodecId
from ...format_spec.errors import FormatError
from .jitted.entries import COUNTS, GROUPED, INTEGER, LENGTH, PAPER, SHARED, SHORT, SPARSE, read_entries

if TYPE_CHECKING:
    from ...format_spec.coded_head import CodedHead
    from ...format_spec.records import TensorRecord

KINDS = {CodecId.SHARED: SHARED, CodecId.SPARSE: SPARSE, CodecId.PAPER: PAPER, CodecId.GROUPED: GROUPED}

ENTRY_DEFECTS = {
    SHORT: "the data ends inside the entry table",
    INTEGER: "an integer in the entry table is not in its shortest form, or too large",
    COUNTS: "a block's nonzeros and gaps do not fit its positions",
    LENGTH: "a substream is longer than the payload",
}


@dataclass(frozen=True, eq=False)
class Entries:
    """The entry table, as decoders take it; see :func:`.jitted.entries.read_entries`.

    ``bounds`` (substreams + 1,) int64: where each substream begins in the payload, and the payload's end.
    ``ends`` (blocks + 1,) int64: nonzeros before each block, and all.
    """

    counts: np.ndarray
    first: np.ndarray
    bounds: np.ndarray
    ends: np.ndarray


def read_entry_table(record: TensorRecord, data: np.ndarray, at: int, head: CodedHead, sequences: int) -> Entries:
    """Read and check the entry table at ``data[at]``; nothing is allocated that the data's length does not warrant.

    Raises:
        FormatError: the data ends, a count does not fit, or the substreams do not end with the payload.
    """
    majors, minor_length = record.matrix(head.order)
    sizes = majors * minor_length, head.block_majors * minor_length
    return read_block_entries(KINDS[CodecId(record.codec)], data, at, sizes, head.width, sequences)


def read_block_entries(kind: int, data: np.ndarray, at: int, sizes: tuple[int, int], width: int, sequences: int) -> Entries:
    """As :func:`read_entry_table`, for blocks of ``sizes`` (all positions, positions of a block) of a ``kind`` of
    :mod:`.jitted.entries`; ``width``: positions of a group (grouped)."""
    size, block = sizes
    blocks = -(-size // block)
    if blocks > len(data) - at:
        raise FormatError(f"the data is too short for the entries of {blocks} blocks", offset=at)
    positions = np.array([block, size - (blocks - 1) * block], np.int64)
    counts, first = np.zeros((blocks, 2), np.int64), np.zeros(blocks * sequences + 1, np.int64)
    lengths = np.zeros(min(blocks * sequences * SUBSTREAMS, len(data) - at), np.int64)
    after, status = read_entries(data, at, kind, width, sequences, SPLIT_FROM, positions, counts, first, lengths)
    if status:
        raise FormatError(ENTRY_DEFECTS[status], offset=after)
    bounds = np.zeros(first[-1] + 1, np.int64)
    np.cumsum(lengths[: first[-1]], out=bounds[1:])
    bounds += after
    if bounds[-1] != len(data):
        raise FormatError(f"the entry table promises {bounds[-1] - after} bytes of data, not {len(data) - after}", offset=at)
    return Entries(counts, first, bounds, np.concatenate([[0], np.cumsum(counts[:, 0])]))
