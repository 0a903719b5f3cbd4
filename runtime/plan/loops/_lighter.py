"""A loop as it is planned: with less to hand on, to compute and to ask in each step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ....format_spec.graph import Graph, Node
from ....format_spec.names import names_read, renamed
from ...ops import find_operator
from ._counted import counted
from ._names import Names, Owners, without
from ._slices import sliced

CARRIED: Mapping[str, tuple[int, int]] = {"Loop": (2, 1), "Scan": (0, 0)}
"""Where the carried values of an operator begin among its inputs, which are those of its body too, and among what the body
gives."""


@dataclass(frozen=True, eq=False)
class Loop:
    """A node, what is done ``before`` and ``behind`` it instead of in its steps, and how many of its last inputs are
    ``sequences``, of which the body gets the element whose number is that of the step."""

    node: Node
    before: tuple[Node, ...] = ()
    behind: tuple[Node, ...] = ()
    sequences: int = 0

    @property
    def body(self) -> Graph:
        """What is done in each step."""
        body: Any = self.node.attributes["body"]
        return body

    def with_body(self, body: Graph, **changes: Any) -> Loop:
        """The same with another body; ``changes`` are other fields of the node."""
        attributes: dict[str, Any] = {**self.node.attributes, "body": body}
        return replace(self, node=replace(self.node, attributes=attributes, **changes))

    @property
    def carried(self) -> range:
        """Numbers of the carried values."""
        first, _ = CARRIED[self.node.op_type]
        return range(len(self.node.inputs) - first - self.sequences - int(self.node.attribute("num_scan_inputs", 0)))


def lighter(node: Node, owners: Owners, read: Collection[str], taken: set[str]) -> Loop:
    """``node``, a loop or another, as it is planned. ``owners`` are names around it, of which some are ``read``; new ones
    become ``taken``.

    Raises:
        PlanError: a node of its body lacks an input, or has too many.
    """
    body = node.attributes.get("body")
    if node.op_type not in CARRIED or not isinstance(body, Graph):
        return Loop(node)
    loop, (_, outputs) = Loop(node), CARRIED[node.op_type]
    if len(body.inputs) != len(node.inputs) or len(body.outputs) < outputs + len(loop.carried):
        return loop  # it will be refused
    for inner in body.nodes:
        find_operator(inner).check_inputs(inner)
    loop = _without_invariants(loop, owners)
    if node.op_type == "Loop":
        before, limit, body = counted(Names(loop.node, owners), taken)
        loop = loop.with_body(body, inputs=(limit, *loop.node.inputs[1:]))
        made, sequences, body = sliced(Names(loop.node, owners), taken)
        loop = loop.with_body(body, inputs=(*loop.node.inputs, *sequences))
        loop = replace(loop, before=(*before, *made), sequences=len(sequences))
    return _without_unread(loop, read)


def _without_carried(loop: Loop, places: Collection[int], nodes: Iterable[Node], names: Mapping[str, str]) -> Loop:
    """The loop that does not carry some values, with other ``nodes`` and ``names`` in its body."""
    inputs, outputs = CARRIED[loop.node.op_type]
    body, taken_in, given = loop.body, {inputs + i for i in places}, {outputs + i for i in places}
    left = replace(
        body,
        inputs=without(body.inputs, taken_in),
        outputs=tuple(replace(v, name=names.get(v.name, v.name)) for v in without(body.outputs, given)),
        nodes=tuple(nodes),
    )
    ends = without(loop.node.outputs, set(places))
    return loop.with_body(left, inputs=without(loop.node.inputs, taken_in), outputs=ends)


def _without_invariants(loop: Loop, owners: Owners) -> Loop:
    """The loop whose body captures values that it would hand on as they were; what gives these in the end is behind it."""
    (inputs, outputs), node, names = CARRIED[loop.node.op_type], loop.node, Names(loop.node, owners)
    kept = [
        i for i in loop.carried
        if names.same(loop.body.outputs[outputs + i].name) == loop.body.inputs[inputs + i].name
        and node.inputs[inputs + i] not in names.own
    ]  # fmt: skip
    others = {loop.body.inputs[inputs + i].name: node.inputs[inputs + i] for i in kept}
    behind = tuple(
        Node("Identity", f"{node.label}, kept", (node.inputs[inputs + i],), (node.outputs[i],))
        for i in kept if i < len(node.outputs) and node.outputs[i]
    )  # fmt: skip
    return replace(_without_carried(loop, kept, (renamed(n, others) for n in loop.body.nodes), others), behind=behind)


def _without_unread(loop: Loop, read: Collection[str]) -> Loop:
    """The loop without carried values that nothing is made of in the end, and what only they needed."""
    (inputs, outputs), body = CARRIED[loop.node.op_type], loop.body
    places = {i for i in loop.carried if i < len(loop.node.outputs) and loop.node.outputs[i] in read}
    rest = [v.name for i, v in enumerate(body.outputs) if i - outputs not in loop.carried]
    while True:
        wanted = {*rest, *(body.outputs[outputs + i].name for i in places)}
        live = []
        for node in reversed(body.nodes):
            if not wanted.isdisjoint(node.outputs):
                live.append(node)
                wanted |= names_read(node)
        more = {i for i in loop.carried if body.inputs[inputs + i].name in wanted}
        if more <= places:
            return _without_carried(loop, set(loop.carried) - places, live[::-1], {})
        places |= more
