"""Are the names of an ONNX model sound: text, each defined once, before it is read?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import Message
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto
from onnx.defs import OpSchema

from ..format_spec.errors import ConversionError
from .nodes import label


def check_text(message: Message) -> None:
    """Check that every string in ``message`` is UTF-8 text: protobuf hands out bytes, without a complaint, where it is not.

    Raises:
        ConversionError: a string that is not.
    """
    for field, value in fields(message):
        repeated = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        items: Any = value if repeated else (value,)
        if field.type == field.TYPE_MESSAGE:
            for item in items:
                check_text(item)
        elif field.type == field.TYPE_STRING and not all(isinstance(item, str) for item in items):
            raise ConversionError(f"{field.name} of {type(message).__name__} is not UTF-8 text")


def fields(message: Message) -> Iterable[tuple[Any, Any]]:
    """(descriptor, value) of the fields of ``message`` that are set; of a tensor, those beside its payload."""
    if not isinstance(message, TensorProto):
        return message.ListFields()
    # ListFields would copy the payload, which may be gigabytes.
    wanted = (message.DESCRIPTOR.fields_by_name[name] for name in ("name", "external_data"))
    return ((field, getattr(message, field.name)) for field in wanted)


def check_names(graph: GraphProto, nodes: Iterable[NodeProto], outer: frozenset[str] = frozenset()) -> None:
    """Check the names of ``graph``, whose nodes are ``nodes`` in their order, and of its subgraphs; ``outer`` are those visible
    around it.

    An initializer may repeat an input's name (its default value).

    Raises:
        ConversionError: a name missing, defined twice, or read before it is defined; inputs or nodes without outputs.
    """
    own: set[str] = set()

    def define(name: str, what: str) -> None:
        if not name:
            raise ConversionError(f"{what} has no name")
        if name in own or name in outer:
            raise ConversionError(f"{what} {name!r} is defined twice")
        own.add(name)

    weights = [*(tensor.name for tensor in graph.initializer), *(sparse.values.name for sparse in graph.sparse_initializer)]
    for name in weights:
        define(name, "initializer")
    inputs: set[str] = set()
    for value in graph.input:
        if value.name in inputs or value.name not in weights:
            define(value.name, "graph input")
        inputs.add(value.name)
    for index, node in enumerate(nodes):
        told = node.name or f"number {index} ({node.op_type or 'without operator'})"
        if not node.op_type:
            raise ConversionError("the node names no operator", node=told)
        for name in node.input:
            if name and name not in own and name not in outer:
                raise ConversionError(f"reads {name!r} before anything defines it", node=told)
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                check_names(attribute.g, attribute.g.node, outer | own)
        for name in filter(None, node.output):
            define(name, f"output of node {told!r}")
    _check_outputs(graph, outer | own)


def _check_outputs(graph: GraphProto, known: frozenset[str]) -> None:
    if not graph.output and (graph.input or graph.node):
        raise ConversionError("the graph has no outputs, so that nothing of it would be computed")
    seen: set[str] = set()
    for value in graph.output:
        if value.name not in known:
            raise ConversionError(f"nothing defines the graph output {value.name!r}")
        if value.name in seen:
            raise ConversionError(f"the graph has two outputs called {value.name!r}")
        seen.add(value.name)


def check_node(node: NodeProto, schema: OpSchema) -> None:
    """Check the numbers of inputs and outputs and the attributes of ``node`` against its definition.

    Raises:
        ConversionError: one that the definition does not have, or lacks, or an attribute of another kind.
    """
    _check_arity(node, schema)
    _check_attributes(node, schema)


def _check_arity(node: NodeProto, schema: OpSchema) -> None:
    single = OpSchema.FormalParameterOption.Single
    for what, names, formal, least, most in (
        ("inputs", node.input, schema.inputs, schema.min_input, schema.max_input),
        ("outputs", node.output, schema.outputs, schema.min_output, schema.max_output),
    ):
        if not least <= len(names) <= most:
            bounds = str(least) if least == most else f"{least} to {most}" if most < 1 << 30 else f"at least {least}"
            raise ConversionError(f"{node.op_type} has {len(names)} {what}; it takes {bounds}", node=label(node))
        for name, parameter in zip(names, formal, strict=False):
            if not name and parameter.option == single:
                raise ConversionError(f"{node.op_type} lacks its {what[:-1]} {parameter.name!r}", node=label(node))


def _check_attributes(node: NodeProto, schema: OpSchema) -> None:
    """Check kinds before onnx's C++ passes see them, where a wrong one ends the process."""
    given = {attribute.name: AttributeProto.AttributeType.Name(attribute.type) for attribute in node.attribute}
    if len(given) != len(node.attribute):
        raise ConversionError(f"{node.op_type} has an attribute twice", node=label(node))
    for name, kind in given.items():
        if name not in schema.attributes:
            raise ConversionError(f"{node.op_type} of opset {schema.since_version} has no attribute {name!r}", node=label(node))
        wanted = schema.attributes[name].type
        if wanted != getattr(OpSchema.AttrType, kind, None):
            expected = str(wanted).rpartition(".")[2]
            raise ConversionError(f"attribute {name!r} of {node.op_type} is of kind {kind}, not {expected}", node=label(node))
    for name, declared in schema.attributes.items():
        if declared.required and name not in given:
            raise ConversionError(f"{node.op_type} lacks its attribute {name!r}", node=label(node))
