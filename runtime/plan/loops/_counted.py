"""Loops that go on while their number of steps is less than one that is the same in all of them: they have a limit instead."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ....format_spec.graph import Graph, Node
from ._names import Names, unused

MOST = float(1 << 53)
"""A number of steps that no loop reaches."""

DOUBLE, INT64 = 11, 7
"""ONNX's numbers of two element types."""


def counted(names: Names, taken: set[str]) -> tuple[tuple[Node, ...], str, Graph]:
    """What computes the limit of steps that the condition of a Loop is, the limit's name, and the body, which asks no more
    whether to go on; nothing, the limit that there was and the body as it was where the condition is another one."""
    limit, body, bounds = names.node.inputs[0], names.body, _bounds(names.body.outputs[0].name, names)
    if bounds is None:
        return (), limit, body
    going, made = replace(body.outputs[0], name=body.inputs[1].name), _Made(taken)
    limits = [*([limit] if limit else []), *(made.steps(bound) for bound in bounds)]
    limit = made.of("Min", *limits) if bounds else limit
    return tuple(made.nodes), limit, replace(body, outputs=(going, *body.outputs[1:]))


@dataclass(frozen=True, eq=False)
class _Bound:
    """A loop goes on while the steps done, or one less where it is ``late``, are less than the value from around it called
    ``name``, after ``casts``."""

    name: str
    casts: tuple[Node, ...]
    late: bool


def _bounds(name: str, names: Names) -> list[_Bound] | None:
    """All that bounds the steps of a loop that goes on where ``name`` holds, or ``None`` where something else may."""
    name = names.same(name)
    if name == names.body.inputs[1].name or names.is_whole(name, 1):
        return []
    both, compared = names.by(name, "And"), names.by(name, "Less", "Greater")
    if both is not None:
        parts = [_bounds(each, names) for each in both.inputs]
        return None if None in parts else [bound for part in parts for bound in part or ()]
    if compared is None:
        return None
    count, above = compared.inputs if compared.op_type == "Less" else compared.inputs[::-1]
    (number, _), (outer, casts) = names.uncast(count), names.uncast(above)
    late = number in names.counters
    counts = late or any(names.follows(number, counter) for counter in names.counters)
    return [_Bound(outer, casts, late)] if counts and names.around(outer) else None


@dataclass(frozen=True, eq=False)
class _Made:
    """Nodes around a loop, whose outputs have names that are not ``taken``."""

    taken: set[str]
    nodes: list[Node] = field(default_factory=list)

    def of(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """The output of another node."""
        output = unused("steps", self.taken)
        self.nodes.append(Node(op_type, "", inputs, (output,), attributes))
        return output

    def steps(self, bound: _Bound) -> str:
        """How many steps a bound leaves a loop that begins: one at least, int64."""
        name = bound.name
        for cast in bound.casts:
            name = self.of("Cast", name, **cast.attributes)
        name = self.of("Ceil", self.of("Cast", name, to=DOUBLE))
        if bound.late:
            name = self.of("Add", name, self.of("Constant", value=np.array(1.0)))
        least, most = (self.of("Constant", value=np.array(value)) for value in (1.0, MOST))
        several = self.of("Where", self.of("Greater", name, least), name, least)  # no number is not greater than one
        return self.of("Cast", self.of("Min", several, most), to=INT64)
