"""Operators that ONNX, or the model itself, defines by a graph of other operators: the definition takes their place.

The runtime knows every function of the pinned opset that it can run at all, so that only what lies outside is expanded:
functions local to the model, newer than the pinned opset, or of another domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, TypeAlias

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TypeProto, defs, helper, shape_inference
from onnx.checker import ValidationError
from onnx.defs import OpSchema
from onnx.inliner import inline_local_functions
from onnx.version_converter import ConvertError

from ..format_spec.errors import ConversionError, UnsupportedOperator
from ..format_spec.graph import OPSET
from .check import check_node
from .nodes import is_default_domain, label, walk
from .skeleton import Skeleton, dense_node

_DOMAIN = "tersor.expanded"
"""Of the local functions made here; gone once they are inlined."""

_MOST_NODES = 1 << 18
"""Nodes that functions may make of a model: where each of a few functions calls the next one twice, they multiply."""

_Identity: TypeAlias = tuple[str, str, str]
"""Domain, name and overload: what a call names a function by."""


def expand(model: ModelProto, skeleton: Skeleton, folder: Path | None) -> None:
    """Replace every call of a function in ``skeleton``, made of ``model``, by the function's definition.

    ``folder`` is where the model's external data lies.

    Raises:
        ConversionError: a call that does not fit the definition, a definition that cannot be inlined or calls itself, or
            definitions that make too many operators.
    """
    versions = {_domain(entry.domain): entry.version for entry in model.opset_import}
    if model.functions:
        functions = [_dense(function, folder) for function in model.functions]
        skeleton.take_nodes(_inlined(_whole(skeleton, model), functions), folder)
    if any(_definition(node, versions) for node in walk(skeleton.nodes)):
        whole = _whole(skeleton, model)
        functions = _define_calls(whole, versions)
        skeleton.take_nodes(_inlined(whole, functions), folder)


def _whole(skeleton: Skeleton, model: ModelProto) -> ModelProto:
    """The skeleton, copied, as a model that imports the domains of its source."""
    whole = skeleton.to_model()
    del whole.opset_import[:]
    whole.opset_import.extend(model.opset_import)
    return whole


def _dense(function: FunctionProto, folder: Path | None) -> FunctionProto:
    """A copy of ``function`` without sparse tensors."""
    made = FunctionProto()
    made.CopyFrom(function)
    del made.node[:]
    made.node.extend(dense_node(node, folder) for node in function.node)
    return made


def _inlined(model: ModelProto, functions: Iterable[FunctionProto]) -> GraphProto:
    """The graph of ``model``, which may be changed, with the bodies of ``functions`` in place of their calls.

    Callers go first: whether a call inside a function has an attribute depends on what the function's own caller gave.
    """
    levels = [*_levels(functions)]
    _check_growth(model, levels)
    for level in levels:
        _bind_defaults(model, level)
        del model.functions[:]
        model.functions.extend(level.values())
        try:
            model = inline_local_functions(model, convert_version=True)
        except (RuntimeError, ValueError, ConvertError, ValidationError, shape_inference.InferenceError) as error:
            raise ConversionError(f"the model's functions cannot be inlined: {error}") from error
    return model.graph


def _check_growth(model: ModelProto, levels: Sequence[Mapping[_Identity, FunctionProto]]) -> None:
    """Refuse functions, as from :func:`_levels`, that would make too many operators of ``model``."""
    sizes: dict[_Identity, int] = {}

    def size(nodes: Iterable[NodeProto]) -> int:
        return min(sum(sizes.get(_callee(node), 1) for node in walk(nodes)), _MOST_NODES + 1)

    for level in reversed(levels):
        sizes |= {identity: size(function.node) for identity, function in level.items()}
    if size(model.graph.node) > _MOST_NODES:
        raise ConversionError(f"the model's functions make more than {_MOST_NODES:,} operators of it")


def _levels(functions: Iterable[FunctionProto]) -> Iterator[dict[_Identity, FunctionProto]]:
    """``functions`` in groups, each called by those of earlier groups alone."""
    known = {(_domain(function.domain), function.name, function.overload): function for function in functions}
    order = TopologicalSorter[_Identity](dict.fromkeys(known, ()))
    for caller, function in known.items():
        for callee in map(_callee, walk(function.node)):
            if callee in known:
                order.add(callee, caller)
    try:
        order.prepare()
    except CycleError as error:
        circle = " -> ".join(name for _, name, _ in reversed(error.args[1]))
        raise ConversionError(f"the model's functions call themselves: {circle}") from error
    while order.is_active():
        ready = order.get_ready()
        yield {identity: known[identity] for identity in ready}
        order.done(*ready)


def _bind_defaults(model: ModelProto, functions: Mapping[_Identity, FunctionProto]) -> None:
    """Give each call in ``model`` of one of ``functions`` the attributes that it leaves to their defaults.

    onnx's inliner drops what refers to an attribute that a call does not give, whether or not the function has a default.
    """
    for node in walk(model.graph.node):
        function = functions.get(_callee(node))
        if function is not None:
            given = {attribute.name for attribute in node.attribute}
            node.attribute.extend(default for default in function.attribute_proto if default.name not in given)


def _callee(node: NodeProto) -> _Identity:
    return _domain(node.domain), node.op_type, node.overload


def _define_calls(model: ModelProto, versions: Mapping[str, int]) -> list[FunctionProto]:
    """Turn each call of a function of ONNX in ``model`` into one of a local function of its own; return those.

    onnx can inline ONNX's functions by itself, but not where one depends on types and an optional input is absent.
    """
    types = _types(model)
    functions: list[FunctionProto] = []
    for number, node in enumerate(walk(model.graph.node)):
        schema = _definition(node, versions)
        if schema is not None:
            function = _function(node, schema, versions[""], types)
            function.domain, function.name = _DOMAIN, f"{node.op_type}_{number}"
            node.domain, node.op_type = function.domain, function.name
            functions.append(function)
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return functions


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
        raise UnsupportedOperator(f"ONNX defines no {node.op_type} for these types and attributes", node=label(node))
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
    return "" if is_default_domain(name) else name
