"""Encoding tensors element by element: one value, byte-shuffled zstd, or raw, whichever is smallest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import zstandard

from ...format_spec.coding import CodecId
from ._assemble import Encoded

if TYPE_CHECKING:
    from ...format_spec.graph import Tensor

THOROUGH_LEVEL, THOROUGH_BYTES = 19, 1 << 20
"""zstd's level for tensors of at most so many bytes ..."""

FAST_LEVEL = 6
"""... and for larger ones, whose mantissas no level compresses."""

PROBE = 4096
"""Elements compared first: tensors of one value are rare, and most others show it early."""


def encode_dense(tensor: Tensor) -> Encoded:
    """The smallest of fill, raw and shuffled zstd; raw unless another gains."""
    dense = tensor.dense()
    # One element of a fill is as good as all, which nobody holds in memory.
    array = np.ascontiguousarray(dense[(slice(1),) * dense.ndim] if is_fill(dense) else dense)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    elements = array.reshape(-1).view(np.uint8).reshape(array.size, array.dtype.itemsize)
    if _is_constant(elements):
        return _encoded(CodecId.FILL, elements[0].tobytes())
    level = THOROUGH_LEVEL if array.nbytes <= THOROUGH_BYTES else FAST_LEVEL
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=False)
    packed = compressor.compress(np.ascontiguousarray(elements.T).data) if array.size else b""
    if array.size and len(packed) < array.nbytes:
        return _encoded(CodecId.SHUFFLED_ZSTD, packed)
    return _encoded(CodecId.RAW, array.tobytes())


def is_fill(dense: np.ndarray) -> bool:
    """Whether the array is one element seen many times, as ``ConstantOfShape`` gives."""
    return dense.size > 1 and not any(dense.strides)


def _is_constant(elements: np.ndarray) -> bool:
    if not len(elements) or not np.array_equal(elements[:PROBE], np.broadcast_to(elements[0], elements[:PROBE].shape)):
        return False
    return bool((elements == elements[0]).all())


def _encoded(codec: CodecId, payload: bytes) -> Encoded:
    return Encoded(codec, payload, {"values": len(payload)})
