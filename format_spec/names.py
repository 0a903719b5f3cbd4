"""The names of values in a graph: which are read, which are defined, and other names for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .graph import Graph, Node


def names_read(part: Graph | Node) -> set[str]:
    """Every name that a node reads, or a graph by its nodes and outputs; also what their subgraphs read of their own."""
    if isinstance(part, Graph):
        return {value.name for value in part.outputs}.union(*map(names_read, part.nodes))
    inner = (value for value in part.attributes.values() if isinstance(value, Graph))
    return {name for name in part.inputs if name}.union(*map(names_read, inner))


def names_defined(graph: Graph) -> set[str]:
    """Every name that ``graph`` itself gives to a value."""
    return {value.name for value in graph.inputs}.union(graph.initializers, *(node.outputs for node in graph.nodes))


def renamed(node: Node, names: Mapping[str, str]) -> Node:
    """``node`` and what its subgraphs capture, renamed where ``names`` has another name."""
    attributes = {n: with_captures_renamed(v, names) if isinstance(v, Graph) else v for n, v in node.attributes.items()}
    inputs = tuple(names.get(name, name) for name in node.inputs)
    return replace(node, inputs=inputs, outputs=tuple(names.get(name, name) for name in node.outputs), attributes=attributes)


def with_captures_renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    """``graph`` with what it reads from around it renamed where ``names`` has another name."""
    own = names_defined(graph)
    if not names.keys().isdisjoint(own):
        names = {name: new for name, new in names.items() if name not in own}
    outputs = tuple(replace(value, name=names.get(value.name, value.name)) for value in graph.outputs)
    return replace(graph, nodes=tuple(renamed(node, names) for node in graph.nodes), outputs=outputs)
