"""GELU that an exporter wrote out, read as the operator that it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import isclose, pi, sqrt

import numpy as np

from ....format_spec.graph import Node
from ._surroundings import Reading, Surroundings

CUBE, DEEP = 0.044715, 2
"""What GELU through tanh multiplies the third power by; products that are looked through for a sum, one in the other."""


@dataclass(frozen=True, eq=False)
class _Product:
    """``number`` times the values called ``names``, each as often as it says, which ``nodes`` compute."""

    names: Counter[str]
    number: float
    nodes: tuple[Node, ...]

    def is_of(self, names: dict[str, int], number: float) -> bool:
        """Whether it is this one."""
        return self.names == names and isclose(self.number, number, rel_tol=1e-6)


def read_gelu(node: Node, around: Surroundings) -> Reading | None:
    """The Gelu of float32 that ends with ``node``: ``x / 2`` times 1 and the error function, or tanh, of what is made of x."""
    if node.op_type != "Mul":
        return None
    for gate in _sums(node, around, DEEP):
        for x, approximate, inner in _gates(gate, around):
            shaped = around.facts.type(x)
            product = _product(node.outputs[0], (x, gate.outputs[0]), around)
            if product is None or shaped is None or shaped[0] != np.float32 or not around.same(x, node.outputs[0]):
                continue
            if product.is_of({x: 1, gate.outputs[0]: 1}, 0.5):
                made = Node("Gelu", node.name, (x,), node.outputs, {"approximate": approximate})
                return Reading(made, tuple(dict.fromkeys((*product.nodes, gate, *inner))))
    return None


def _sums(node: Node, around: Surroundings, depth: int) -> Iterator[Node]:
    """Sums that ``node`` multiplies, or products do that it multiplies."""
    for name in node.inputs:
        above = around.by(name, "Add", "Mul")
        if above is not None and above.op_type == "Add":
            yield above
        elif above is not None and depth:
            yield from _sums(above, around, depth - 1)


def _gates(gate: Node, around: Surroundings) -> Iterator[tuple[str, str, tuple[Node, ...]]]:
    """What may be x, how Gelu is approximated, and the nodes between, if ``gate`` adds 1 to a function."""
    for name, one in (gate.inputs, gate.inputs[::-1]):
        function = around.by(name, "Erf", "Tanh") if around.number(one) == 1 else None
        scaled = None if function is None else around.scaled(function.inputs[0])
        if function is None or scaled is None:
            continue
        nodes = function, around.producer[function.inputs[0]]
        if function.op_type == "Erf" and isclose(scaled[1], sqrt(0.5), rel_tol=1e-6):
            yield scaled[0], "none", nodes
        elif function.op_type == "Tanh" and isclose(scaled[1], sqrt(2 / pi), rel_tol=1e-6):
            yield from ((x, "tanh", (*nodes, *inner)) for x, inner in _cubic(scaled[0], around))


def _cubic(name: str, around: Surroundings) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """What may be x, and the nodes between, if the value called ``name`` is x and :data:`CUBE` times its third power."""
    sum_ = around.by(name, "Add")
    for x, other in () if sum_ is None else (sum_.inputs, sum_.inputs[::-1]):
        product = _product(other, (x,), around)
        if sum_ is not None and product is not None and product.is_of({x: 3}, CUBE):
            yield x, (sum_, *product.nodes)


def _product(name: str, ends: Collection[str], around: Surroundings) -> _Product | None:
    """The product of some of the values called ``ends``, and numbers, that the value called ``name`` is."""
    number, node = around.number(name), around.by(name, "Mul", "Pow")
    if name in ends or number is not None:
        return _Product(Counter([name] if name in ends else []), 1.0 if number is None else number, ())
    if node is None:
        return None
    if node.op_type == "Pow":
        third = node.inputs[0] in ends and around.number(node.inputs[1]) == 3
        return _Product(Counter({node.inputs[0]: 3}), 1.0, (node,)) if third else None
    one, other = (_product(factor, ends, around) for factor in node.inputs)
    if one is None or other is None:
        return None
    return _Product(one.names + other.names, one.number * other.number, (node, *one.nodes, *other.nodes))
