"""Is a graph well formed? (SPEC.md, section 4.7)"""

from __future__ import annotations

from collections.abc import Set

from .errors import FormatError
from .graph import Graph, Node


def validate(graph: Graph, outer: tuple[Set[str], ...] = ()) -> None:
    """Check names and order of ``graph`` and its subgraphs; ``outer`` are the names defined so far in each graph around it.

    Raises:
        FormatError: a value is read before it is defined, defined twice, an output is never defined, or there are no outputs
            where there are inputs or nodes.
    """
    own: set[str] = set()
    scopes = (*outer, own)

    def define(name: str, what: str, node: Node | None = None) -> None:
        if not name or name in own:
            where = f" of node {node.label!r}" if node else ""
            raise FormatError(f"{what}{where} {name!r} is {'defined twice' if name else 'unnamed'}", section="manifest")
        own.add(name)

    for value in graph.inputs:
        define(value.name, "input")
    for name in graph.initializers:
        define(name, "tensor")
    for node in graph.nodes:
        for name in node.inputs:
            if name and not any(name in scope for scope in scopes):
                raise FormatError(f"node {node.label!r} reads {name!r} before anything defines it", section="manifest")
        for value in node.attributes.values():
            if isinstance(value, Graph):
                validate(value, scopes)
        for name in node.outputs:
            if name:
                define(name, "output", node)
    for value in graph.outputs:
        if not any(value.name in scope for scope in scopes):
            raise FormatError(f"nothing defines the output {value.name!r}", section="manifest")
    if not graph.outputs and (graph.inputs or graph.nodes):
        raise FormatError("a graph without outputs has inputs or nodes; it may hold tensors only", section="manifest")
