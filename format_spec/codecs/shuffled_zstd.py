"""Codec 2: byte-shuffled elements in a zstd frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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


@codec(CodecId.SHUFFLED_ZSTD)
class ShuffledZstd:
    """All first bytes of the elements, then all second bytes, ... in one frame that states its content's size."""

    @staticmethod
    def encode(tensor: Tensor, *, level: int) -> bytes:
        """Shuffle and compress at zstd's ``level``."""
        planes = np.frombuffer(element_bytes(tensor), np.uint8).reshape(-1, tensor.dtype.itemsize).T
        return compress(planes.tobytes(), level)

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> DenseTensor:
        """Decompress, after the sizes were checked, and interleave the planes."""
        check_size(record, limits)
        planes = decompress(record, payload)
        interleaved = np.frombuffer(planes, np.uint8).reshape(record.dtype.itemsize, -1).T
        return DenseTensor.of(elements(record, interleaved.tobytes(), record.size).reshape(record.shape))

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Values only."""
        return {"values": len(payload)}
