"""ONNX model → graph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

from ..format_spec.errors import ConversionError, UnsupportedOperator
from ..format_spec.graph import OPSET, Dimension, Graph, Node, TensorType, Value
from ..format_spec.tensors import DenseTensor
from .attributes import read_attribute
from .check import check_names, check_text
from .constants import element_type, from_constant_node, from_sparse_proto, from_tensor_proto
from .dead import drop_dead
from .external import data_files
from .fold import fold
from .functions import expand
from .identities import drop_identities, refuse_training
from .nodes import in_order
from .normalise import check_operators, default_opset, normalise
from .skeleton import strip
from .unchanged import capture_unchanged


def from_onnx(source: str | os.PathLike[str] | bytes | ModelProto) -> Graph:
    """Read an ONNX model (a path, its bytes, or the message) of opset 6 or later into a graph at the pinned opset.

    Every tensor of the source (initializer, sparse initializer, ``Constant``) is an initializer of the graph, under its name
    and with its bits, read when asked for; external data is memory-mapped and needs a path. Constants that small nodes
    compute are folded, nodes that do nothing are dropped, and what loops carry unchanged is read from around them. Metadata
    properties are kept, with the source's opset and producer as ``tersor.source_opset`` and ``tersor.producer`` unless the
    model has such keys. ``source`` is not changed.

    Raises:
        ConversionError: not a valid model, or one that has no equivalent at the pinned opset.
        UnsupportedOperator: an operator that ONNX's default domain does not have, or a type that numpy does not have.
        OSError: the file cannot be read.
    """
    model, folder = _parse(source)
    if not model.HasField("graph"):
        raise ConversionError("the model has no graph; is it an ONNX file?")
    check_text(model)
    opset = default_opset(model)
    nodes = in_order(model.graph.node)
    check_names(model.graph, nodes)
    skeleton = strip(model, nodes, folder, opset)
    expand(model, skeleton, folder)
    sources = frozenset(skeleton.tensors)
    check_operators(skeleton.nodes, opset)
    fold(skeleton)  # ranks that become known spare the version converter its rewrites for unknown ones
    normalise(skeleton)
    inferred = fold(skeleton)
    typed = {value.name: value for value in inferred.output}
    graph = Graph(
        name=skeleton.name,
        inputs=tuple(_value(value, "input") for value in skeleton.inputs),
        outputs=tuple(_value(_typed(value, typed), "output") for value in skeleton.outputs),
        nodes=_nodes(inferred.node, folder),
        initializers=skeleton.tensors,
        metadata=_metadata(model, opset),
        opset=OPSET,
    )
    refuse_training(graph)
    return drop_dead(drop_identities(capture_unchanged(graph)), sources)


def files_read(path: str | os.PathLike[str]) -> set[Path]:
    """The ONNX model at ``path`` and the files of its external data, which are not opened.

    Raises:
        ConversionError: not an ONNX model, or external data that is not in its folder.
        OSError: the file cannot be read.
    """
    model, folder = _parse(path)
    return {Path(path)} if folder is None else {Path(path), *data_files(model, folder)}


def _parse(source: str | os.PathLike[str] | bytes | ModelProto) -> tuple[ModelProto, Path | None]:
    if isinstance(source, ModelProto):
        return source, None
    if isinstance(source, bytes):
        data, folder, what = source, None, "these bytes are"
    else:
        data, folder, what = Path(source).read_bytes(), Path(source).parent, f"{os.fspath(source)} is"
    if not data:
        raise ConversionError(f"{what} empty")
    try:
        return ModelProto.FromString(data), folder
    except DecodeError as error:
        raise ConversionError(f"{what} not an ONNX model, or truncated ({error})") from error


def _metadata(model: ModelProto, opset: int) -> dict[str, str]:
    own = {"tersor.source_opset": str(opset)}
    producer = f"{model.producer_name} {model.producer_version}".strip()
    if producer:
        own["tersor.producer"] = producer
    return own | {entry.key: entry.value for entry in model.metadata_props}


def _value(proto: ValueInfoProto, what: str) -> Value:
    what = f"{what} {proto.name!r}"
    kind = proto.type.WhichOneof("value")
    if kind is None:
        raise ConversionError(f"{what} has no type, and none follows from the nodes before it")
    if kind != "tensor_type":
        name = kind.removesuffix("_type").replace("_", " ")
        raise UnsupportedOperator(f"{what} is {'an' if name[0] in 'aeiou' else 'a'} {name}; only tensors are supported")
    tensor = proto.type.tensor_type
    dims = tensor.shape.dim
    shape = tuple(_dimension(dim) for dim in dims) if tensor.HasField("shape") else None
    return Value(proto.name, TensorType(element_type(tensor.elem_type, what).name, shape))


def _typed(value: ValueInfoProto, inferred: Mapping[str, ValueInfoProto]) -> ValueInfoProto:
    """``value`` as the model declares it, or as inferred when the model leaves its type out."""
    undeclared = value.type.WhichOneof("value") in (None, "tensor_type") and not value.type.tensor_type.elem_type
    return inferred[value.name] if undeclared else value


def _dimension(dim: onnx.TensorShapeProto.Dimension) -> Dimension:
    if dim.HasField("dim_value"):
        return dim.dim_value if dim.dim_value >= 0 else None
    return dim.dim_param or None


def _nodes(protos: Iterable[NodeProto], folder: Path | None) -> tuple[Node, ...]:
    return tuple(_node(proto, folder) for proto in protos)


def _node(proto: NodeProto, folder: Path | None) -> Node:
    node = Node(proto.op_type, proto.name, tuple(proto.input), tuple(proto.output))
    try:
        attributes = {a.name: read_attribute(a, folder, lambda g: _subgraph(g, folder)) for a in proto.attribute}
    except ConversionError as error:
        if error.node is not None:
            raise
        raise ConversionError(str(error), node=node.label) from error
    return replace(node, attributes=attributes) if attributes else node


def _subgraph(proto: GraphProto, folder: Path | None) -> Graph:
    """A graph held by an attribute, with tensors of its own; nothing in it is folded."""
    tensors: dict[str, DenseTensor] = {t.name: from_tensor_proto(t, folder) for t in proto.initializer}
    tensors |= {s.values.name: from_sparse_proto(s, folder, s.values.name) for s in proto.sparse_initializer}
    constants = [node for node in proto.node if node.op_type == "Constant"]
    tensors |= {node.output[0]: from_constant_node(node, folder) for node in constants}
    return Graph(
        name=proto.name,
        inputs=tuple(_value(value, "subgraph input") for value in proto.input if value.name not in tensors),
        outputs=tuple(_value(value, "subgraph output") for value in proto.output),
        nodes=_nodes((node for node in proto.node if node.op_type != "Constant"), folder),
        initializers=tensors,
        opset=OPSET,
    )
