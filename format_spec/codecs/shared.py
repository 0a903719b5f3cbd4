"""Codec 5: codebook indices of every position, none left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..coding import CodecId
from ..tensors import SharedTensor
from . import _coded
from ._registry import codec

if TYPE_CHECKING:
    from ..limits import Limits
    from ..records import TensorRecord


@codec(CodecId.SHARED)
class Shared:
    """Codes in scan order."""

    @staticmethod
    def encode(tensor: SharedTensor, *, block_majors: int, form: int = 0) -> bytes:
        """Code a tensor that leaves nothing out, ``block_majors`` majors a block; ``form`` is how the codebook is stored."""
        if tensor.starts is not None:
            raise ValueError("the shared codec leaves no zeros out; use sparse")
        positions = _coded.block_positions(tensor.majors, tensor.minor_length, block_majors)
        codes = np.split(tensor.codes.astype(np.int64), np.cumsum(positions)[:-1])
        return _coded.write(
            CodecId.SHARED, _coded.Coded(tensor.codebook, tensor.order, form, block_majors, 0, positions, [], codes)
        )

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> SharedTensor:
        """Codes and codebook."""
        coded = _coded.read(record, payload, limits)
        codes = np.concatenate(coded.codes).astype(np.uint8 if len(coded.codebook) <= 256 else np.uint16)
        return SharedTensor(record.dtype, record.shape, record.row_axes, coded.order, None, None, codes, coded.codebook)

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Head, codebook, tables, entries, codes."""
        return _coded.measure(record, payload, limits)
