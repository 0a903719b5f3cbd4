"""Swish that an exporter wrote out, read as the operator that it is."""

from __future__ import annotations

import numpy as np

from ....format_spec.graph import Node
from ._surroundings import Reading, Surroundings


def read_swish(node: Node, around: Surroundings) -> Reading | None:
    """The Swish of float32 that ends with ``node``: x times the logistic function of x, or of a multiple."""
    if node.op_type != "Mul":
        return None
    for x, name in (node.inputs, node.inputs[::-1]):
        gate, shaped = around.by(name, "Sigmoid"), around.facts.type(x)
        if gate is None or shaped is None or shaped[0] != np.float32:
            continue
        scaled = around.scaled(gate.inputs[0])
        if gate.inputs[0] == x:
            return Reading(_made(node, x, 1.0), (node, gate))
        if scaled is not None and scaled[0] == x:
            return Reading(_made(node, x, scaled[1]), (node, gate, around.producer[gate.inputs[0]]))
    return None


def _made(node: Node, x: str, alpha: float) -> Node:
    return Node("Swish", node.name, (x,), node.outputs, {"alpha": alpha})
