"""ONNX's ways of holding a constant, each as a lazily read :class:`DenseTensor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from onnx import AttributeProto, NodeProto, SparseTensorProto, TensorProto, helper, numpy_helper

from ..format_spec.errors import ConversionError, UnsupportedOperator
from ..format_spec.limits import DEFAULT_LIMITS
from ..format_spec.records import limited_bytes
from ..format_spec.tensors import DenseTensor
from .element_types import unsupported_type
from .external import external_reader

DTYPES: dict[int, np.dtype] = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.DOUBLE: np.dtype(np.float64),
    TensorProto.FLOAT16: np.dtype(np.float16),
    TensorProto.BOOL: np.dtype(np.bool_),
    TensorProto.INT8: np.dtype(np.int8),
    TensorProto.INT16: np.dtype(np.int16),
    TensorProto.INT32: np.dtype(np.int32),
    TensorProto.INT64: np.dtype(np.int64),
    TensorProto.UINT8: np.dtype(np.uint8),
    TensorProto.UINT16: np.dtype(np.uint16),
    TensorProto.UINT32: np.dtype(np.uint32),
    TensorProto.UINT64: np.dtype(np.uint64),
}
"""The element types that a graph may hold, by ONNX's number."""

MOST_DIMENSIONS = 32
"""Of any tensor: numpy before 2.0 holds no more."""

_FIELD_TYPES = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


@dataclass(frozen=True, eq=False)
class Fill:
    """Reader of a tensor that holds one value everywhere: its array is a broadcast view whose strides are all zero.

    ``value`` (): the element; ``shape``: the tensor's. Nothing of the tensor's size is ever allocated.
    """

    value: np.ndarray
    shape: tuple[int, ...]

    def __call__(self) -> np.ndarray:
        """The tensor as a read-only view."""
        return np.broadcast_to(self.value, self.shape)


def tensor_shape(dims: Iterable[int], what: str) -> tuple[int, ...]:
    """``dims`` as a shape that numpy can hold; ``what`` names its owner in the message.

    Raises:
        ConversionError: a negative dimension, or more than :data:`MOST_DIMENSIONS`.
    """
    shape = tuple(dims)
    if len(shape) > MOST_DIMENSIONS:
        raise ConversionError(f"{what} has {len(shape)} dimensions; the most is {MOST_DIMENSIONS}")
    if any(d < 0 for d in shape):
        raise ConversionError(f"{what} has a negative dimension: {list(shape)}")
    return shape


def check_bytes(shape: tuple[int, ...], dtype: np.dtype, what: str) -> None:
    """Check the size of a tensor that the model does not hold element by element: a few bytes can stand for any number.

    Raises:
        ConversionError: more than a file's readers accept; ``what`` names its owner in the message.
    """
    taken, most = limited_bytes(shape, dtype), DEFAULT_LIMITS.tensor_bytes
    if taken > most:
        raise ConversionError(f"{what} of shape {list(shape)} and type {dtype} takes {taken:,} bytes; the most is {most:,}")


def element_type(number: int, what: str) -> np.dtype:
    """The numpy dtype of an ONNX element type.

    Raises:
        UnsupportedOperator: ``number`` is unknown or not a plain numeric type; ``what`` names its owner in the message.
    """
    dtype = DTYPES.get(number)
    if dtype is None:
        known = number in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(number).lower() if known else f"number {number}"  # type: ignore[arg-type]
        raise unsupported_type(what, name, (supported.name for supported in DTYPES.values()))
    return dtype


def from_tensor_proto(proto: TensorProto, folder: Path | None, name: str | None = None) -> DenseTensor:
    """A tensor stored in protobuf or in external data; decoded when read, checked now.

    Raises:
        UnsupportedOperator: an element type that is not supported.
        ConversionError: a payload that does not fit the shape, or axes too long even for an empty tensor.
    """
    what = f"tensor {name or proto.name!r}"
    dtype = element_type(proto.data_type, what)
    shape = tensor_shape(proto.dims, what)
    if 0 in shape:
        check_bytes(shape, dtype, what)
    if proto.HasField("segment"):
        raise ConversionError(f"{what} is split in segments, which ONNX never defined; export the model again")
    if proto.data_location == TensorProto.EXTERNAL:
        return DenseTensor(dtype, shape, _reader(dtype, external_reader(proto, dtype, folder)))
    if proto.HasField("raw_data"):
        held, unit = len(proto.raw_data), dtype.itemsize
    else:
        held, unit = len(getattr(proto, helper.tensor_dtype_to_field(proto.data_type))), 1
    if held != prod(shape) * unit:
        noun = "bytes" if proto.HasField("raw_data") else "values"
        raise ConversionError(
            f"{what} of shape {list(shape)} and type {dtype} holds {held:,} {noun}, not {prod(shape) * unit:,}"
        )
    return DenseTensor(dtype, shape, _reader(dtype, lambda: numpy_helper.to_array(proto)))


