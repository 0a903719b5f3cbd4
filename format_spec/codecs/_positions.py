"""Between a sparse tensor's (starts, minors) and flat offsets inside blocks of majors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import FormatError
from ..tensors import SharedTensor
from ._coded import Coded, block_positions

if TYPE_CHECKING:
    from ..records import TensorRecord


def block_offsets(tensor: SharedTensor, block_majors: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For each block, the offsets of its nonzeros from its first position, ascending int64, and their codes, int64."""
    if tensor.starts is None or tensor.minors is None:
        raise ValueError("this codec leaves zeros out; the tensor does not")
    majors = np.repeat(np.arange(tensor.majors, dtype=np.int64), np.diff(tensor.starts))
    offsets = majors % block_majors * tensor.minor_length + tensor.minors
    cuts = tensor.starts[block_majors : tensor.majors : block_majors]
    return np.split(offsets, cuts), np.split(tensor.codes.astype(np.int64), cuts)


def gap_symbols_of(offsets: np.ndarray, gap_symbols: int) -> np.ndarray:
    """The gaps of nonzeros at ascending ``offsets``, int64, the last of the ``gap_symbols`` being the escape."""
    escape, zeros = gap_symbols - 1, np.diff(offsets, prepend=-1) - 1
    return np.array([s for gap in zeros.tolist() for s in (*[escape] * (gap // escape), gap % escape)], np.int64)


def offsets_of(gaps: np.ndarray, nonzeros: int, gap_symbols: int, at: int) -> np.ndarray:
    """The offsets, ascending int64, whose gaps are these; ``at`` is where a defect is reported.

    Raises:
        FormatError: there are not as many ``nonzeros``, or an escape is the last.
    """
    is_entry = gaps != gap_symbols - 1
    if np.count_nonzero(is_entry) != nonzeros or (len(gaps) and not is_entry[-1]):
        raise FormatError(f"a block's gaps do not end in its {nonzeros} nonzeros", offset=at)
    return (np.cumsum(gaps + is_entry) - 1)[is_entry]


def from_offsets(record: TensorRecord, coded: Coded, blocks: list[np.ndarray], codes: list[np.ndarray]) -> SharedTensor:
    """The tensor whose blocks have nonzeros at these offsets.

    Raises:
        FormatError: an offset lies outside its block.
    """
    majors, minor_length = record.matrix(coded.order)
    for offsets, positions in zip(blocks, block_positions(majors, minor_length, coded.block_majors), strict=True):
        if len(offsets) and offsets[-1] >= positions:
            raise FormatError(f"a nonzero lies outside its block of {positions} positions", tensor=record.name)
    flat = np.concatenate([index * coded.block_majors * minor_length + offsets for index, offsets in enumerate(blocks)])
    starts = np.searchsorted(flat, np.arange(majors + 1, dtype=np.int64) * minor_length)
    kind = np.uint8 if len(coded.codebook) <= 256 else np.uint16
    return SharedTensor(
        record.dtype,
        record.shape,
        record.row_axes,
        coded.order,
        starts.astype(np.int64),
        (flat % minor_length).astype(np.uint32),
        np.concatenate(codes).astype(kind),
        coded.codebook,
    )
