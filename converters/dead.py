"""Remove what nothing reads: dead nodes, and constants that folding left over."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from ..format_spec.graph import Graph, Node


def drop_dead(graph: Graph, sources: Collection[str]) -> Graph:
    """``graph`` without the nodes that none of its outputs needs.

    The initializers called ``sources`` stay even when nothing reads them: the model's own tensors must all come back.
    """
    live = {value.name for value in graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if any(name in live for name in node.outputs if name):
            kept.append(node)
            live |= _reads(node)
    initializers = {name: tensor for name, tensor in graph.initializers.items() if name in live or name in sources}
    return replace(graph, nodes=tuple(reversed(kept)), initializers=initializers)


def names_read(graph: Graph) -> set[str]:
    """Every name that ``graph`` reads: by a node, by a subgraph or as an output."""
    return {value.name for value in graph.outputs}.union(*map(_reads, graph.nodes))


def _reads(node: Node) -> set[str]:
    inner: Iterable[Graph] = (value for value in node.attributes.values() if isinstance(value, Graph))
    return {name for name in node.inputs if name}.union(*map(names_read, inner))
