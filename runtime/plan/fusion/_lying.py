"""Where the elements of a value lie in another one, of which operators that only move axes and multiply by numbers make it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np

from ....format_spec.graph import Node
from ...ops._registry import find_operator
from ...ops._shapes import Shape, positive_axis
from ..facts import Facts
from ._surroundings import Surroundings

RESHAPES = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})
MOVES = frozenset({*RESHAPES, "Transpose", "Expand", "Slice", "Split", "Gather"})
"""Operators whose output is a view of their input in numpy, a Gather's where it takes one index."""

Link: TypeAlias = "tuple[str, str, Node | None, float]"
"""(a value, what it is made of, the node that moves axes, if one does, else by what that is multiplied)"""


@dataclass(frozen=True)
class Lying:
    """The elements of a value are ``factor`` times those of the one called ``source``, the first of them after ``start``
    others, the next along each axis ``steps`` further on."""

    source: str
    factor: float
    start: int
    steps: tuple[int, ...]


def lyings(name: str, around: Surroundings) -> Iterator[Lying]:
    """All values that the one called ``name`` lies in, the farthest first, itself last."""
    links: list[Link] = []
    while (link := _link(links[-1][1] if links else name, around)) is not None:
        links.append(link)
    for count in range(len(links), -1, -1):
        source = links[count - 1][1] if count else name
        view = _view(source, links[:count][::-1], around.facts)
        if view is not None:
            yield Lying(source, prod(factor for *_, factor in links[:count]), *view)


def laid_out(shape: Shape, nodes: Sequence[Node], facts: Facts) -> tuple[int, ...] | None:
    """How far apart along each axis the elements of a value must lie, so that ``nodes``, which move its axes one after the
    other, make a value of ``shape`` that needs no moving; ``None`` if there is no such way."""
    whole = part = np.empty(shape, np.uint8)  # a byte an element; views of it are made, and none of its memory is touched
    for node in reversed(nodes):
        source = facts.type(node.inputs[0])
        assert source is not None
        order = node.attribute("perm", tuple(range(part.ndim))[::-1])
        part = part.transpose(np.argsort(order)) if node.op_type == "Transpose" else part.reshape(source[1])
    return part.strides if np.may_share_memory(whole, part) else None


def _link(name: str, around: Surroundings) -> Link | None:
    node = around.by(name, *MOVES)
    if node is None:
        scaled = around.scaled(name)
        return None if scaled is None else (name, scaled[0], None, scaled[1])
    facts, (source, *others) = around.facts, node.inputs
    known = facts.type(source) is not None and all(facts.constant(other) for other in others if other)
    return (name, source, node, 1.0) if known and (node.op_type != "Gather" or _takes_one(node, facts)) else None


def _takes_one(node: Node, facts: Facts) -> bool:
    """Whether a Gather takes one index, that its input has."""
    index, shaped = facts.array(node.inputs[1]), facts.type(node.inputs[0])
    assert index is not None
    assert shaped is not None
    size = shaped[1][positive_axis(node.attribute("axis", 0), len(shaped[1]))]
    return index.ndim == 0 and bool(-size <= index < size)


def _view(source: str, links: Sequence[Link], facts: Facts) -> tuple[int, tuple[int, ...]] | None:
    """Start and steps of what ``links`` make of a value, if nothing has to be copied."""
    shaped = facts.type(source)
    assert shaped is not None
    whole = part = np.empty(shaped[1], np.uint8)
    for name, _, node, _ in links:
        part = part if node is None else _moved(node, name, part, facts)
    start = part.ctypes.data - whole.ctypes.data
    return (start, part.strides) if np.may_share_memory(whole, part) else None


def _moved(node: Node, name: str, array: np.ndarray, facts: Facts) -> np.ndarray:
    others = [facts.array(other) if other else None for other in node.inputs[1:]]
    return find_operator(node)(array, *others, **node.attributes)[node.outputs.index(name)]
