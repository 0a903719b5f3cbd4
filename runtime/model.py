"""A loaded model: checks what it is given, plans per set of input shapes, runs."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock, RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..format_spec.errors import InputError, PlanError
from ..format_spec.graph import Graph, Value
from ..format_spec.limits import DEFAULT_LIMITS, Limits
from ._described import described
from .check import Arrays, Shapes, check_inputs, check_out, complete_shapes
from .kernels._ahead import expecting

if TYPE_CHECKING:
    from .plan.build import Common
    from .plan.execute import Execution
    from .plan.plan import Plan
    from .plan.trace import Trace
    from .plan.workers import Workers

MOST_EXECUTIONS = 8
"""Arenas of a plan: as many threads run it at once, others wait. More would take memory, and no core would be free for them."""


@dataclass(frozen=True, eq=False)
class _Planned:
    """A plan, and the memory that runs of it have, each its own."""

    plan: Plan
    _idle: deque[Execution] = field(default_factory=deque)
    _places: SimpleQueue[None] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        for _ in range(MOST_EXECUTIONS):
            self._places.put(None)

    def check_out(self, out: Arrays) -> None:
        """Make sure that arrays have the types of the outputs of these names.

        Raises:
            InputError: one has not.
        """
        for name, array in out.items():
            slot = self.plan.slots[self.plan.outputs[name]]
            if slot.shape is not None and (array.shape, array.dtype) != (slot.shape, slot.dtype):
                raise InputError(f"out[{name!r}] is {described(array)}, the output is {slot.dtype.name}{list(slot.shape)}")

    def run(self, inputs: Arrays, out: Arrays, workers: Workers) -> dict[str, np.ndarray]:
        """Run the plan in memory that nobody else uses meanwhile, and that is kept unless the run fails; waits while every
        arena is in use."""
        self._places.get()
        try:
            try:
                execution = self._idle.pop()
            except IndexError:
                execution = self._fresh()
            results = execution.run(inputs, out, workers)
            self._idle.append(execution)
        finally:
            self._places.put(None)
        return results

    def _fresh(self) -> Execution:
        from .plan.execute import Execution  # not before: after a network has run, an import takes 50 microseconds

        return Execution(self.plan)


class Model:
    """A network ready to run; safe to use from many threads at once.

    ``threads`` is how many cores one run uses (``None``: every physical core); ``plans`` bounds how many plans are kept for
    inputs of different shapes, the least recently used one goes first. ``limits`` bounds what steps may compute.
    ``on_close`` is called once, when the model closes.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        threads: int | None = None,
        plans: int = 16,
        limits: Limits = DEFAULT_LIMITS,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        from .plan.workers import Workers, physical_cores

        if threads is not None and threads < 1:
            raise PlanError(f"threads must be at least 1, not {threads}")
        if plans < 1:
            raise PlanError(f"plans must be at least 1, not {plans}")
        self._graph = graph
        self._limit = plans
        self._limits = limits
        self._workers = Workers(threads or physical_cores())
        self._plans: OrderedDict[Shapes, _Planned] = OrderedDict()
        self._prepared: dict[Hashable, Any] = {}
        self._closed_graph: Graph | None = None
        self._common: Common | None = None
        self._building = RLock()
        self._lookup = Lock()
        self._closed = False
        self._on_close = on_close

    @property
    def inputs(self) -> tuple[Value, ...]:
        """What ``run`` takes."""
        return self._graph.inputs

    @property
    def outputs(self) -> tuple[Value, ...]:
        """What ``run`` returns."""
        return self._graph.outputs

    @property
    def metadata(self) -> Mapping[str, str]:
        """The source model's free-form properties."""
        return self._graph.metadata

    @property
    def threads(self) -> int:
        """How many threads a run uses."""
        return self._workers.count

    def run(
        self,
        inputs: Arrays,
        outputs: Sequence[str] | None = None,
        out: Arrays | None = None,
    ) -> dict[str, np.ndarray]:
        """Compute the outputs called ``outputs`` (all of them by default).

        Returns fresh arrays by name, or those of ``out``: C-contiguous arrays of the right type that are written to.

        Raises:
            InputError: a name, element type or shape is not what the model takes. Nothing is converted.
            PlanError: the input shapes do not work out inside the network.
            LimitError: a step would compute more than ``limits.activation_bytes``.
            MemoryError: the system has none for a step.
        """
        shapes = check_inputs(self.inputs, inputs)
        wanted = self._wanted(outputs) if outputs or out else ()
        planned = self._planned(shapes)
        given = dict(out or {})
        if given:
            check_out(given, wanted, inputs)
            planned.check_out(given)
        results = self._run(planned, inputs, given, self._workers)
        return results if outputs is None else {name: results[name] for name in wanted}

    def plan(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Plan:
        """The plan for inputs of ``shapes``; an input left out has its declared shape, symbolic sizes taken as 1.

        Raises:
            InputError: a name or shape is not what the model takes.
            PlanError: the shapes do not work out inside the network.
        """
        return self._planned(complete_shapes(self.inputs, shapes or {})).plan

    def trace(self, inputs: Arrays, runs: int = 1) -> Trace:
        """Run ``runs`` times, noting when each step begins and ends, and what each thread does meanwhile.

        One more run goes first, and is not in the trace: it prepares what traced runs need.

        Raises:
            InputError: a name, element type or shape is not what the model takes.
            PlanError: the input shapes do not work out inside the network.
        """
        from .plan.trace import Recorder, Trace

        planned = self._planned(check_inputs(self.inputs, inputs))
        traced = []
        for _ in range(1 + runs):
            recorder = Recorder(self._workers)
            self._run(planned, inputs, {}, recorder)
            traced.append(recorder.spans())
        return Trace(tuple(planned.plan.rows()), tuple(traced[1:]))

    def close(self) -> None:
        """Stop the threads and forget the plans; the model cannot run afterwards."""
        with self._building, self._lookup:
            self._closed = True
            self._plans.clear()
            self._prepared.clear()
            self._closed_graph = None
            on_close, self._on_close = self._on_close, None
        self._workers.close()
        if on_close is not None:
            on_close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _wanted(self, outputs: Sequence[str] | None) -> list[str]:
        known = [value.name for value in self.outputs]
        for name in outputs or ():
            if name not in known:
                raise InputError(f"the model has no output {name!r}; it has {', '.join(known)}")
        return known if outputs is None else list(outputs)

    def _run(self, planned: _Planned, inputs: Arrays, out: Arrays, workers: Workers) -> dict[str, np.ndarray]:
        """Run a plan. Threads that it starts again, the model being closed meanwhile, end with it."""
        try:
            return planned.run(inputs, out, workers)
        finally:
            if self._closed:
                self._workers.close()

    def _planned(self, shapes: Shapes) -> _Planned:
        found = self._plans.get(shapes)
        if found is not None and len(self._plans) == 1:  # there is no order to keep
            return found
        with self._lookup:
            found = self._plans.get(shapes)
            if found is not None:
                self._plans.move_to_end(shapes)
                return found
        with self._building:
            if self._closed:
                raise PlanError("the model has been closed")
            found = self._plans.get(shapes)
            if found is None:
                with expecting(self._graph, self.threads):
                    found = self._build(shapes)
            return found

    def _build(self, shapes: Shapes) -> _Planned:
        from .plan.build import Common, build_plan
        from .plan.facts import fold_constants
        from .plan.subgraph import close_over

        if self._closed_graph is None or self._common is None:
            self._closed_graph = close_over(self._graph, self._workers, self._limits)
            folded = fold_constants(self._closed_graph, self._limits)
            self._common = Common(folded, self._prepare, self._workers.count, self._limits)
        by_name = {value.name: shape for value, shape in zip(self.inputs, shapes, strict=True)}
        planned = _Planned(build_plan(self._closed_graph, by_name, self._common))
        with self._lookup:
            self._plans[shapes] = planned
            while len(self._plans) > self._limit:
                self._plans.popitem(last=False)
        return planned

    def _prepare(self, key: Hashable, build: Callable[[], Any]) -> Any:
        made = self._prepared.get(key)
        if made is None:
            made = self._prepared[key] = build()
        return made  # not looked up again: who streams its weights asks in each run, and the model may be closed meanwhile
