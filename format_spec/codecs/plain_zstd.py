"""Codec 9: elements in a zstd frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..coding import CodecId
from ..records import check_size
from ..tensors import DenseTensor
from ._dense import element_bytes, elements
from ._registry import codec
from ._zstd import compress, decompress

if TYPE_CHECKING:
    from ..graph import Tensor
    from ..limits import Limits
    from ..records import TensorRecord


@codec(CodecId.PLAIN_ZSTD)
class PlainZstd:
    """Elements in C order, in one frame that states its content's size."""

    @staticmethod
    def encode(tensor: Tensor, *, level: int) -> bytes:
        """Compress at zstd's ``level``."""
        return compress(element_bytes(tensor), level)

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> DenseTensor:
        """Decompress, after the sizes were checked."""
        check_size(record, limits)
        return DenseTensor.of(elements(record, decompress(record, payload), record.size).reshape(record.shape))

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Values only."""
        return {"values": len(payload)}
