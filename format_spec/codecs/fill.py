"""Codec 3: one element, repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..coding import CodecId
from ..records import check_size
from ..tensors import DenseTensor
from ._dense import element_bytes, elements
from ._registry import codec

if TYPE_CHECKING:
    from ..graph import Tensor
    from ..limits import Limits
    from ..records import TensorRecord


@codec(CodecId.FILL)
class Fill:
    """A tensor whose elements all have the same bits."""

    @staticmethod
    def encode(tensor: Tensor) -> bytes:
        """The first element; ``ValueError`` when there is none or another one differs."""
        data, itemsize = element_bytes(tensor), tensor.dtype.itemsize
        if not data or data[:itemsize] * tensor.size != data:
            raise ValueError("the elements are not all the same")
        return data[:itemsize]

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> DenseTensor:
        """A full array."""
        check_size(record, limits)
        return DenseTensor.of(np.full(record.shape, elements(record, payload, 1)[0], record.dtype))

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Values only."""
        return {"values": len(payload)}
