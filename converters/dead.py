"""Remove what nothing reads: dead nodes, and constants that folding left over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..format_spec.graph import Graph, Node
from ..format_spec.names import names_read


def drop_dead(graph: Graph, sources: Collection[str]) -> Graph:
    """``graph`` without the nodes that none of its outputs needs.

    The initializers called ``sources`` stay even when nothing reads them: the model's own tensors must all come back.
    """
    live = {value.name for value in graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if any(name in live for name in node.outputs if name):
            kept.append(node)
            live |= names_read(node)
    initializers = {name: tensor for name, tensor in graph.initializers.items() if name in live or name in sources}
    return replace(graph, nodes=tuple(reversed(kept)), initializers=initializers)