def _reader(dtype: np.dtype, read: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    """``read``, with every byte but 0 a true bool: ONNX leaves open which one stands for it, a file holds 1."""
    return (lambda: read().view(np.uint8).astype(np.bool_)) if dtype == np.bool_ else read


def from_sparse_proto(proto: SparseTensorProto, folder: Path | None, name: str) -> DenseTensor:
    """A sparse tensor, its zeros filled in when read; indices linear (NNZ,) or by coordinate (NNZ, rank).

    Raises:
        ConversionError: indices of another type or shape, out of bounds or repeated, or a dense tensor that is too large.
    """
    what = f"sparse tensor {name!r}"
    values = from_tensor_proto(proto.values, folder, f"{name} (values)")
    stored = from_tensor_proto(proto.indices, folder, f"{name} (indices)")
    shape = tensor_shape(proto.dims, what)
    check_bytes(shape, values.dtype, what)
    if len(values.shape) != 1 or stored.dtype != np.int64:
        raise ConversionError(f"{what} must have flat values and int64 indices")
    count = values.shape[0]
    if stored.shape not in ((count,), (count, len(shape))):
        raise ConversionError(
            f"{what}: indices of shape {list(stored.shape)} do not fit {count} values and shape {list(shape)}"
        )
    indices = stored.dense()
    if indices.ndim == 2:
        if ((indices < 0) | (indices >= np.array(shape, np.int64))).any():
            raise ConversionError(f"{what} has indices outside shape {list(shape)}")
        indices = np.ravel_multi_index(tuple(indices.T), shape) if shape and count else np.zeros(count, np.int64)
    if ((indices < 0) | (indices >= prod(shape))).any():
        raise ConversionError(f"{what} has indices outside its {prod(shape):,} elements")
    if len(np.unique(indices)) != count:
        raise ConversionError(f"{what} gives an element twice")

    def read() -> np.ndarray:
        flat = np.zeros(prod(shape), values.dtype)
        flat[indices] = values.dense()
        return flat.reshape(shape)

    return DenseTensor(values.dtype, shape, read)


def from_constant_node(node: NodeProto, folder: Path | None) -> DenseTensor:
    """The value of a ``Constant`` node, whichever of its attributes holds it.

    Raises:
        ConversionError: not exactly one value.
        UnsupportedOperator: a string.
    """
    if len(node.output) != 1 or len(node.attribute) != 1:
        raise ConversionError("a Constant must have one attribute and one output", node=node.name or "Constant")
    name = node.output[0]
    attribute = node.attribute[0]
    if attribute.name == "value" and attribute.type == AttributeProto.TENSOR:
        return from_tensor_proto(attribute.t, folder, name)
    if attribute.name == "sparse_value" and attribute.type == AttributeProto.SPARSE_TENSOR:
        return from_sparse_proto(attribute.sparse_tensor, folder, name)
    if attribute.name in _FIELD_TYPES:
        try:
            return DenseTensor.of(np.array(helper.get_attribute_value(attribute), _FIELD_TYPES[attribute.name]))
        except (TypeError, ValueError, OverflowError) as error:  # an attribute of another kind than its name says
            raise ConversionError(f"a Constant's {attribute.name!r}: {error}", node=node.name or name) from error
    raise UnsupportedOperator(f"a Constant given by {attribute.name!r} is not supported", node=node.name or name)


def fill(node: NodeProto, shape: DenseTensor) -> DenseTensor:
    """The output of a ``ConstantOfShape`` node whose ``shape`` (rank,) is known; read by a :class:`Fill`.

    Raises:
        ConversionError: a shape that no tensor has, or one too large, or a fill value that is not one element.
    """
    label = node.name or node.output[0]
    what = f"the result of ConstantOfShape {label!r}"
    dims = tensor_shape((int(d) for d in shape.dense()[: MOST_DIMENSIONS + 1].reshape(-1)), what)
    value = np.zeros((), np.float32)
    for attribute in node.attribute:
        held = from_tensor_proto(attribute.t, None, label)
        if held.size != 1:
            raise ConversionError("the value of ConstantOfShape must have one element", node=label)
        value = held.dense().reshape(())
    check_bytes(dims, value.dtype, what)
    return DenseTensor(value.dtype, dims, Fill(value, dims))
