"""Bring a model to the pinned opset of the default domain."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import AttributeProto, NodeProto
from onnx.shape_inference import InferenceError
from onnx.version_converter import ConvertError, convert_version

from ..format_spec.errors import ConversionError, UnsupportedOperator
from ..format_spec.graph import OPSET
from .adapters import adapt, stops
from .skeleton import Skeleton, walk

OLDEST = 7
"""Below it operators broadcast by attribute, and no exporter in use writes it."""


def default_opset(imports: Iterable[onnx.OperatorSetIdProto]) -> int:
    """The opset of the default domain that a model imports.

    Raises:
        ConversionError: none, two different ones, or one that cannot be read.
    """
    versions = {entry.version for entry in imports if entry.domain in ("", "ai.onnx")}
    if len(versions) != 1:
        raise ConversionError(
            f"the model imports {sorted(versions) or 'no opset'} of the default domain; it must import one opset"
        )
    opset = versions.pop()
    if opset < OLDEST:
        raise ConversionError(f"the model is at opset {opset}; the oldest that can be read is {OLDEST}: export it again")
    if opset > onnx.defs.onnx_opset_version():
        known = onnx.defs.onnx_opset_version()
        raise ConversionError(
            f"the model is at opset {opset} and the installed onnx {onnx.__version__} knows {known}: upgrade onnx"
        )
    return opset


def check_operators(nodes: Iterable[NodeProto], opset: int) -> None:
    """Check that every node, subgraphs included, is an operator of the default domain that exists at ``opset``.

    Raises:
        UnsupportedOperator: another domain or an unknown operator.
        ConversionError: a definition newer than the pinned opset, or inputs, outputs or attributes that it does not have.
    """
    for node in walk(nodes):
        label = node.name or f"{node.op_type} -> {', '.join(node.output)}"
        if node.domain not in ("", "ai.onnx"):
            raise UnsupportedOperator(
                f"operator {node.op_type} belongs to domain {node.domain!r}; only ONNX's own are read", node=label
            )
        try:
            schema = onnx.defs.get_schema(node.op_type, opset, "")
        except onnx.defs.SchemaError:
            raise UnsupportedOperator(f"ONNX opset {opset} has no operator {node.op_type}", node=label) from None
        if schema.since_version > OPSET:
            since = schema.since_version
            message = f"{node.op_type} is defined by opset {since}; graphs are kept at opset {OPSET}: export at that or lower"
            raise ConversionError(message, node=label)
        _check_arity(node, schema, label)
        _check_attributes(node, schema, label)


def _check_arity(node: NodeProto, schema: onnx.defs.OpSchema, label: str) -> None:
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    for what, names, formal, least, most in (
        ("inputs", node.input, schema.inputs, schema.min_input, schema.max_input),
        ("outputs", node.output, schema.outputs, schema.min_output, schema.max_output),
    ):
        if not least <= len(names) <= most:
            bounds = str(least) if least == most else f"{least} to {most}" if most < 1 << 30 else f"at least {least}"
            raise ConversionError(f"{node.op_type} has {len(names)} {what}; it takes {bounds}", node=label)
        for name, parameter in zip(names, formal, strict=False):
            if not name and parameter.option == single:
                raise ConversionError(f"{node.op_type} lacks its {what[:-1]} {parameter.name!r}", node=label)


def _check_attributes(node: NodeProto, schema: onnx.defs.OpSchema, label: str) -> None:
    """Check kinds before onnx's C++ passes see them, where a wrong one ends the process."""
    given = {attribute.name: AttributeProto.AttributeType.Name(attribute.type) for attribute in node.attribute}
    if len(given) != len(node.attribute):
        raise ConversionError(f"{node.op_type} has an attribute twice", node=label)
    for name, kind in given.items():
        if name not in schema.attributes:
            raise ConversionError(f"{node.op_type} of opset {schema.since_version} has no attribute {name!r}", node=label)
        wanted = schema.attributes[name].type
        if wanted != getattr(onnx.defs.OpSchema.AttrType, kind, None):
            expected = str(wanted).rpartition(".")[2]
            raise ConversionError(f"attribute {name!r} of {node.op_type} is of kind {kind}, not {expected}", node=label)
    for name, declared in schema.attributes.items():
        if declared.required and name not in given:
            raise ConversionError(f"{node.op_type} lacks its attribute {name!r}", node=label)


def normalise(skeleton: Skeleton) -> None:
    """Change ``skeleton`` to :data:`OPSET`: onnx's version converter, and our adapters at the opsets where it fails.

    Its operators must have passed :func:`check_operators`: a newer opset is then only a number.

    Raises:
        ConversionError: a change that has no equivalent.
    """
    skeleton.opset = min(skeleton.opset, OPSET)
    for stop in stops(skeleton):
        _convert(skeleton, stop)
        adapt(skeleton)
    _convert(skeleton, OPSET)


def _convert(skeleton: Skeleton, opset: int) -> None:
    if skeleton.opset == opset:
        return
    try:
        # Inference by way of values first: the converter's own does without and then rewrites for unknown ranks.
        converted = convert_version(skeleton.infer(), opset)
    except (RuntimeError, ValueError, ConvertError, InferenceError) as error:
        raise ConversionError(f"onnx cannot take the model from opset {skeleton.opset} to {opset}: {error}") from error
    skeleton.opset = opset
    skeleton.take_nodes(converted.graph)
