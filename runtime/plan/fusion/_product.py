"""Products of a few values and of numbers, however they are put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import isclose

from ....format_spec.graph import Node
from ._surroundings import Surroundings

CLOSE = 1e-6
"""Numbers that exporters rounded differ by as much, relative to themselves."""


@dataclass(frozen=True, eq=False)
class Product:
    """``number`` times the values called ``names``, each as often as it says, which ``nodes`` compute."""

    names: Counter[str]
    number: float
    nodes: tuple[Node, ...]

    def is_of(self, names: Mapping[str, int], number: float) -> bool:
        """Whether it is this one."""
        return self.names == names and isclose(self.number, number, rel_tol=CLOSE)


def product(name: str, ends: Collection[str], around: Surroundings) -> Product | None:
    """The product of some of the values called ``ends``, and numbers, that the value called ``name`` is."""
    number, node = around.number(name), around.by(name, "Mul", "Div", "Pow")
    if name in ends or number is not None:
        return Product(Counter([name] if name in ends else []), 1.0 if number is None else number, ())
    if node is None:
        return None
    if node.op_type == "Pow":
        third = node.inputs[0] in ends and around.number(node.inputs[1]) == 3
        return Product(Counter({node.inputs[0]: 3}), 1.0, (node,)) if third else None
    if node.op_type == "Div":
        one, divisor = product(node.inputs[0], ends, around), around.number(node.inputs[1])
        return Product(one.names, one.number / divisor, (node, *one.nodes)) if one is not None and divisor else None
    one, other = (product(factor, ends, around) for factor in node.inputs)
    if one is None or other is None:
        return None
    return Product(one.names + other.names, one.number * other.number, (node, *one.nodes, *other.nodes))


def factors(node: Node, around: Surroundings, depth: int, *op_types: str) -> Iterator[Node]:
    """Nodes of some types among the factors of what ``node``, a product or a quotient, computes; factors of factors, too, down
    to a ``depth``."""
    for name in node.inputs:
        above = around.by(name, "Mul", "Div", *op_types)
        if above is not None and above.op_type in op_types:
            yield above
        elif above is not None and depth:
            yield from factors(above, around, depth - 1, *op_types)
