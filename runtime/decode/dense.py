"""Decoders of the dense codecs: raw, shuffled and plain zstd, fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import CodecId
from ...format_spec.errors import FormatError
from ...format_spec.records import check_size
from ...format_spec.tensors import DenseTensor
from ._registry import decoder

if TYPE_CHECKING:
    from ...format_spec.limits import Limits
    from ...format_spec.records import TensorRecord
    from ._registry import Executor


def elements(record: TensorRecord, data: np.ndarray, count: int) -> np.ndarray:
    """View ``data`` (bytes,) uint8 as ``count`` elements, (count,); a copy only where alignment or byte order ask for it.

    Raises:
        FormatError: ``data`` has another length, or a bool is neither 0 nor 1.
    """
    if len(data) != count * record.dtype.itemsize:
        needed = count * record.dtype.itemsize
        raise FormatError(f"it needs {needed} bytes of elements, not {len(data)}", tensor=record.name)
    if record.dtype == np.bool_ and count and data.max() > 1:
        raise FormatError("it has a bool that is neither 0 nor 1", tensor=record.name)
    array = np.ascontiguousarray(data).view(record.dtype.newbyteorder("<"))
    return np.require(array, record.dtype, "A")


@decoder(CodecId.RAW)
def decode_raw(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> DenseTensor:
    """The payload itself, as a read-only array."""
    check_size(record, limits)
    return DenseTensor.of(elements(record, data, record.size).reshape(record.shape))


@decoder(CodecId.FILL)
def decode_fill(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> DenseTensor:
    """One value; the array is made when it is read."""
    check_size(record, limits)
    value = elements(record, data, 1)[0]
    return DenseTensor(record.dtype, record.shape, lambda: np.full(record.shape, value, record.dtype))


@decoder(CodecId.SHUFFLED_ZSTD)
def decode_shuffled_zstd(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> DenseTensor:
    """Decompress and interleave the byte planes."""
    check_size(record, limits)
    planes = _decompress(record, data)
    interleaved = np.empty((record.size, record.dtype.itemsize), np.uint8)
    for index, plane in enumerate(planes.reshape(record.dtype.itemsize, -1)):
        interleaved[:, index] = plane
    return DenseTensor.of(elements(record, interleaved.reshape(-1), record.size).reshape(record.shape))


@decoder(CodecId.PLAIN_ZSTD)
def decode_plain_zstd(record: TensorRecord, data: np.ndarray, limits: Limits, executor: Executor | None) -> DenseTensor:
    """Decompress."""
    check_size(record, limits)
    return DenseTensor.of(elements(record, _decompress(record, data), record.size).reshape(record.shape))


def _decompress(record: TensorRecord, data: np.ndarray) -> np.ndarray:
    """The content of the frame, (``record.dense_bytes``,) uint8."""
    import zstandard

    try:
        declared = zstandard.frame_content_size(data.data)
        if declared != record.dense_bytes:
            stated = "does not state its size" if declared < 0 else f"declares {declared} bytes, not {record.dense_bytes}"
            raise FormatError(f"the zstd frame {stated}", offset=0, tensor=record.name)
        return np.frombuffer(zstandard.ZstdDecompressor().decompress(data.data, allow_extra_data=False), np.uint8)
    except zstandard.ZstdError as error:
        raise FormatError(str(error), tensor=record.name) from error
