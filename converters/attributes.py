"""Attributes of nodes: ONNX's protobuf form and the graph's plain Python form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, helper, numpy_helper

from ..format_spec.errors import ConversionError, UnsupportedOperator
from ..format_spec.graph import OPSET, Attribute, Graph
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


def write_attribute(op_type: str, name: str, value: Attribute, write_graph: Callable[[Graph], GraphProto]) -> AttributeProto:
    """The protobuf form of attribute ``name`` of an operator; ``write_graph`` writes a graph-valued one."""
    if isinstance(value, Graph):
        return helper.make_attribute(name, write_graph(value))
    if isinstance(value, np.ndarray):
        return helper.make_attribute(name, numpy_helper.from_array(value))
    # An empty tuple does not show what it is a list of.
    return helper.make_attribute(name, value, attr_type=_declared_type(op_type, name) if value == () else None)


def _declared_type(op_type: str, name: str) -> int:
    declared = onnx.defs.get_schema(op_type, OPSET, "").attributes.get(name)
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
