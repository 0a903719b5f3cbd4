"""GELU that an exporter wrote out, read as the operator that it is."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose, pi, sqrt

import numpy as np

from ....format_spec.graph import Node
from ._product import CLOSE, factors, product
from ._surroundings import Reading, Surroundings

CUBE, DEEP = 0.044715, 2
"""What GELU through tanh multiplies the third power by; products that are looked through for a sum, one in the other."""


def read_gelu(node: Node, around: Surroundings) -> Reading | None:
    """The Gelu of float32 that ends with ``node``: ``x / 2`` times 1 and the error function, or tanh, of what is made of x."""
    if node.op_type != "Mul":
        return None
    for gate in factors(node, around, DEEP, "Add"):
        for x, approximate, inner in _gates(gate, around):
            shaped = around.facts.type(x)
            found = product(node.outputs[0], (x, gate.outputs[0]), around)
            if found is None or shaped is None or shaped[0] != np.float32 or not around.same(x, node.outputs[0]):
                continue
            if found.is_of({x: 1, gate.outputs[0]: 1}, 0.5):
                made = Node("Gelu", node.name, (x,), node.outputs, {"approximate": approximate})
                return Reading(made, tuple(dict.fromkeys((*found.nodes, gate, *inner))))
    return None


def _gates(gate: Node, around: Surroundings) -> Iterator[tuple[str, str, tuple[Node, ...]]]:
    """What may be x, how Gelu is approximated, and the nodes between, if ``gate`` adds 1 to a function."""
    for name, one in (gate.inputs, gate.inputs[::-1]):
        function = around.by(name, "Erf", "Tanh") if around.number(one) == 1 else None
        scaled = None if function is None else around.scaled(function.inputs[0])
        if function is None or scaled is None:
            continue
        nodes = function, around.producer[function.inputs[0]]
        if function.op_type == "Erf" and isclose(scaled[1], sqrt(0.5), rel_tol=CLOSE):
            yield scaled[0], "none", nodes
        elif function.op_type == "Tanh" and isclose(scaled[1], sqrt(2 / pi), rel_tol=CLOSE):
            yield from ((x, "tanh", (*nodes, *inner)) for x, inner in _cubic(scaled[0], around))


def _cubic(name: str, around: Surroundings) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """What may be x, and the nodes between, if the value called ``name`` is x and :data:`CUBE` times its third power."""
    sum_ = around.by(name, "Add")
    for x, other in () if sum_ is None else (sum_.inputs, sum_.inputs[::-1]):
        found = product(other, (x,), around)
        if sum_ is not None and found is not None and found.is_of({x: 3}, CUBE):
            yield x, (sum_, *found.nodes)
