"""Operators that ONNX, or the model itself, defines by a graph of other operators: the definition takes their place.

The runtime knows every function of the pinned opset that it can run at all, so that only what lies outside is expanded:
functions local to the model, newer than the pinned opset, or of another domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TypeProto, defs, helper, shape_inference
from onnx.defs import OpSchema
from onnx.inliner import inline_local_functions

from ..format_spec.errors import ConversionError, UnsupportedOperator
from ..format_spec.graph import OPSET
from .check import check_node
from .skeleton import Skeleton, walk

_DOMAIN = "tersor.expanded"
"""Of the local functions made here; gone once they are inlined."""


def expand(model: ModelProto, skeleton: Skeleton) -> None:
    """Replace every call of a function in ``skeleton``, made of ``model``, by the function's definition.

    Raises:
        ConversionError: a call that does not fit the definition, or a definition that cannot be inlined.
    """
    versions = {_domain(entry.domain): entry.version for entry in model.opset_import}
    if model.functions:
        whole = _whole(skeleton, model)
        whole.functions.extend(model.functions)
        skeleton.take_nodes(_inlined(whole))
    if any(_definition(node, versions) for node in walk(skeleton.nodes)):
        whole = _whole(skeleton, model)
        _define_calls(whole, versions)
        skeleton.take_nodes(_inlined(whole))


def _whole(skeleton: Skeleton, model: ModelProto) -> ModelProto:
    """The skeleton, copied, as a model that imports the domains of its source."""
    whole = skeleton.to_model()
    del whole.opset_import[:]
    whole.opset_import.extend(model.opset_import)
    return whole


def _inlined(model: ModelProto) -> GraphProto:
    try:
        return inline_local_functions(model, convert_version=True).graph
    except (RuntimeError, ValueError) as error:
        raise ConversionError(f"the model's functions cannot be inlined: {error}") from error


def _define_calls(model: ModelProto, versions: Mapping[str, int]) -> None:
    """Turn each call of a function of ONNX in ``model`` into one of a local function of its own.

    onnx can inline ONNX's functions by itself, but not where one depends on types and an optional input is absent.
    """
    types = _types(model)
    for number, node in enumerate(walk(model.graph.node)):
        schema = _definition(node, versions)
        if schema is not None:
            function = _function(node, schema, versions[""], types)
            function.domain, function.name = _DOMAIN, f"{node.op_type}_{number}"
            node.domain, node.op_type = function.domain, function.name
            model.functions.append(function)
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))


def _function(node: NodeProto, schema: Any, opset: int, types: Mapping[str, TypeProto]) -> FunctionProto:
    if schema.function_opset_versions:
        written = [version for version in schema.function_opset_versions if version <= opset]
        return FunctionProto.FromString(schema.get_function_with_opset_version(max(written, default=opset)))
    written = [version for version in schema.context_dependent_function_opset_versions if version <= opset]
    taken = [types.get(name, TypeProto()).SerializeToString() for name in node.input]
    data = schema.get_context_dependent_function_with_opset_version(
        max(written, default=opset), node.SerializeToString(), taken
    )
    if not data:
        label = node.name or f"{node.op_type} -> {', '.join(node.output)}"
        raise UnsupportedOperator(f"ONNX defines no {node.op_type} for these types and attributes", node=label)
    return FunctionProto.FromString(data)


def _types(model: ModelProto) -> dict[str, TypeProto]:
    try:
        inferred = shape_inference.infer_shapes(model, data_prop=True)
    except (RuntimeError, ValueError, shape_inference.InferenceError) as error:
        raise ConversionError(f"onnx finds the model's types inconsistent: {error}") from error
    bodies = (a.g for node in walk(inferred.graph.node) for a in node.attribute if a.type == AttributeProto.GRAPH)
    found = {v.name: v.type for g in (inferred.graph, *bodies) for v in (*g.input, *g.value_info, *g.output)}
    tensors = inferred.graph.initializer
    return found | {t.name: helper.make_tensor_type_proto(t.data_type, list(t.dims)) for t in tensors}


def _definition(node: NodeProto, versions: Mapping[str, int]) -> Any:
    """The schema of a function that has to be expanded, or ``None``; onnx's stubs leave out what a function's can do."""
    domain = _domain(node.domain)
    if domain not in versions or (not domain and _find(node.op_type, OPSET, "")):
        return None
    schema: Any = _find(node.op_type, versions[domain], domain)
    if schema is None or not (schema.function_opset_versions or schema.context_dependent_function_opset_versions):
        return None
    check_node(node, schema)
    return schema


def _find(op_type: str, version: int, domain: str) -> OpSchema | None:
    try:
        schema = defs.get_schema(op_type, version, domain)
    except defs.SchemaError:
        return None
    return None if schema.deprecated else schema


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name
