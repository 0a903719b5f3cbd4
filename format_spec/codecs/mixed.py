"""Codec 7: codebook indices by context-mixed binary decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..codebooks import codebook_bytes
from ..coding import COLUMNS_FLAG, HALF_FLAG, LINEAR_FLAG, MAX_CODEBOOK, CodecId
from ..mixed_head import MixedHead, block_sizes, check_decoded, count_positives, entry_numbers, read_payload, write_head
from ..records import check_size
from ..tensors import SharedTensor, bit_patterns, to_scan
from ..varint import write_varint
from ._mixed_levels import decode_block, encode_block
from ._registry import codec

if TYPE_CHECKING:
    from ..limits import Limits
    from ..records import TensorRecord


@codec(CodecId.MIXED)
class Mixed:
    """Signed ranks, kernel by kernel."""

    @staticmethod
    def encode(tensor: SharedTensor, *, head: MixedHead, named: list[list[tuple[int, int]]] | None = None) -> bytes:
        """Code a tensor; ``named`` gives each major two pairs of a distance back in its block (0: none) and a sign."""
        ranks, codebook, positives = signed_ranks(tensor)
        scanned = _to_majors(ranks, head)
        rows = named or [[(0, 1)] * 2] * len(scanned)
        blocks, first, entries = [], 0, bytearray()
        for size in block_sizes(len(scanned), head.block_majors):
            part = slice(first, first + size)
            blocks.append(encode_block(head, (positives, len(codebook) - positives), scanned[part].tolist(), rows[part]))
            write_varint(entries, len(blocks[-1]))
            first += size
        stored = codebook_bytes(codebook, head.flags & (HALF_FLAG | LINEAR_FLAG))
        return write_head(len(codebook), head) + stored + bytes(entries) + b"".join(blocks)

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> SharedTensor:
        """Codes and codebook, rows-major; zeros stay in where most positions are not zero."""
        check_size(record, limits)
        found = read_payload(record, payload)
        check_decoded(record, limits, 0, len(found.codebook))
        head, positives = found.head, found.positives
        majors, minors = head.matrix(record.rows, record.columns)
        counts = (positives, len(found.codebook) - positives)
        rows: list[list[int]] = []
        for block, size in enumerate(block_sizes(majors, head.block_majors)):
            rows += decode_block(head, counts, size, minors, payload[found.bounds[block] : found.bounds[block + 1]])
        ranks = _from_majors(np.array(rows, np.int64), head, record.rows)
        check_decoded(record, limits, int(np.count_nonzero(ranks)), len(found.codebook))
        numbers = entry_numbers(found.codebook, positives)[np.where(ranks > 0, ranks, positives - ranks)]
        return _to_tensor(record, ranks != 0, numbers, found.codebook)

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Head, codebook, entries, codes."""
        return read_payload(record, payload).items


def signed_ranks(tensor: SharedTensor) -> tuple[np.ndarray, np.ndarray, int]:
    """Signed ranks (rows, columns) int64, the codebook in the payload's order, and how many of its entries are positive."""
    dense = to_scan(tensor.dense(), tensor.row_axes, "rows").reshape(tensor.rows, tensor.columns)
    patterns = np.unique(bit_patterns(dense))
    codebook = patterns[patterns != 0].view(tensor.dtype)
    positives = count_positives(codebook)
    of_entry = np.zeros(len(codebook) + 1, np.int64)
    for rank, entry in enumerate(entry_numbers(codebook, positives)[1:].tolist(), start=1):
        of_entry[entry + 1] = rank if rank <= positives else positives - rank
    places = np.searchsorted(patterns[patterns != 0], bit_patterns(dense), side="right")
    return of_entry[places], codebook, positives


def _to_majors(ranks: np.ndarray, head: MixedHead) -> np.ndarray:
    if not head.flags & COLUMNS_FLAG:
        return ranks
    return ranks.reshape(len(ranks), -1, head.kernel).transpose(1, 0, 2).reshape(-1, len(ranks) * head.kernel)


def _from_majors(scanned: np.ndarray, head: MixedHead, rows: int) -> np.ndarray:
    if not head.flags & COLUMNS_FLAG:
        return scanned
    return scanned.reshape(len(scanned), rows, head.kernel).transpose(1, 0, 2).reshape(rows, -1)


def _to_tensor(record: TensorRecord, is_value: np.ndarray, numbers: np.ndarray, codebook: np.ndarray) -> SharedTensor:
    starts = np.concatenate([[0], np.cumsum(is_value.sum(axis=1))])
    if 2 * int(starts[-1]) > record.size and len(codebook) < MAX_CODEBOOK:
        codes = np.where(is_value, numbers + 1, 0).reshape(-1).astype(np.uint8 if len(codebook) < 256 else np.uint16)
        whole = np.concatenate([np.zeros(1, record.dtype), codebook])
        return SharedTensor(record.dtype, record.shape, record.row_axes, "rows", None, None, codes, whole)
    minors = np.nonzero(is_value)[1].astype(np.uint32)
    codes = numbers[is_value].astype(np.uint8 if len(codebook) <= 256 else np.uint16)
    return SharedTensor(record.dtype, record.shape, record.row_axes, "rows", starts, minors, codes, codebook)
