"""Normalisation of layers that an exporter wrote out, read as the operator that it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....format_spec.graph import Node
from ._surroundings import Reading, Surroundings


def read_layer(node: Node, around: Surroundings) -> Reading | None:
    """The LayerNormalization or RMSNormalization of float32 over the last axis that ends with ``node``."""
    found = _layer(node, around)
    return Reading(found.made(node), found.nodes) if found is not None and around.same(found.x, node.outputs[0]) else None


@dataclass(frozen=True, eq=False)
class _Normal:
    """What ``nodes`` compute of ``x``: divided by its deviation, or by its root mean square unless it is ``centred``, then
    scaled and shifted by the values called ``factors``."""

    x: str
    centred: bool
    epsilon: float
    nodes: tuple[Node, ...]
    factors: tuple[str, ...] = ()

    def made(self, last: Node) -> Node:
        """The node for it, with the output of the ``last`` one."""
        op_type = "LayerNormalization" if self.centred else "RMSNormalization"
        attributes = {"axis": -1, "epsilon": self.epsilon}
        return Node(op_type, last.name, (self.x, *self.factors), last.outputs, attributes)

    def followed(self, node: Node, factor: str) -> _Normal:
        """The same, and ``node``, which takes a ``factor``."""
        return _Normal(self.x, self.centred, self.epsilon, (*self.nodes, node), (*self.factors, factor))


def _layer(node: Node, around: Surroundings) -> _Normal | None:
    """What ends with ``node``, if that is a normalisation, scaled, and perhaps shifted where it is centred."""
    if node.op_type == "Add":
        for value, shift in (node.inputs, node.inputs[::-1]):
            scaled = around.by(value, "Mul")
            normal = None if scaled is None else _scaled(scaled, around)
            if normal is not None and normal.centred and _is_factor(shift, normal, around):
                return normal.followed(node, shift)
    return _scaled(node, around) if node.op_type == "Mul" else None


def _scaled(node: Node, around: Surroundings) -> _Normal | None:
    for value, scale in (node.inputs, node.inputs[::-1]):
        normal = _normal(value, around) if around.facts.constant(scale) else None
        if normal is not None and _is_factor(scale, normal, around):
            return normal.followed(node, scale)
    return None


def _is_factor(name: str, normal: _Normal, around: Surroundings) -> bool:
    """Whether a value is known, and has one float32 for each element of the last axis."""
    shaped, facts = around.facts.type(normal.x), around.facts
    return facts.constant(name) and shaped is not None and facts.type(name) == (np.float32, shaped[1][-1:]) and bool(shaped[1])


def _normal(name: str, around: Surroundings) -> _Normal | None:
    """The normalisation that computes ``name``: a quotient, or a product with the reciprocal."""
    divided = around.by(name, "Div", "Mul")
    if divided is None:
        return None
    value, root = divided.inputs
    inverse, under = _inverse(root, around)
    if (divided.op_type == "Mul") != (inverse is not None):
        return None
    square_root = around.by(under, "Sqrt")
    sum_ = None if square_root is None else around.by(square_root.inputs[0], "Add")
    if square_root is None or sum_ is None:
        return None
    above = (divided, square_root, sum_) if inverse is None else (divided, inverse, square_root, sum_)
    for mean, epsilon in (sum_.inputs, sum_.inputs[::-1]):
        added, squares = around.number(epsilon), _mean_of_squares(mean, value, around)
        if added is not None and squares is not None:
            return _centred(value, added, (*above, *squares), around)
    return None


def _inverse(name: str, around: Surroundings) -> tuple[Node | None, str]:
    """The node that computes ``name`` if that is a reciprocal, and of what, else ``name`` itself."""
    node = around.by(name, "Reciprocal", "Div")
    inverts = node is not None and (node.op_type == "Reciprocal" or around.number(node.inputs[0]) == 1)
    return (node, node.inputs[-1]) if node is not None and inverts else (None, name)


def _mean_of_squares(name: str, value: str, around: Surroundings) -> tuple[Node, Node] | None:
    """The nodes that compute ``name`` if it is the mean of the squares of ``value`` along the last axis."""
    mean = _mean(name, around)
    square = None if mean is None else around.by(mean.inputs[0], "Pow", "Mul")
    if mean is None or square is None or square.inputs[0] != value:
        return None
    squared = square.inputs[1] == value if square.op_type == "Mul" else around.number(square.inputs[1]) == 2
    return (mean, square) if squared else None


def _centred(value: str, epsilon: float, nodes: tuple[Node, ...], around: Surroundings) -> _Normal | None:
    """The normalisation of what ``value`` is the difference of and from its mean, else of itself."""
    shaped = around.facts.type(value)
    if shaped is None or shaped[0] != np.float32:
        return None
    difference = around.by(value, "Sub")
    mean = None if difference is None else _mean(difference.inputs[1], around)
    if difference is None or mean is None or mean.inputs[0] != difference.inputs[0]:
        return _Normal(value, False, epsilon, nodes)
    return _Normal(difference.inputs[0], True, epsilon, (*nodes, difference, mean))


def _mean(name: str, around: Surroundings) -> Node | None:
    """The node that computes ``name`` if that is a mean along the last axis, which is kept."""
    node = around.by(name, "ReduceMean")
    if node is None or not node.attribute("keepdims", 1) or len(node.inputs) < 2 or not around.facts.constant(node.inputs[1]):
        return None
    axes, shaped = around.facts.array(node.inputs[1]), around.facts.type(node.inputs[0])
    return node if axes is not None and shaped is not None and axes.tolist() in ([-1], [len(shaped[1]) - 1]) else None
