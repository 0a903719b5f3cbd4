"""Bring a model to the pinned opset of the default domain."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import NodeProto
from onnx.shape_inference import InferenceError
from onnx.version_converter import ConvertError, convert_version

from ..format_spec.errors import ConversionError, UnsupportedOperator
from ..format_spec.graph import OPSET
from .adapters import adapt, stops
from .check import check_node
from .nodes import is_default_domain, label, walk
from .skeleton import Skeleton

OLDEST = 6
"""Below it operators carry attributes that meant nothing to inference, and no exporter in use writes it."""

NEWEST = 28
"""The newest opset read. Since the pinned one, definitions have only come to admit more types and to state what was open."""


def default_opset(model: onnx.ModelProto) -> int:
    """The opset of the default domain that ``model`` imports.

    Raises:
        UnsupportedOperator: one older than :data:`OLDEST`, or none because the operators are of other domains.
        ConversionError: none, two different ones, or one newer than the installed onnx.
    """
    versions = {entry.version for entry in model.opset_import if is_default_domain(entry.domain)}
    if not versions and model.graph.node and not is_default_domain(model.graph.node[0].domain):
        raise _foreign(model.graph.node[0])
    if len(versions) != 1:
        raise ConversionError(
            f"the model imports {sorted(versions) or 'no opset'} of the default domain; it must import one opset"
        )
    opset = versions.pop()
    if opset < OLDEST:
        raise UnsupportedOperator(f"the model is at opset {opset}; the oldest that can be read is {OLDEST}: export it again")
    if opset > onnx.defs.onnx_opset_version():
        known = onnx.defs.onnx_opset_version()
        raise ConversionError(
            f"the model is at opset {opset} and the installed onnx {onnx.__version__} knows {known}: upgrade onnx"
        )
    return opset


def _foreign(node: NodeProto) -> UnsupportedOperator:
    return UnsupportedOperator(
        f"operator {node.op_type} belongs to domain {node.domain!r}; only ONNX's own are read", node=label(node)
    )


def check_operators(nodes: Iterable[NodeProto], opset: int) -> None:
    """Check that every node, subgraphs included, is an operator of the default domain that exists at ``opset``.

    Raises:
        UnsupportedOperator: another domain, an unknown operator, or a definition newer than :data:`NEWEST`.
        ConversionError: inputs, outputs or attributes that the operator does not have.
    """
    for node in walk(nodes):
        if not is_default_domain(node.domain):
            raise _foreign(node)
        try:
            schema = onnx.defs.get_schema(node.op_type, opset, "")
        except onnx.defs.SchemaError:
            raise UnsupportedOperator(f"ONNX opset {opset} has no operator {node.op_type}", node=label(node)) from None
        if schema.since_version > (NEWEST if _is_pinned(node.op_type) else OPSET):
            since = schema.since_version
            message = f"{node.op_type} is defined by opset {since}; graphs are kept at opset {OPSET}: export at that or lower"
            raise UnsupportedOperator(message, node=label(node))
        check_node(node, schema)


def _is_pinned(op_type: str) -> bool:
    try:
        return not onnx.defs.get_schema(op_type, OPSET, "").deprecated
    except onnx.defs.SchemaError:
        return False


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
