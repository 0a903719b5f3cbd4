"""What a step makes of its element of a sequence alone is made of the whole sequence, before the loop."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from ....format_spec.graph import Graph, Node, TensorType, Value
from ....format_spec.names import names_read, renamed
from ._names import Names, unused

ALONE = frozenset({"Abs", "Cast", "Exp", "Neg", "Not", "Relu", "Sigmoid", "Sqrt", "Tanh"})
"""Operators that make each element of one."""


def sliced(names: Names, taken: set[str]) -> tuple[tuple[Node, ...], tuple[str, ...], Graph]:
    """What makes sequences before a Loop; the names of those whose elements its steps take; the body, which takes these as its
    last inputs."""
    slices, body = _Slices(names, taken), names.body
    left = [renamed(node, slices.elements) for node in body.nodes if not slices.takes(node)]
    outputs = tuple(replace(v, name=slices.elements.get(v.name, v.name)) for v in body.outputs)
    read = {value.name for value in outputs}.union(*map(names_read, left))
    sequences = tuple(sequence for sequence, element in slices.inputs.items() if element in read)
    inputs = tuple(Value(slices.inputs[sequence], TensorType("float32", None)) for sequence in sequences)
    return tuple(slices.made), sequences, replace(body, inputs=body.inputs + inputs, nodes=tuple(left), outputs=outputs)


@dataclass(frozen=True, eq=False)
class _Slices:
    """Elements that the steps of a Loop take of sequences around it: each the one whose number is that of the step.

    ``inputs`` are the names of elements by their sequences, ``elements`` for each value that is one the first that is the
    same, and ``made`` the nodes that make sequences of others.
    """

    names: Names
    taken: set[str]
    inputs: dict[str, str] = field(default_factory=dict)
    elements: dict[str, str] = field(default_factory=dict)
    made: list[Node] = field(default_factory=list)
    _sequences: dict[str, str] = field(default_factory=dict)
    _known: dict[Hashable, str] = field(default_factory=dict)

    def takes(self, node: Node) -> bool:
        """Whether the output of a node is such an element; if it is, it is noted."""
        names = self.names
        if node.op_type == "Gather" and not node.attribute("axis", 0) and names.around(node.inputs[0]):
            if names.uncast(node.inputs[1])[0] not in names.counters:
                return False
            self._note(node.outputs[0], node.inputs[0])
            return True
        if not node.inputs or node.inputs[0] not in self._sequences or not (node.op_type in ALONE or self._multiplies(node)):
            return False
        self._note(node.outputs[0], self._all_of(node))
        return True

    def _note(self, name: str, sequence: str) -> None:
        self.elements[name] = self.inputs.setdefault(sequence, name)
        self._sequences[name] = sequence

    def _all_of(self, node: Node) -> str:
        """The sequence of what a node makes of elements."""
        inputs = self._sequences[node.inputs[0]], *node.inputs[1:]
        key = node.op_type, inputs, tuple(sorted(node.attributes.items()))
        if key not in self._known:
            self._known[key] = unused(f"{node.outputs[0]}, all steps", self.taken)
            self.made.append(replace(node, inputs=inputs, outputs=(self._known[key],)))
        return self._known[key]

    def _multiplies(self, node: Node) -> bool:
        """Whether a node multiplies what is on its left by a matrix that is the same in every step."""
        return node.op_type == "MatMul" and self.names.around(node.inputs[1]) and self.names.matrix(node.inputs[1])
