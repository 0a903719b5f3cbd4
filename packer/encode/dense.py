"""Encoding tensors element by element: one value, byte planes, zstd of these or of elements, or raw, whichever is smallest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import zstandard

from ...format_spec.coding import CodecId
from ...format_spec.planes_head import SUPPORTED
from ._assemble import Encoded
from .planes import encode_planes, plan_planes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...format_spec.graph import Tensor

THOROUGH_LEVEL, THOROUGH_BYTES = 19, 1 << 20
"""zstd's level for tensors of at most so many bytes ..."""

FAST_LEVEL = 6
"""... and for larger ones, whose mantissas no level compresses."""

SAMPLE_BYTES, SAMPLE_LEVEL, REPETITIVE = 1 << 17, 6, 0.9
"""Elements are compressed whole, too, where so many bytes of them shrink at this level to less than this share: trained weights
keep 93 %, periodic tables 40 to 75 %, products of few weights and one scale a channel 88 %."""

QUICK_LEVEL, QUICK_GAIN = 1, 1.2
"""zstd is given up where it makes a tensor larger by more than this factor at this level than planes, or storing it, do: a high
level takes ten times as long, and makes of pruned weights twice what planes make of them."""

PROBE = 4096
"""Elements compared first: tensors of one value are rare, and most others show it early."""


def encode_dense(tensor: Tensor) -> Encoded:
    """The smallest of fill, raw, planes, shuffled and plain zstd; raw unless another gains, plain where elements seem to
    repeat."""
    dense = tensor.dense()
    # One element of a fill is as good as all, which nobody holds in memory.
    array = np.ascontiguousarray(dense[(slice(1),) * dense.ndim] if is_fill(dense) else dense)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    elements = array.reshape(-1).view(np.uint8).reshape(array.size, array.dtype.itemsize)
    if _is_constant(elements):
        return _encoded(CodecId.FILL, elements[0].tobytes())
    if not array.size:
        return _encoded(CodecId.RAW, b"")
    found = encode_planes(plan_planes(array)) if array.dtype in SUPPORTED else _encoded(CodecId.RAW, array.tobytes())
    most, level = len(found.payload), THOROUGH_LEVEL if array.nbytes <= THOROUGH_BYTES else FAST_LEVEL
    for codec, content in _contents(elements):
        if len(_compressed(content, QUICK_LEVEL)) < most * QUICK_GAIN:
            found = min(found, _encoded(codec, _compressed(content, level)), key=lambda encoded: len(encoded.payload))
    return found if len(found.payload) < array.nbytes else _encoded(CodecId.RAW, array.tobytes())


def _contents(elements: np.ndarray) -> Iterator[tuple[CodecId, np.ndarray]]:
    """What frames may hold, from elements (size, bytes) uint8."""
    yield CodecId.SHUFFLED_ZSTD, np.ascontiguousarray(elements.T)
    if _seems_repetitive(elements):
        yield CodecId.PLAIN_ZSTD, elements


def _seems_repetitive(elements: np.ndarray) -> bool:
    """Whether whole elements (size, bytes) uint8 follow one another in patterns, by how a sample of them is compressed."""
    sample = elements[: SAMPLE_BYTES // elements.shape[1]]
    return elements.shape[1] > 1 and len(_compressed(sample, SAMPLE_LEVEL)) < sample.nbytes * REPETITIVE


def _compressed(content: np.ndarray, level: int) -> bytes:
    return zstandard.ZstdCompressor(level=level, write_checksum=False).compress(content.data)


def is_fill(dense: np.ndarray) -> bool:
    """Whether the array is one element seen many times, as ``ConstantOfShape`` gives."""
    return dense.size > 1 and not any(dense.strides)


def _is_constant(elements: np.ndarray) -> bool:
    if not len(elements) or not np.array_equal(elements[:PROBE], np.broadcast_to(elements[0], elements[:PROBE].shape)):
        return False
    return bool((elements == elements[0]).all())


def _encoded(codec: CodecId, payload: bytes) -> Encoded:
    return Encoded(codec, payload, {"values": len(payload)})
