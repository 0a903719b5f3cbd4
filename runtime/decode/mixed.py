"""Decoder of the context-mixed codec: blocks one by one, or on an executor."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import COLUMNS_FLAG, MAX_CODEBOOK, CodecId
from ...format_spec.errors import FormatError
from ...format_spec.mixed_head import MixedHead, MixedPayload, block_sizes, check_decoded, entry_numbers, read_payload
from ...format_spec.mixing import KERNEL_ZEROS_FLAG, REFERENCES_FLAG
from ...format_spec.records import check_size
from ...format_spec.tensors import SharedTensor
from ._registry import decoder
from .jitted.mixed_block import code_block
from .jitted.mixed_collect import collect, collect_all, count_nonzeros, first_ranks
from .jitted.mixed_row import BAD_LENGTH, BAD_RANK, BAD_REFERENCE, VALID

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord
    from ._registry import Executor

DEFECTS = {
    BAD_REFERENCE: "a row names a row that is not there",
    BAD_RANK: "a level is not in the codebook",
    BAD_LENGTH: "a block does not hold exactly its decisions",
}


@dataclass(frozen=True, eq=False)
class Levels:
    """``q`` (rows, columns) int8: sign times ``1 + (rank - 1 >> low_bits)``. ``low`` uint16: low bits; (0, 0) without any."""

    q: np.ndarray
    low: np.ndarray


def unscanned(levels: np.ndarray, head: MixedHead, rows: int) -> np.ndarray:
    """(majors, minors) in scan order to (rows, columns)."""
    if not head.flags & COLUMNS_FLAG or not levels.size:
        return levels
    return np.ascontiguousarray(levels.reshape(len(levels), rows, head.kernel).transpose(1, 0, 2)).reshape(rows, -1)


def decode_levels(record: TensorRecord, data: np.ndarray, payload: MixedPayload, executor: Executor | None) -> Levels:
    """The levels of every block.

    Raises:
        FormatError: a block's bits are malformed.
    """
    head, positives = payload.head, payload.positives
    majors, minors = head.matrix(record.rows, record.columns)
    q = np.zeros((majors, minors), np.int8)
    low = np.zeros((majors, minors) if head.low_bits else (0, 0), np.uint16)
    sizes = block_sizes(majors, head.block_majors)
    firsts = [0, *accumulate(sizes)]
    is_flagged, is_named = bool(head.flags & KERNEL_ZEROS_FLAG), bool(head.flags & REFERENCES_FLAG)

    def decode_block(block: int) -> None:
        rows, begin, end = sizes[block], payload.bounds[block], payload.bounds[block + 1]
        block_q = np.zeros((rows + 1, minors), np.int8)
        block_low = np.zeros((rows + 1, minors) if head.low_bits else (1, 1), np.uint16)
        status, _ = code_block(
            block_q, block_low, np.zeros((rows, 4), np.int32), head.kernel, head.width, head.low_bits, head.mixed_steps,
            positives, len(payload.codebook) - positives, is_flagged, is_named, data, None, begin, end,
        )  # fmt: skip
        if status != VALID:
            raise FormatError(DEFECTS[status], offset=begin)
        q[firsts[block] : firsts[block + 1]] = block_q[1:]
        if head.low_bits:
            low[firsts[block] : firsts[block + 1]] = block_low[1:]

    for _ in (executor.map if executor else map)(decode_block, range(len(sizes))):
        pass
    return Levels(unscanned(q, head, record.rows), unscanned(low, head, record.rows))


def to_tensor(record: TensorRecord, payload: MixedPayload, levels: Levels, starts: np.ndarray) -> SharedTensor:
    """Codes and codebook, rows-major; zeros stay in when most positions are not zero and the codebook has room for one."""
    count, k = int(starts[-1]), len(payload.codebook)
    firsts = first_ranks(payload.head.low_bits, payload.positives)
    given = (levels.q, levels.low, firsts, entry_numbers(payload.codebook, payload.positives))
    if 2 * count > record.size and k < MAX_CODEBOOK:
        codes = np.empty(record.size, np.uint8 if k < 256 else np.uint16)
        collect_all(*given, codes)
        codebook = np.concatenate([np.zeros(1, record.dtype), payload.codebook])
        return SharedTensor(record.dtype, record.shape, record.row_axes, "rows", None, None, codes, codebook)
    minors, codes = np.empty(count + 1, np.uint32), np.empty(count + 1, np.uint8 if k <= 256 else np.uint16)
    collect(*given, minors, codes)
    rest = minors[:count], codes[:count], payload.codebook
    return SharedTensor(record.dtype, record.shape, record.row_axes, "rows", starts, *rest)


@decoder(CodecId.MIXED)
def decode_mixed(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> SharedTensor:
    """A tensor from its payload, (bytes,) uint8."""
    check_size(record, limits)
    payload = read_payload(record, data)
    check_decoded(record, limits, 0, len(payload.codebook))
    levels = decode_levels(record, data, payload, executor)
    starts = np.zeros(record.rows + 1, np.int64)
    count_nonzeros(levels.q, starts)
    check_decoded(record, limits, int(starts[-1]), len(payload.codebook))
    return to_tensor(record, payload, levels, starts)
