"""A loaded model: checks what it is given, plans per set of input shapes, runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from numbers import Integral
from threading import Lock, RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

import numpy as np

from ..format_spec.errors import InputError, PlanError
from ..format_spec.graph import Graph, Value, signatures
from ..format_spec.limits import DEFAULT_LIMITS, MOST_THREADS, Limits
from ..format_spec.printable import printable
from .jit.ahead import expecting
from .plan.check import NamedArrays, Shapes, check_inputs, check_out, complete_shapes

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
        self._limit = plans
        self._limits = limits
        self._workers = Workers(int(threads or physical_cores()))
        self._plans: OrderedDict[Shapes, Planned] = OrderedDict()
        self._last: Planned | None = None
        self._prepared: dict[Hashable, Any] = {}
        self._uses: dict[Shapes, set[Hashable]] = {}
        self._asked: set[Hashable] = set()
        self._closed_graph: Graph | None = None
        self._common: Common | None = None
        self._building = RLock()
        self._lookup = Lock()
        self._closed = False
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
        from .plan.trace import Recorder, Trace

        if runs < 1:
            raise InputError(f"a trace is of 1 run at least, not of {runs}")
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
            self._last = None
            self._plans.clear()
            self._prepared.clear()
            self._uses.clear()
            self._closed_graph = None
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
        last = self._last
        if last is None:
            return None
        try:
            return last.repeat(inputs)
        finally:
            if self._closed:
                self._workers.close()

    def _run(self, planned: Planned, inputs: NamedArrays, out: NamedArrays, workers: Workers) -> dict[str, np.ndarray]:
        """Run a plan. Threads that it starts again, the model being closed meanwhile, end with it."""
        try:
            results = planned.run(inputs, out, workers)
            self._remember(planned)
            return results
        finally:
            if self._closed:
                self._workers.close()

    def _remember(self, planned: Planned) -> None:
        """Let runs like the last one take this plan, unless it has been forgotten meanwhile. Memory that was needed for plans
        used longer ago is given back where there is much of it."""
        with self._lookup:
            if any(kept is planned for kept in self._plans.values()):
                self._last = planned
            left = MOST_IDLE
            for kept in reversed(self._plans.values()):
                left -= kept.keep_idle(max(1, left))

    def _planned(self, shapes: Shapes) -> Planned:
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
                with expecting(self._likely, self.threads):
                    found = self._build(shapes)
            return found

    def _likely(self) -> list[Task]:
        from .kernels.likely import likely

        return likely(self._graph)

    def _build(self, shapes: Shapes) -> Planned:
        from .plan.build import Common, build_plan
        from .plan.facts import fold_constants
        from .plan.planned import Planned
        from .plan.subgraph import close_over

        if self._closed_graph is None or self._common is None:
            self._closed_graph = close_over(self._graph, self._workers, self._limits)
            folded = fold_constants(self._closed_graph, self._limits)
            self._common = Common(folded, self._prepare, self._workers.count, self._limits)
        by_name = {value.name: shape for value, shape in zip(self.inputs, shapes, strict=True)}
        asked = self._asked = set()
        try:
            planned = Planned(build_plan(self._closed_graph, by_name, self._common), self._workers)
        except BaseException:
            self._drop_prepared(asked)
            raise
        with self._lookup:
            for key in [key for key, kept in self._plans.items() if kept is self._last]:
                self._plans.move_to_end(key)  # runs like the last one have not noted that they use it
            self._plans[shapes], self._uses[shapes] = planned, asked
            while len(self._plans) > self._limit:
                self._forget_oldest()
        return planned

    def _forget_oldest(self) -> None:
        """Forget the plan that was used longest ago, and what was prepared for it alone."""
        shapes, forgotten = self._plans.popitem(last=False)
        if forgotten is self._last:
            self._last = None
        self._drop_prepared(self._uses.pop(shapes))

    def _drop_prepared(self, asked: set[Hashable]) -> None:
        """Forget what was prepared for a plan that is not kept, but for what others have asked for too."""
        needed = [keys.copy() for keys in self._uses.values()]  # runs may add to them
        for key in asked.difference(*needed):
            self._prepared.pop(key, None)

    def _prepare(self, key: Hashable, build: Callable[[], Any]) -> Any:
        self._asked.add(key)
        made = self._prepared.get(key)
        if made is None:
            made = self._prepared[key] = build()
        return made  # not looked up again: who streams its weights asks in each run, and the model may be closed meanwhile
