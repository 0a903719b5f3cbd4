"""Graph → ONNX model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from ..format_spec.atomic import atomic_write, atomic_write_all
from ..format_spec.errors import ConversionError
from ..format_spec.graph import Graph, Node, Value, graphs
from ..format_spec.model_file import declared
from .attributes import write_attribute
from .skeleton import IR_VERSION

MOST_INLINE_BYTES = (2 << 30) - (64 << 20)
"""Above this many bytes of tensors they go to a file of their own: protobuf ends at 2 GB, and the nodes need room too."""

_MOST_DIMENSION = (1 << 63) - 1
_ALIGNMENT = 4096
_LEAST_EXTERNAL_BYTES = 1024


def to_onnx(graph: Graph, path: str | os.PathLike[str] | None = None) -> ModelProto:
    """Write ``graph`` as an ONNX model at its opset, tensors bit for bit; return it, and save it when ``path`` is given.

    The file appears whole or not at all. A model whose tensors exceed :data:`MOST_INLINE_BYTES` needs a path: tensors of
    1 KiB and more go to ``<path>.data`` one at a time, and the returned model refers to them. Both files are on the disk
    before either takes its name, the data first: an error leaves the old pair, and only a process killed between the two
    renames leaves the new data beside an old model.

    Raises:
        ConversionError: a model that large without a path, or an input's or output's dimension beyond 63 bits.
        UnsupportedOperator: an operator that ONNX does not have, with an attribute that only it could explain.
        OSError: the file cannot be written.
    """
    if not _is_large(graph):
        model = _model(graph, numpy_helper.from_array)
        if path is not None:
            with atomic_write(path) as file:
                file.write(_bytes(model))
    elif path is None:
        size = _bytes_of_tensors(graph)
        raise ConversionError(
            f"the model's tensors take {size:,} bytes, too many for one protobuf message: give to_onnx a path"
        )
    else:
        external = _data_file(path)
        with atomic_write_all(external, path) as (data, file):
            model = _model(graph, _external(data, external.name))
            file.write(_bytes(model))
    return model


def files_written(graph: Graph, path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """What :func:`to_onnx` makes, or replaces, when it is given ``path``."""
    return (Path(path), _data_file(path)) if _is_large(graph) else (Path(path),)


def _data_file(path: str | os.PathLike[str]) -> Path:
    return Path(f"{os.fspath(path)}.data")


def _is_large(graph: Graph) -> bool:
    return _bytes_of_tensors(graph) > MOST_INLINE_BYTES


def _bytes_of_tensors(graph: Graph) -> int:
    parts = [part.initializers for part in graphs(graph)]
    found = (declared(tensors, name) for tensors in parts for name in tensors)
    return sum(tensor.size * tensor.dtype.itemsize for tensor in found)


def _bytes(model: ModelProto) -> bytes:
    return model.SerializeToString(deterministic=True)


def _external(file: BinaryIO, location: str) -> Callable[[np.ndarray, str], TensorProto]:
    """What stores an array in ``file``, called ``location`` by the model, and returns the tensor that refers to it."""

    def store(array: np.ndarray, name: str) -> TensorProto:
        if array.nbytes < _LEAST_EXTERNAL_BYTES:
            return numpy_helper.from_array(array, name)
        file.write(b"\0" * (-file.tell() % _ALIGNMENT))
        offset = file.tell()
        file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
        proto = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape)
        proto.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", str(offset)), ("length", str(array.nbytes))):
            proto.external_data.add(key=key, value=value)
        return proto

    return store


def _model(graph: Graph, store: Callable[[np.ndarray, str], TensorProto]) -> ModelProto:
    imports = [helper.make_opsetid("", graph.opset)]
    model = helper.make_model(_graph(graph, store), ir_version=IR_VERSION, opset_imports=imports)
    helper.set_model_props(model, dict(graph.metadata))
    return model


def _graph(graph: Graph, store: Callable[[np.ndarray, str], TensorProto]) -> GraphProto:
    proto = GraphProto(name=graph.name or "graph")
    proto.input.extend(map(_value, graph.inputs))
    proto.output.extend(map(_value, graph.outputs))
    proto.node.extend(_node(node, store) for node in graph.nodes)
    for name, tensor in graph.initializers.items():
        proto.initializer.append(store(tensor.dense(), name))
    return proto


def _value(value: Value) -> ValueInfoProto:
    for size in value.type.shape or ():
        if isinstance(size, int) and size > _MOST_DIMENSION:
            raise ConversionError(f"{value.name!r} has a dimension of {size}; ONNX holds no more than {_MOST_DIMENSION}")
    element = helper.np_dtype_to_tensor_dtype(np.dtype(value.type.dtype))
    return helper.make_tensor_value_info(value.name, element, value.type.shape)


def _node(node: Node, store: Callable[[np.ndarray, str], TensorProto]) -> NodeProto:
    proto = NodeProto(op_type=node.op_type, name=node.name, input=node.inputs, output=node.outputs)
    for name in node.attributes:
        proto.attribute.append(write_attribute(node, name, lambda inner: _graph(inner, store)))
    return proto
