"""Remove what only copies: identities, and dropout at inference."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

from ..format_spec.errors import UnsupportedOperator
from ..format_spec.graph import Graph, Node, Tensor
from ..format_spec.names import names_defined, names_read, renamed


def drop_identities(graph: Graph) -> Graph:
    """``graph`` without the nodes whose output is their input; graph inputs and outputs keep their names.

    A copy of or to a name that a subgraph defines for a value of its own stays: in that subgraph one name would stand for both.
    """
    inner = set().union(*map(names_defined, graph.subgraphs()))
    outputs = {value.name for value in graph.outputs}
    fixed = outputs | {value.name for value in graph.inputs} | set(graph.initializers)
    names: dict[str, str] = {}
    copies: set[Node] = set()
    read = names_read(graph)
    for node in graph.nodes:
        if not _is_copy(node, read):
            continue
        source, result = _current(names, node.inputs[0]), node.outputs[0]
        if source in inner or result in inner:
            continue
        if result not in outputs:
            names[result] = source
        elif source not in fixed:
            # The output's name moves up to whatever computes the value.
            names[source] = result
            fixed.add(result)
        else:
            continue
        copies.add(node)
    names = {name: _current(names, name) for name in names}
    return replace(graph, nodes=tuple(renamed(node, names) for node in graph.nodes if node not in copies))


def refuse_training(graph: Graph, outer: Mapping[str, Tensor] = MappingProxyType({})) -> None:
    """Check that no dropout drops, in ``graph`` or its subgraphs; ``outer`` are the tensors visible around it.

    Raises:
        UnsupportedOperator: one does, or an input can tell it to.
    """
    computed = names_defined(graph) - set(graph.initializers)
    tensors = {name: tensor for name, tensor in outer.items() if name not in computed} | dict(graph.initializers)
    for node in graph.nodes:
        training = node.inputs[2] if node.op_type == "Dropout" and len(node.inputs) > 2 else ""
        if training and (training not in tensors or tensors[training].dense().any()):
            raise UnsupportedOperator("Dropout in training mode is random; export the model for inference", node=node.label)
        for value in node.attributes.values():
            if isinstance(value, Graph):
                refuse_training(value, tensors)


def _current(names: Mapping[str, str], name: str) -> str:
    while name in names:
        name = names[name]
    return name


def _is_copy(node: Node, read: Collection[str]) -> bool:
    if node.op_type == "Identity":
        return True
    if node.op_type != "Dropout":
        return False
    mask = node.outputs[1] if len(node.outputs) > 1 else ""
    return not mask or mask not in read
