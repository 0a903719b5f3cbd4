"""A plan, and the memory that its runs have, each its own."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from threading import Condition
from weakref import WeakSet

import numpy as np

from ...format_spec.errors import InputError
from ..orders.workers import Workers
from .check import NamedArrays, described
from .execute import Execution
from .plan import Plan

MOST_EXECUTIONS = 8
"""Arenas of a plan: as many threads run it at once, others wait. More would take memory, and no core would be free for them."""

LOOKED = 0.5
"""Seconds after which a thread that waits for an arena looks again: nobody gives back one that a signal took from a run."""


class Planned:
    """Runs of ``plan``, on ``workers`` unless they are given others."""

    def __init__(self, plan: Plan, workers: Workers) -> None:
        self.plan = plan
        self._workers = workers
        self._idle: deque[Execution] = deque()
        self.forget_threads()
        _known.add(self)

    def forget_threads(self) -> None:
        """Be without runs and threads that wait: those of a process stay with it when it forks."""
        self._changed, self._waiting = Condition(), 0
        self._made = WeakSet(self._idle)  # those that nobody has any more count no longer

    def check_out(self, out: NamedArrays) -> None:
        """Make sure that arrays have the types of the outputs of these names.

        Raises:
            InputError: one has not.
        """
        for name, array in out.items():
            slot = self.plan.slots[self.plan.outputs[name]]
            if slot.shape is not None and (array.shape, array.dtype) != (slot.shape, slot.dtype):
                raise InputError(f"out[{name!r}] is {described(array)}, the output is {slot.dtype.name}{list(slot.shape)}")

    def run(self, inputs: NamedArrays, out: NamedArrays, workers: Workers) -> dict[str, np.ndarray]:
        """Run the plan in memory that nobody else uses meanwhile, and that is kept unless the run fails; waits while every
        arena is in use."""
        execution = self._take()
        try:
            results = execution.run(inputs, out, workers)
            execution.prepare_repeat(self._workers)
        except BaseException:
            self._lose(execution)
            raise
        self._give_back(execution)
        return results

    def repeat(self, inputs: NamedArrays) -> dict[str, np.ndarray] | None:
        """As :meth:`run`, with all outputs in fresh arrays; ``None``, and nothing has been done, where the run is not like one
        before, or would have to wait."""
        try:
            execution = self._idle.pop()
        except IndexError:
            return None
        try:
            results = execution.repeat(inputs, self._workers)
        except BaseException:
            self._lose(execution)
            raise
        self._give_back(execution)
        return results

    def keep_idle(self, most: int) -> int:
        """Give back the memory of idle runs but for so many; how many are idle then."""
        while len(self._idle) > most:
            with suppress(IndexError):
                self._made.discard(self._idle.popleft())
        return len(self._idle)

    def _take(self) -> Execution:
        try:
            return self._idle.pop()
        except IndexError:
            return self._wait_for_one()

    def _wait_for_one(self) -> Execution:
        """One that another run gives back, or a new one while there may be more."""
        with self._changed:
            self._waiting += 1  # before looking: who gives one back from now on wakes this thread
            try:
                while len(self._made) >= MOST_EXECUTIONS:
                    with suppress(IndexError):
                        return self._idle.pop()
                    self._changed.wait(LOOKED)
                execution = Execution(self.plan)
                self._made.add(execution)
                return execution
            finally:
                self._waiting -= 1

    def _give_back(self, execution: Execution) -> None:
        self._idle.append(execution)
        if self._waiting:
            with self._changed:
                self._changed.notify()

    def _lose(self, execution: Execution) -> None:
        """Make room for another: this one's run has failed."""
        with self._changed:
            self._made.discard(execution)
            self._changed.notify()


_known: WeakSet[Planned] = WeakSet()


def _forget_threads() -> None:
    for planned in _known:
        planned.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
