"""Where the time of a run goes: step by step, and on which thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median
from threading import get_ident
from typing import Any

import numpy as np

from ..orders.order import CODE, COUNTED, FAILED, SHARED, TAKEN, left_out
from ..orders.team import alone
from ..orders.workers import NO_MEMORY, Workers
from .plan import Row

STEPS = "steps"
"""The lane of a trace that shows whole steps; other lanes are threads."""


@dataclass(frozen=True)
class Span:
    """``lane`` was busy with ``step`` from ``begin`` to ``end``, in seconds since the run began."""

    step: int
    lane: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin


@dataclass(frozen=True, eq=False)
class Trace:
    """What some runs of one plan did: its ``rows``, and the spans of each run."""

    rows: tuple[Row, ...]
    runs: tuple[tuple[Span, ...], ...]

    def step_seconds(self) -> list[float]:
        """Median time of each step."""
        return [median(span.seconds for run in self.runs for span in run if _whole(span, row.index)) for row in self.rows]

    def chrome(self) -> dict[str, Any]:
        """The runs, one after another, as Chrome and Perfetto read them: complete events, times in microseconds."""
        lanes = sorted({span.lane for run in self.runs for span in run}, key=lambda lane: (lane != STEPS, lane))
        numbers = {lane: index for index, lane in enumerate(lanes)}
        events: list[dict[str, Any]] = [
            {"name": "thread_name", "ph": "M", "pid": 0, "tid": number, "args": {"name": lane}}
            for lane, number in numbers.items()
        ]
        start = 0.0
        for run in self.runs:
            events += [self._event(span, start, numbers) for span in run]
            start += max((span.end for span in run), default=0.0)
        return {"displayTimeUnit": "ms", "traceEvents": events}

    def _event(self, span: Span, start: float, numbers: Mapping[str, int]) -> dict[str, Any]:
        row = self.rows[span.step]
        facts = {"kernel": row.kernel, "output": row.output, "MACs": row.macs, "density": row.density}
        return {
            "name": f"{row.op}: {row.node}", "cat": "step" if span.lane == STEPS else "part", "ph": "X", "pid": 0,
            "tid": numbers[span.lane], "ts": (start + span.begin) * 1e6, "dur": span.seconds * 1e6, "args": facts,
        }  # fmt: skip


def _whole(span: Span, step: int) -> bool:
    return span.step == step and span.lane == STEPS


class Recorder(Workers):
    """The workers of a model, with a note of what each thread does; for one run at a time."""

    def __init__(self, workers: Workers) -> None:
        super().__init__(workers.count)
        self._workers = workers
        self._spans: list[Span] = []
        self._lanes: dict[int, str] = {get_ident(): "thread 0"}
        self._numbers = count(1)
        self._step = 0
        self._origin = self._begin = time.perf_counter()

    def each(self, work: Callable[[int], object], parts: int) -> None:
        """As :meth:`Workers.each`."""

        def noted(part: int) -> None:
            begin = time.perf_counter()
            try:
                work(part)
            finally:
                self._note(self._lane(), begin)

        self._workers.each(noted, parts)

    def _lane(self) -> str:
        """That of this thread."""
        found = self._lanes.get(get_ident())
        if found is None:
            found = self._lanes[get_ident()] = f"thread {next(self._numbers)}"
        return found

    def carry_out(self, orders: np.ndarray, steps: Sequence[tuple[int, int]] = (), *, shared: bool = True) -> None:
        """As :meth:`Workers.carry_out`, one order after another."""
        begin = 0
        for step, end in steps or ((None, len(orders)),):
            while begin < end:
                order = orders[begin]
                begin += 1 + left_out(order)
                if order[CODE]:
                    self._carry_out(order)
            if step is not None:
                self.finished(step)

    def _carry_out(self, order: np.ndarray) -> None:
        order[[TAKEN, COUNTED]] = 0
        code, argument = int(order[CODE]), order.ctypes.data
        self.each(lambda member: alone(code, argument, member), self.count if order[SHARED] else 1)
        if order[TAKEN] >= FAILED:
            raise MemoryError(NO_MEMORY)

    def finished(self, step: int) -> None:
        """Note that step number ``step`` has ended, and the next one begins."""
        self._note(STEPS, self._begin)
        self._step, self._begin = step + 1, time.perf_counter()

    def _note(self, lane: str, begin: float) -> None:
        self._spans.append(Span(self._step, lane, begin - self._origin, time.perf_counter() - self._origin))

    def spans(self) -> tuple[Span, ...]:
        """Everything noted, in order of time."""
        return tuple(sorted(self._spans, key=lambda span: (span.begin, span.lane != STEPS)))


def summary(trace: Trace) -> Sequence[tuple[Row, float, float, float]]:
    """For each step: its row, median seconds, its share of their sum, and executed multiplications a second."""
    seconds = trace.step_seconds()
    total = sum(seconds) or 1.0
    return [(row, s, s / total, row.macs * row.density / s if s else 0.0) for row, s in zip(trace.rows, seconds, strict=True)]
