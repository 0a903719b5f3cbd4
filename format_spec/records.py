"""What the manifest says of each tensor, and where its payload lies."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from .coding import CodecId
from .errors import FormatError
from .tensors import Order, matrix_shape

if TYPE_CHECKING:
    from .limits import Limits

# ONNX's TensorProto.DataType numbers, so that one published table serves both formats.
DTYPE_IDS: dict[str, int] = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
    "complex64": 14,
    "complex128": 15,
}
DTYPE_NAMES: dict[int, str] = {number: name for name, number in DTYPE_IDS.items()}


def limited_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """What ``Limits.tensor_bytes`` bounds: the bytes of the dense tensor, an axis of length 0 taken as 1.

    No array has endless axes, even empty.
    """
    return prod(max(size, 1) for size in shape) * dtype.itemsize


@dataclass(frozen=True)
class TensorRecord:
    """A tensor's description. ``codec`` is the id of the codec whose payload holds its elements."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    row_axes: tuple[int, ...]
    codec: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def dense_bytes(self) -> int:
        """Bytes of the decoded dense tensor."""
        return self.size * self.dtype.itemsize

    @property
    def limited_bytes(self) -> int:
        """What a limit bounds: see :func:`limited_bytes`."""
        return limited_bytes(self.shape, self.dtype)

    @property
    def rows(self) -> int:
        """Rows of the matrix view."""
        return self.matrix("rows")[0]

    @property
    def columns(self) -> int:
        """Columns of the matrix view."""
        return self.matrix("rows")[1]

    def matrix(self, order: Order) -> tuple[int, int]:
        """Lengths of the major and the minor axis of the matrix view scanned in ``order``."""
        return matrix_shape(self.shape, self.row_axes, order)


def check_size(record: TensorRecord, limits: Limits) -> None:
    """Check the decoded size, before anything is allocated.

    Raises:
        LimitError: the dense tensor would be over the limit.
        FormatError: it has no elements but is not raw.
    """
    limits.check("tensor_bytes", record.limited_bytes)
    if record.size == 0 and record.codec != CodecId.RAW:
        raise FormatError(f"it has no elements, so its codec must be raw, not {record.codec}", tensor=record.name)


@dataclass(frozen=True)
class StoredTensor:
    """A record and its payload: ``length`` bytes at ``offset`` of section number ``section``.

    ``same_as`` names the tensor whose payload it is, when that is an earlier one.
    """

    record: TensorRecord
    section: int
    offset: int
    length: int
    same_as: str | None = None


@dataclass(frozen=True)
class Placed:
    """A record and where its payload goes: ``pooled`` bytes of the pool, or (``None``) a section of its own.

    ``same``: the number, in the manifest's order, of the earlier record whose payload it is; it goes nowhere then.
    """

    record: TensorRecord
    pooled: int | None
    same: int | None = None
