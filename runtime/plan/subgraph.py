"""Subgraphs made callable: captured values become inputs, and each body is planned for the arguments that it gets."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from ...format_spec.errors import LimitError, PlanError
from ...format_spec.graph import Graph, Node, Tensor, TensorType, Value
from ...format_spec.limits import Limits
from ...format_spec.names import names_defined, names_read
from ..ops import Closure, Shaped
from ..orders.workers import Workers
from .build import Common, build_plan
from .execute import Execution
from .facts import analyse, misfits
from .loops import Loop, Owners, lighter
from .plan import Plan
from .plan_cache import PlanCache

PLANS = 16
"""Plans kept per body, for arguments of different types."""

SMALL = 2 << 20
"""Bytes that the tensors of a branch take, and its values, at most, where it is prepared before it is known to be taken."""


def close_over(graph: Graph, workers: Workers, limits: Limits) -> Graph:
    """``graph`` with every subgraph replaced by a :class:`Closure` that runs on ``workers``; itself when it has none.

    A captured tensor joins the body's own tensors, so that kernels see a constant; any other captured value becomes an input
    of the body and of the node. From then on a node reads what its inputs say, and nothing else.
    """
    owners: dict[str, Mapping[str, Tensor] | None] = {value.name: None for value in graph.inputs}
    owners |= dict.fromkeys(graph.initializers, graph.initializers)
    nodes, read, taken = [], names_read(graph), names_defined(graph)
    for node in graph.nodes:
        with misfits(node):
            loop = lighter(node, owners, read, taken)
        for part in (*map(Loop, loop.before), loop, *map(Loop, loop.behind)):
            nodes.append(_close_node(part, owners, workers, limits))
            owners |= dict.fromkeys(part.node.outputs)
    return replace(graph, nodes=tuple(nodes)) if nodes != list(graph.nodes) else graph


def _close_node(loop: Loop, owners: Owners, workers: Workers, limits: Limits) -> Node:
    node = loop.node
    bodies = {key: value for key, value in node.attributes.items() if isinstance(value, Graph)}
    if not bodies:
        return node
    free = dict.fromkeys(name for body in bodies.values() for name in free_names(body))
    captured = tuple(name for name in free if owners[name] is None)
    constants = {name: tensors for name in free if (tensors := owners[name]) is not None}
    closures = {key: _close(body, captured, constants, workers, limits, loop.sequences) for key, body in bodies.items()}
    attributes: dict[str, Any] = {**node.attributes, **closures}
    return Node(node.op_type, node.name, node.inputs + captured, node.outputs, attributes)


def _close(
    body: Graph, captured: Sequence[str], constants: Mapping[str, Mapping[str, Tensor]], workers: Workers, limits: Limits,
    sequences: int,
) -> Closure:  # fmt: skip
    own = names_defined(body)
    if clash := own.intersection(free_names(body)):
        raise PlanError(f"a subgraph reads {min(clash)!r} from around it and defines it too")
    tensors = Tensors({name: found for name, found in constants.items() if name not in own}, body.initializers)
    # The node hands all of its bodies the same values, whether they read them or not.
    names = [_unused(name, own) for name in captured]
    inputs = (*body.inputs, *(Value(name, TensorType("float32", None)) for name in names))
    closed = close_over(replace(body, inputs=inputs, initializers=tensors), workers, limits)
    called = Body(closed, workers, limits)
    return Closure(closed, len(captured), called, called.infer, called.folded, called.small_plan, sequences)


def _unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    return name


def free_names(graph: Graph) -> Iterator[str]:
    """Names that ``graph`` or a subgraph of it reads and nothing in it defines, in order of use; may repeat."""
    known = {value.name for value in graph.inputs}.union(graph.initializers)
    for node in graph.nodes:
        bodies = (value for value in node.attributes.values() if isinstance(value, Graph))
        yield from _outside((*filter(None, node.inputs), *(name for body in bodies for name in free_names(body))), known)
        known.update(node.outputs)
    yield from _outside((value.name for value in graph.outputs), known)


def _outside(names: Iterable[str], known: set[str]) -> Iterator[str]:
    return (name for name in names if name not in known)


@dataclass(frozen=True, eq=False)
class Tensors(Mapping[str, Tensor]):
    """Captured tensors, each looked up in its owner, and a graph's own."""

    captured: Mapping[str, Mapping[str, Tensor]]
    own: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.own[name] if name in self.own else self.captured[name][name]

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self.captured

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from self.captured

    def __len__(self) -> int:
        return len(self.own) + len(self.captured)


