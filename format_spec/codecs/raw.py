"""Codec 1: the elements themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..coding import CodecId
from ..records import check_size
from ..tensors import DenseTensor
from ._dense import element_bytes, elements
from ._registry import codec

if TYPE_CHECKING:
    from ..graph import Tensor
    from ..limits import Limits
    from ..records import TensorRecord


@codec(CodecId.RAW)
class Raw:
    """Elements in C order."""

    @staticmethod
    def encode(tensor: Tensor) -> bytes:
        """The elements' bytes."""
        return element_bytes(tensor)

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> DenseTensor:
        """The bytes as an array."""
        check_size(record, limits)
        return DenseTensor.of(elements(record, payload, record.size).reshape(record.shape))

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Values only."""
        return {"values": len(payload)}
