"""What is known of values and nodes where several nodes are to be read as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ....format_spec.graph import Node
from ..facts import Facts


@dataclass(frozen=True, eq=False)
class Reading:
    """The node ``made`` does what ``nodes`` do, of which the last gives its outputs."""

    made: Node
    nodes: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Who computes a value, how often it is read, and what is known of it."""

    producer: dict[str, Node]
    readers: Counter[str]
    facts: Facts

    @classmethod
    def of(cls, nodes: Sequence[Node], outputs: Iterable[str], facts: Facts) -> Surroundings:
        """Those of ``nodes``."""
        readers = Counter(outputs)
        for node in nodes:
            readers.update(node.inputs)
        return cls({name: node for node in nodes for name in node.outputs if name}, readers, facts)

    def by(self, name: str, *op_types: str) -> Node | None:
        """The node of one of some types that computes ``name``."""
        node = self.producer.get(name)
        return node if node is not None and node.op_type in op_types else None

    def number(self, name: str) -> float | None:
        """The value called ``name``, if that is one number, and known; what it meets may gain axes by it."""
        shaped = self.facts.type(name) if self.facts.constant(name) else None
        array = self.facts.array(name) if shaped is not None and {*shaped[1]} <= {1} else None
        return None if array is None else float(array.reshape(()))

    def same(self, one: str, other: str) -> bool:
        """Whether two values are of one type, which is known."""
        shaped = self.facts.type(one)
        return shaped is not None and shaped == self.facts.type(other)

    def scaled(self, name: str) -> tuple[str, float] | None:
        """The value of the same type that the one called ``name`` is a known multiple of, and by what that is multiplied."""
        node = self.by(name, "Mul", "Div")
        if node is None:
            return None
        for value, number in (node.inputs, node.inputs[::-1]) if node.op_type == "Mul" else (node.inputs,):
            factor = self.number(number)
            if factor and self.same(value, name):
                return value, factor if node.op_type == "Mul" else 1 / factor
        return None

    def closed(self, reading: Reading, last: Node) -> bool:
        """Whether only the nodes of ``reading`` read what they compute, but for the ``last`` one's, and what is made of them
        does not."""
        read = Counter(name for node in reading.nodes for name in node.inputs)
        inner = {name for node in reading.nodes if node is not last for name in node.outputs if name}
        return inner.isdisjoint(reading.made.inputs) and all(self.readers[name] == read[name] for name in inner)

    def left(self, node: Node) -> bool:
        """Whether nobody reads any more what ``node`` computes."""
        return all(self.readers.get(name) == 0 for name in node.outputs if name)

    def replace(self, nodes: Iterable[Node], made: Node | None = None) -> None:
        """Count what ``made`` reads instead of what ``nodes`` do."""
        for node in nodes:
            self.readers.subtract(node.inputs)
        if made is not None:
            self.readers.update(made.inputs)
