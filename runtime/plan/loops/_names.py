"""What the names in a loop's body stand for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

from ....format_spec.graph import Graph, Node, Tensor
from ....format_spec.model_file import declared
from ....format_spec.names import names_defined

T = TypeVar("T")

Owners: TypeAlias = "Mapping[str, Mapping[str, Tensor] | None]"
"""Visible name -> the tensors that it is one of, or ``None`` for a value that is computed or given."""

NUMBERS = frozenset({1, 6, 7, 11})
"""ONNX's numbers of float32, int32, int64 and float64: casts to these leave the number of a step what it is."""


@dataclass(frozen=True, eq=False)
class Names:
    """Names in the body of a loop, a ``node``, beside those that ``owners`` see around it."""

    node: Node
    owners: Owners

    @property
    def body(self) -> Graph:
        """What is done in each step."""
        body: Any = self.node.attributes["body"]
        return body

    @cached_property
    def own(self) -> set[str]:
        """Those that the body gives."""
        return names_defined(self.body)

    @cached_property
    def producer(self) -> dict[str, Node]:
        """The node that computes a value."""
        return {name: node for node in self.body.nodes for name in node.outputs if name}

    def by(self, name: str, *op_types: str) -> Node | None:
        """The node of one of some types that computes ``name``."""
        node = self.producer.get(name)
        return node if node is not None and node.op_type in op_types else None

    def around(self, name: str) -> bool:
        """Whether it is a value from around the loop, the same in every step."""
        return name in self.owners and name not in self.own

    def same(self, name: str) -> str:
        """The value that the one called ``name`` is, as it is."""
        while (node := self.by(name, "Identity")) is not None:
            name = node.inputs[0]
        return name

    def matrix(self, name: str) -> bool:
        """Whether it is a tensor of two axes."""
        tensors = self._tensors(name)
        return tensors is not None and len(declared(tensors, name).shape) == 2

    def is_whole(self, name: str, number: int) -> bool:
        """Whether it is a tensor of one integer, or truth value, this one."""
        tensors = self._tensors(name)
        what = None if tensors is None else declared(tensors, name)
        whole = what is not None and what.shape == () and what.dtype.kind in "biu"
        return whole and tensors is not None and tensors[name].dense().item() == number

    def _tensors(self, name: str) -> Mapping[str, Tensor] | None:
        if name in self.body.initializers:
            return self.body.initializers
        return self.owners[name] if self.around(name) else None

    def follows(self, name: str, count: str) -> bool:
        """Whether it is 1 more than the value called ``count``."""
        add = self.by(self.same(name), "Add")
        pairs = () if add is None else (add.inputs, add.inputs[::-1])
        return any(one == count and self.is_whole(other, 1) for one, other in pairs)

    @cached_property
    def counters(self) -> set[str]:
        """Values that are the number of the step in a Loop: what the body is told, and integers that begin with 0 and are 1
        more in each."""
        found = {self.body.inputs[0].name}
        for start, value, following in zip(self.node.inputs[2:], self.body.inputs[2:], self.body.outputs[1:], strict=False):
            if self.around(start) and self.is_whole(start, 0) and self.follows(following.name, value.name):
                found.add(value.name)
        return found

    def uncast(self, name: str) -> tuple[str, tuple[Node, ...]]:
        """What is cast to the value called ``name`` by nodes that leave the number of a step what it is, and these, the first
        one first."""
        casts: list[Node] = []
        while (node := self.by(self.same(name), "Cast")) is not None and node.attribute("to") in NUMBERS:
            casts.append(node)
            name = node.inputs[0]
        return self.same(name), tuple(casts[::-1])


def unused(name: str, taken: set[str]) -> str:
    """``name``, or one like it, that is not ``taken``; from now on it is."""
    while name in taken:
        name += "'"
    taken.add(name)
    return name


def without(items: tuple[T, ...], places: Collection[int]) -> tuple[T, ...]:
    """Items but for those in some places."""
    return tuple(item for i, item in enumerate(items) if i not in places)