@dataclass(frozen=True, eq=False)
class _Kept:
    """A plan, and what runs it and is free."""

    plan: Plan
    idle: deque[Execution] = field(default_factory=lambda: deque(maxlen=2))


class Body:
    """Runs one graph, planning it for each new set of argument types; safe to use from many threads at once."""

    def __init__(self, graph: Graph, workers: Workers, limits: Limits) -> None:
        self._graph, self._workers, self._limits = graph, workers, limits
        self._inputs, self._outputs = ([value.name for value in values] for values in (graph.inputs, graph.outputs))
        self._plans: PlanCache[_Kept] = PlanCache(PLANS)
        self._common: Common | None = None

    def __call__(self, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for a value of each input, which they may be, or parts of it.

        Raises:
            PlanError: the values do not fit the graph.
        """
        planned = self._planned(tuple((array.dtype, array.shape) for array in arguments))
        try:
            execution = planned.idle.pop()
        except IndexError:
            execution = Execution(planned.plan, lends=True)  # what a loop hands on is not copied in every turn
        inputs = dict(zip(self._inputs, arguments, strict=True))
        results = execution.repeat(inputs, self._workers)
        if results is None:
            results = execution.run(inputs, {}, self._workers)
            execution.prepare_repeat(self._workers)
        planned.idle.append(execution)
        return [results[name] for name in self._outputs]

    def _planned(self, types: tuple[Shaped, ...]) -> _Kept:
        return self._plans.find(types, lambda: _Kept(self._plan(types)))

    def _plan(self, types: Sequence[Shaped]) -> Plan:
        graph, shapes = self._typed(types)
        return build_plan(graph, shapes, self._shared())

    def small_plan(self, types: Sequence[Shaped]) -> Plan | None:
        """The plan for inputs of ``types``, which :meth:`infer` knows; ``None`` where the graph's tensors, or what it computes,
        take more than :data:`SMALL`, or it cannot be planned: it may never be called."""
        with self._plans.building:
            tensors = self._shared().declared.values()
        if sum(prod(shape) * dtype.itemsize for dtype, shape in tensors) > SMALL:
            return None
        try:
            plan = self._planned(tuple(types)).plan
        except (PlanError, LimitError):
            return None
        return plan if plan.arena_bytes <= SMALL else None

    def infer(self, types: Sequence[Shaped | None], values: Sequence[np.ndarray | None]) -> list[Shaped | None]:
        """The types of the outputs, see :class:`~tersor.runtime.ops.Closure`."""
        if any(shaped is None for shaped in types):
            return [None] * len(self._graph.outputs)
        graph, shapes = self._typed([shaped for shaped in types if shaped is not None])
        with self._plans.building:
            shared = self._shared()
            given = zip(graph.inputs, values, strict=True)
            known = {value.name: array for value, array in given if array is not None}
            facts = analyse(graph, shapes, {**shared.folded, **known}, shared.declared, self._limits)
        return [facts.type(value.name) for value in graph.outputs]

    def folded(self) -> Mapping[str, np.ndarray]:
        """Values that depend on the graph's tensors alone."""
        with self._plans.building:
            return self._shared().folded

    def _typed(self, types: Sequence[Shaped]) -> tuple[Graph, dict[str, tuple[int, ...]]]:
        """The graph with inputs of ``types``, and the shapes by name."""
        pairs = list(zip(self._graph.inputs, types, strict=True))
        inputs = tuple(Value(value.name, TensorType(dtype.name, shape)) for value, (dtype, shape) in pairs)
        return replace(self._graph, inputs=inputs), {value.name: shape for value, (_, shape) in pairs}

    def _shared(self) -> Common:
        if self._common is None:
            self._common = Common.of(self._graph, self._plans.prepare, self._workers.count, self._limits)
        return self._common
