"""Leave out what nobody reads."""

from __future__ import annotations

from dataclasses import replace

from ...format_spec.graph import Graph, Node
from .facts import Facts


def drop_dead(graph: Graph, facts: Facts) -> list[Node]:
    """The nodes that must run for the graph's outputs, outputs that nobody reads, or that are known, left out of them."""
    wanted = {value.name for value in graph.outputs}
    kept = []
    for node in reversed(graph.nodes):
        needed = tuple(name if name in wanted and not facts.constant(name) else "" for name in node.outputs)
        if any(needed):
            kept.append(replace(node, outputs=needed))
            wanted.update(name for name in node.inputs if name)
    return kept[::-1]
