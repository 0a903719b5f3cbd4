"""A loaded model: checks what it is given, plans per set of input shapes, runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from numbers import Integral
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, SupportsIndex

import numpy as np

from ..format_spec.errors import InputError, PlanError
from ..format_spec.graph import Graph, Value, signatures
from ..format_spec.limits import DEFAULT_LIMITS, MOST_THREADS, Limits
from ..format_spec.printable import printable
from .jit.ahead import expecting
from .plan.check import NamedArrays, Shapes, check_inputs, check_out, complete_shapes
from .plan.plan_cache import PlanCache

if TYPE_CHECKING:
    from .jit.aside import Task
    from .orders.workers import Workers
    from .plan.build import Common
    from .plan.plan import Plan
    from .plan.planned import Planned
    from .plan.trace import Trace


MOST_IDLE = 16
"""Runs whose memory is kept for the next ones of a model, beside one for each plan: those of plans used last."""


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
        from .orders.workers import Workers, physical_cores

        if threads is not None and (
            isinstance(threads, bool) or not isinstance(threads, Integral) or not 1 <= threads <= MOST_THREADS
        ):
            raise PlanError(f"threads must be an integer from 1 to {MOST_THREADS}, not {threads!r}")
        if plans < 1:
            raise PlanError(f"plans must be at least 1, not {plans}")
        self._graph = graph
        self._limits = limits
        self._workers = Workers(int(threads or physical_cores()))
        self._plans: PlanCache[Planned] = PlanCache(plans)
        self._ready: tuple[Graph, Common] | None = None
        self._on_close = on_close

    @property
    def inputs(self) -> tuple[Value, ...]:
        """Names and types of what ``run`` takes: ``value.name``, ``value.type.dtype``, ``value.type.shape``."""
        return self._graph.inputs

    @property
    def outputs(self) -> tuple[Value, ...]:
        """Names and types of what ``run`` returns."""
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
        inputs: NamedArrays,
        outputs: Sequence[str] | None = None,
        out: NamedArrays | None = None,
    ) -> dict[str, np.ndarray]:
        """Compute the outputs called ``outputs`` (all of them by default).

        ``inputs`` has a numpy array for each of :attr:`inputs`, by name. Returns fresh arrays by name, or those of ``out``:
        C-contiguous arrays of the right type and shape, by the names of outputs, that are written to.

        Raises:
            InputError: a name, element type or shape is not what the model takes. Nothing is converted.
            PlanError: the inputs do not work out inside the network (shapes that do not meet, an index out of range), or the
                model has been closed.
            LimitError: a step would compute more than ``limits.activation_bytes``.
            MemoryError: the system has none for a step.
        """
        if outputs is None and not out and (results := self._repeat(inputs)) is not None:
            return results
        shapes = check_inputs(self.inputs, inputs)
        wanted = self._wanted(outputs) if outputs or out else ()
        planned = self._planned(shapes)
        given = check_out(out, wanted, inputs) if out else {}
        planned.check_out(given)
        results = self._run(planned, inputs, given, self._workers)
        return results if outputs is None else {name: results[name] for name in wanted}

    def plan(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Plan:
        """The plan for inputs of ``shapes``; an input left out has its declared shape, symbolic sizes taken as 1.

        Raises:
            InputError: a name or shape is not what the model takes.
            PlanError: the shapes do not work out inside the network, or the model has been closed.
        """
        return self._planned(complete_shapes(self.inputs, shapes or {})).plan

    def trace(self, inputs: NamedArrays, runs: int = 1) -> Trace:
        """Run ``runs`` times, noting when each step begins and ends, and what each thread does meanwhile.

        One more run goes first, and is not in the trace: it prepares what traced runs need.

        Raises:
            InputError: a name, element type or shape is not what the model takes, or there are to be no runs.
            PlanError, LimitError, MemoryError: as of :meth:`run`.
        """
        from .jit.uncollected import uncollected
        from .plan.trace import Recorder, Trace

        if runs < 1:
            raise InputError(f"a trace is of 1 run at least, not of {runs}")
        planned = self._planned(check_inputs(self.inputs, inputs))
        traced = []
        with uncollected():  # a trace's own notes would have objects collected, in a step that has nothing to do with it
            for _ in range(1 + runs):
                recorder = Recorder(self._workers)
                self._run(planned, inputs, {}, recorder)
                traced.append(recorder.spans())
        return Trace(tuple(planned.plan.rows()), tuple(traced[1:]))

    def close(self) -> None:
        """Stop the threads and forget the plans; the model cannot run afterwards."""
        with self._plans.building:
            self._plans.close()
            self._ready = None
            on_close, self._on_close = self._on_close, None
        self._workers.close()
        if on_close is not None:
            on_close()

    def __repr__(self) -> str:
        return printable(f"Model({signatures(self.inputs)} -> {signatures(self.outputs)})")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse to be copied or pickled: two models would close one file, and share what each thinks its own."""
        raise TypeError("a Model cannot be copied or pickled: load the file once more, or in the other process")

    def __enter__(self) -> Model:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _wanted(self, outputs: Sequence[str] | None) -> list[str]:
        known = [value.name for value in self.outputs]
        if outputs is None:
            return known
        if isinstance(outputs, str) or not isinstance(outputs, Iterable):
            raise InputError(f"outputs must be a list of names, as in {known[:1]}, not {outputs!r}")
        wanted = list(outputs)
        for name in wanted:
            if name not in known:
                raise InputError(f"the model has no output {name!r}; it has {', '.join(known)}")
        return wanted

    def _repeat(self, inputs: NamedArrays) -> dict[str, np.ndarray] | None:
        """Run the last plan once more, where the inputs are like the last ones: they need no other check, nor a lookup."""
        last = self._plans.last
        if last is None:
            return None
        try:
            return last.repeat(inputs)
        finally:
            if self._plans.closed:
                self._workers.close()

    def _run(self, planned: Planned, inputs: NamedArrays, out: NamedArrays, workers: Workers) -> dict[str, np.ndarray]:
        """Run a plan. Threads that it starts again, the model being closed meanwhile, end with it."""
        try:
            results = planned.run(inputs, out, workers)
            self._remember(planned)
            return results
        finally:
            if self._plans.closed:
                self._workers.close()

    def _remember(self, planned: Planned) -> None:
        """Let runs like the last one take this plan. Memory that was needed for plans used longer ago is given back where there
        is much of it."""
        left = MOST_IDLE
        for kept in self._plans.remember(planned):
            left -= kept.keep_idle(max(1, left))

    def _planned(self, shapes: Shapes) -> Planned:
        return self._plans.find(shapes, partial(self._build, shapes))

    def _build(self, shapes: Shapes) -> Planned:
        from .plan.build import build_plan
        from .plan.planned import Planned

        with expecting(self._likely, self.threads):
            graph, common = self._ready or self._make_ready()
            by_name = {value.name: shape for value, shape in zip(self.inputs, shapes, strict=True)}
            return Planned(build_plan(graph, by_name, common), self._workers)

    def _make_ready(self) -> tuple[Graph, Common]:
        """The graph as plans are made of it, and what they share."""
        from .plan.build import Common
        from .plan.subgraph import close_over

        closed = close_over(self._graph, self._workers, self._limits)
        self._ready = closed, Common.of(closed, self._plans.prepare, self._workers.count, self._limits)
        return self._ready

    def _likely(self) -> list[Task]:
        from .kernels.likely import likely

        return likely(self._graph)
