"""What the dense codecs share: elements in C order, little-endian."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import FormatError

if TYPE_CHECKING:
    from ..graph import Tensor
    from ..records import TensorRecord


def element_bytes(tensor: Tensor) -> bytes:
    """The elements of ``tensor``, C order, little-endian."""
    array = np.ascontiguousarray(tensor.dense())
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def elements(record: TensorRecord, data: bytes, count: int) -> np.ndarray:
    """``count`` elements of the record's type from exactly as many bytes, (count,).

    Raises:
        FormatError: ``data`` has another length, or a bool is neither 0 nor 1.
    """
    if len(data) != count * record.dtype.itemsize:
        needed = count * record.dtype.itemsize
        raise FormatError(f"it needs {needed} bytes of elements, not {len(data)}", tensor=record.name)
    if record.dtype == np.bool_ and data and max(data) > 1:
        raise FormatError("it has a bool that is neither 0 nor 1", tensor=record.name)
    return np.frombuffer(data, record.dtype.newbyteorder("<")).astype(record.dtype, copy=False)
