"""Codec 2: byte-shuffled elements in a zstd frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import zstandard

from ..coding import CodecId
from ..errors import FormatError
from ..records import check_size
from ..tensors import DenseTensor
from ._dense import element_bytes, elements
from ._registry import codec

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
        return zstandard.ZstdCompressor(level=level, write_checksum=False).compress(planes.tobytes())

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> DenseTensor:
        """Decompress, after the sizes were checked, and interleave the planes."""
        check_size(record, limits)
        try:
            declared = zstandard.frame_content_size(payload)
            if declared != record.dense_bytes:
                stated = "does not state its size" if declared < 0 else f"declares {declared} bytes, not {record.dense_bytes}"
                raise FormatError(f"the zstd frame {stated}", offset=0, tensor=record.name)
            planes = zstandard.ZstdDecompressor().decompress(payload, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise FormatError(str(error), tensor=record.name) from error
        interleaved = np.frombuffer(planes, np.uint8).reshape(record.dtype.itemsize, -1).T
        return DenseTensor.of(elements(record, interleaved.tobytes(), record.size).reshape(record.shape))

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Values only."""
        return {"values": len(payload)}
