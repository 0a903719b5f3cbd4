"""Walk the nodes once, from the last on, and read several that an exporter wrote out as the operator that they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeAlias

from ....format_spec.graph import Node
from ..facts import Facts, misfits
from ._surroundings import Reading, Surroundings
from .attention import read_attention
from .gelu import read_gelu
from .hard import read_hard
from .layers import read_layer
from .swish import read_swish

Read: TypeAlias = "Callable[[Node, Surroundings], Reading | None]"
"""(last node, what is around it) -> what it and nodes before it may be read as."""

READINGS: Sequence[Read] = (read_layer, read_attention, read_gelu, read_hard, read_swish)


def recognise(nodes: Sequence[Node], outputs: Collection[str], facts: Facts) -> list[Node]:
    """``nodes`` (in topological order) with an operator in the place of the last of those that are read as it, where nobody
    else reads what is between; nodes that nobody reads any more are left out. ``outputs`` are the graph's."""
    nodes = _without_casts(nodes, outputs, facts)
    around = Surroundings.of(nodes, outputs, facts)
    taken: set[Node] = set()
    kept = []
    for node in reversed(nodes):
        if node in taken:
            continue
        if around.left(node):
            around.replace([node])
            continue
        found = _reading(node, around)
        if found is not None:
            taken.update(found.nodes)
            around.replace(found.nodes, found.made)
        kept.append(node if found is None else found.made)
    return kept[::-1]


def _without_casts(nodes: Sequence[Node], outputs: Collection[str], facts: Facts) -> list[Node]:
    """``nodes`` without casts to the type that a value has, which exporters write to be sure."""
    names: dict[str, str] = {}
    kept = []
    for node in nodes:
        same = node.op_type == "Cast" and node.outputs[0] not in outputs and facts.type(node.outputs[0]) is not None
        if same and facts.type(node.inputs[0]) == facts.type(node.outputs[0]):
            names[node.outputs[0]] = names.get(node.inputs[0], node.inputs[0])
        else:
            kept.append(replace(node, inputs=tuple(names.get(name, name) for name in node.inputs)))
    return kept


def _reading(node: Node, around: Surroundings) -> Reading | None:
    found = (read(node, around) for read in READINGS)
    with misfits(node):
        return next((reading for reading in found if reading is not None and around.closed(reading, node)), None)
