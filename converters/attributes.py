"""Attributes of nodes: ONNX's protobuf form and the graph's plain Python form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, helper, numpy_helper

from ..format_spec.errors import ConversionError, UnsupportedOperator
from ..format_spec.graph import OPSET, Attribute, Graph, Node
from .constants import from_tensor_proto


def read_attribute(proto: AttributeProto, folder: Path | None, read_graph: Callable[[GraphProto], Graph]) -> Attribute:
    """The value of ``proto``; ``read_graph`` reads a graph-valued one.

    Raises:
        UnsupportedOperator: a kind of attribute that a graph cannot hold (sparse tensors, types, lists of tensors or graphs).
    """
    kind = proto.type
    if kind == AttributeProto.FLOAT:
        return proto.f
    if kind == AttributeProto.INT:
        return proto.i
    if kind == AttributeProto.STRING:
        return _text(proto.s, proto.name)
    if kind == AttributeProto.FLOATS:
        return tuple(proto.floats)
    if kind == AttributeProto.INTS:
        return tuple(proto.ints)
    if kind == AttributeProto.STRINGS:
        return tuple(_text(item, proto.name) for item in proto.strings)
    if kind == AttributeProto.TENSOR:
        return from_tensor_proto(proto.t, folder, proto.name).dense()
    if kind == AttributeProto.GRAPH:
        return read_graph(proto.g)
    name = AttributeProto.AttributeType.Name(kind).lower()
    raise UnsupportedOperator(f"attribute {proto.name!r} is of kind {name}, which is not supported")


def write_attribute(node: Node, name: str, write_graph: Callable[[Graph], GraphProto]) -> AttributeProto:
    """The protobuf form of the attribute of ``node`` called ``name``; ``write_graph`` writes a graph-valued one.

    Raises:
        UnsupportedOperator: an empty list of an operator that ONNX does not have, so that nothing says of what.
    """
    value = node.attribute(name)
    if isinstance(value, Graph):
        return helper.make_attribute(name, write_graph(value))
    if isinstance(value, np.ndarray):
        return helper.make_attribute(name, numpy_helper.from_array(value))
    # An empty tuple does not show what it is a list of.
    return helper.make_attribute(name, value, attr_type=_declared_type(node, name) if value == () else None)


def _declared_type(node: Node, name: str) -> int:
    try:
        declared = onnx.defs.get_schema(node.op_type, OPSET, "").attributes.get(name)
    except onnx.defs.SchemaError:
        message = f"ONNX opset {OPSET} has no operator {node.op_type} to say what its empty list {name!r} is of"
        raise UnsupportedOperator(message, node=node.label) from None
    kinds = {
        onnx.defs.OpSchema.AttrType.FLOATS: AttributeProto.FLOATS,
        onnx.defs.OpSchema.AttrType.STRINGS: AttributeProto.STRINGS,
    }
    return AttributeProto.INTS if declared is None else kinds.get(declared.type, AttributeProto.INTS)


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ConversionError(f"attribute {name!r} is not UTF-8 text") from None
