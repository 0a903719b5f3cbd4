"""Read from around a loop what it hands from round to round unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..format_spec.graph import Graph, Node
from ..format_spec.names import names_defined, with_captures_renamed

CARRIED_INPUTS, CARRIED_OUTPUTS = 2, 1
"""Where what is carried begins: behind a loop's count and condition, and behind its body's condition."""


def capture_unchanged(graph: Graph) -> Graph:
    """``graph`` with loops whose bodies read what they only hand on from the graph around: a weight is then known to be one.

    What a subgraph has a name of its own for is carried as before.
    """
    return replace(graph, nodes=tuple(made for node in graph.nodes for made in _captured(node)))


def _captured(node: Node) -> Iterator[Node]:
    """The node, its subgraphs treated, and a copy of each value that a loop no longer gives back."""
    parts = {key: capture_unchanged(value) if isinstance(value, Graph) else value for key, value in node.attributes.items()}
    node, body = replace(node, attributes=parts), parts.get("body")
    if node.op_type != "Loop" or not isinstance(body, Graph):
        yield node
        return
    sources = _unchanged(node, body)
    gone = {position for position, value in enumerate(body.inputs[CARRIED_INPUTS:]) if value.name in sources}
    inputs = tuple(v for i, v in enumerate(body.inputs) if i - CARRIED_INPUTS not in gone)
    outputs = tuple(v for i, v in enumerate(body.outputs) if i - CARRIED_OUTPUTS not in gone)
    freed = with_captures_renamed(replace(body, inputs=inputs, outputs=outputs), sources)
    for position in sorted(gone):
        if node.outputs[position : position + 1] not in ((), ("",)):
            given, result = node.inputs[CARRIED_INPUTS + position], node.outputs[position]
            yield Node("Identity", f"{node.name}/{result}", (given,), (result,))
    yield replace(
        node,
        inputs=tuple(name for i, name in enumerate(node.inputs) if i - CARRIED_INPUTS not in gone),
        outputs=tuple(name for i, name in enumerate(node.outputs) if i not in gone),
        attributes={**parts, "body": freed},
    )


def _unchanged(node: Node, body: Graph) -> dict[str, str]:
    """The inputs of the body that it hands on as they are, each with the name that the value has around the loop."""
    inner = set().union(*map(names_defined, body.subgraphs()))
    within = inner | names_defined(body)
    carried = zip(node.inputs[CARRIED_INPUTS:], body.inputs[CARRIED_INPUTS:], body.outputs[CARRIED_OUTPUTS:], strict=False)
    return {
        value.name: source
        for source, value, result in carried
        if value.name == result.name and source not in within and value.name not in inner
    }
