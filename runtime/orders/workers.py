"""Threads over kernels that release the GIL."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TypeAlias, TypeVar

import numpy as np

from .team import BUSY, CALLS, PROCESSOR, carry_out, follow, make_team, none_joined

AWAKE = 500e-6
"""Seconds that a thread looks for more work before it sleeps, or for others to end before it lets them have its processor."""

NO_MEMORY = "there is no memory left for a step of the model"

T = TypeVar("T")
R = TypeVar("R")


def physical_cores() -> int:
    """Physical cores that this process may use (hardware threads of one core count once)."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = {_core_of(cpu) for cpu in usable}
    return max(1, len(cores))


def _core_of(cpu: int) -> str:
    siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return siblings.read_text().strip()
    except OSError:
        return str(cpu)


@cache
def _patience() -> int:
    """How often a thread looks for work in :data:`AWAKE` seconds: processors pause for very different times."""
    team, joined, tried = make_team(), none_joined(), 1000
    seconds: list[float] = []
    follow(team, joined, 0, 1)
    for _ in range(10):  # the quickest: a thread may lose its processor meanwhile
        begin = time.perf_counter()
        follow(team, joined, 0, tried)
        seconds.append(time.perf_counter() - begin)
    return max(1, int(tried * AWAKE / min(seconds)))


class _Job:
    """Parts of one piece of work. Whoever is free takes the next one, the thread that waits for them included: a thread that
    wakes up late delays nobody."""

    def __init__(self, work: Callable[[int], object], parts: int) -> None:
        self._work, self._parts = work, parts
        self._open, self._finished = iter(range(parts)), count(1)
        self._done = Lock()
        self._done.acquire()
        self._errors: list[BaseException] = []

    def help(self) -> None:
        """Do parts until none is open."""
        for part in self._open:
            try:
                self._work(part)
            except BaseException as error:
                self._errors.append(error)
            if next(self._finished) == self._parts:
                self._done.release()

    def wait(self) -> None:
        """Return when every part has ended, or raise the first error of one."""
        self._done.acquire()
        if self._errors:
            error = self._errors[0]
            self._errors.clear()  # whose tracebacks hold this job, and with it the threads
            try:
                raise error
            finally:
                del error


class _Call:
    """A job for a thread that sleeps: to follow its team."""

    def help(self) -> None:
        """There is nothing else to do."""


Jobs: TypeAlias = "SimpleQueue[_Job | _Call | None]"


class _Helper:
    """A thread that does jobs, and after each follows its team for a while."""

    def __init__(self, jobs: Jobs, team: np.ndarray, name: str) -> None:
        self.asleep, self.left = True, -1
        self._joined = none_joined()
        self._thread = Thread(target=self._serve, args=(jobs, team), name=name, daemon=True)
        self._thread.start()

    def _serve(self, jobs: Jobs, team: np.ndarray) -> None:
        while (job := jobs.get()) is not None:
            self.asleep = False
            job.help()
            del job  # which holds what a run reads and writes, and a trace's the workers: they would never be forgotten
            self._follow(jobs, team)
            self.asleep = True

    def _follow(self, jobs: Jobs, team: np.ndarray) -> None:
        """Follow the team, until it has nothing to do or there is a job."""
        while True:
            calls = int(team[CALLS])
            if not jobs.empty():
                return
            if follow(team, self._joined, calls, _patience()):
                if not self.leave(int(team[PROCESSOR])):  # it would give up again at once, and again
                    return
            else:
                self.asleep = True
                if team[BUSY] == 0:
                    return
                self.asleep = False  # who leads since looked before, and wakes nobody

    def leave(self, processor: int) -> bool:
        """Keep the thread off the processor of who leads, where it would wait for that one; ``False`` when that cannot be done:
        it has no other, or may not choose.

        Schedulers wake threads where they ran, or where who wakes them does, when no processor is idle.
        """
        number, self.left = self._thread.native_id, processor
        if not hasattr(os, "sched_setaffinity") or number is None:
            return False
        try:
            others = os.sched_getaffinity(os.getpid()) - {processor}
            if others:
                os.sched_setaffinity(number, others)
        except OSError:  # what is usable may change meanwhile, and some systems let nobody choose
            return False
        return bool(others)


@dataclass(frozen=True, eq=False)
class _Crew:
    """Helpers, the jobs that they wait for, and the team that they follow."""

    jobs: Jobs
    team: np.ndarray
    helpers: tuple[_Helper, ...]
    calls: Iterator[int] = field(default_factory=lambda: count(1))
    patience: int = 1
    carries_out: Callable[[np.ndarray, np.ndarray, int], bool] = field(default_factory=carry_out.once)

    @classmethod
    def of(cls, size: int) -> _Crew:
        """``size`` new threads, or as many as the system gives: fewer do the same work."""
        jobs, team = SimpleQueue(), make_team()
        helpers: list[_Helper] = []
        with suppress(RuntimeError):
            helpers.extend(_Helper(jobs, team, f"tersor {number}") for number in range(1, size + 1))
        return cls(jobs, team, tuple(helpers), patience=_patience() if helpers else 1)

    def help(self, job: _Job, wanted: int) -> None:
        """Let at most ``wanted`` helpers do parts of a job."""
        for _ in range(min(wanted, len(self.helpers))):
            self.jobs.put(job)
        self.team[CALLS] = next(self.calls)

    def carry_out(self, orders: np.ndarray, *, shared: bool) -> None:
        """Carry out orders, if any is ``shared`` on all threads that are free.

        Raises:
            MemoryError: the system has none for one of them.
        """
        if shared:
            for helper in self.helpers:
                if helper.asleep:
                    self._wake()
                    break
        if not self.carries_out(self.team, orders, self.patience):
            raise MemoryError(NO_MEMORY)

    def _wake(self) -> None:
        """Have the helpers follow, of which at least one is asleep."""
        asleep = [helper for helper in self.helpers if helper.asleep]
        processor = int(self.team[PROCESSOR])
        for helper in asleep:
            if helper.left != processor:
                helper.leave(processor)
        for _ in range(len(asleep) - self.jobs.qsize()):
            self.jobs.put(_Call())

    def stop(self) -> None:
        """End the threads."""
        for _ in self.helpers:
            self.jobs.put(None)
        self.team[CALLS] = next(self.calls)


class Workers:
    """The calling thread and ``count - 1`` others, shared by the runs of one model.

    The others start with the first job that needs them, and end when the workers are closed or forgotten; a forked process
    starts its own. A job never waits for another one, so concurrent runs cannot block one another for good.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = Lock()
        self._crew: _Crew | None = None
        self._ending: weakref.finalize | None = None
        _known.add(self)

    def each(self, work: Callable[[int], object], parts: int) -> None:
        """Call ``work(0)`` ... ``work(parts - 1)``, spread over the threads, and wait for all of them."""
        if parts < 2 or self.count == 1:
            for part in range(parts):
                work(part)
            return
        job, crew = _Job(work, parts), self._crew or self._started()
        crew.help(job, parts - 1)
        job.help()
        job.wait()

    def carry_out(self, orders: np.ndarray, steps: Sequence[tuple[int, int]] = (), *, shared: bool = True) -> None:
        """Carry out ``orders`` (n, ORDER) int64 in turn, those that are shared on as many of the threads as are free.

        ``steps`` says which steps of a plan they are: (step, end of its orders); ``shared`` is whether any is shared.

        Raises:
            MemoryError: the system has none for one of them.
        """
        (self._crew or self._started()).carry_out(orders, shared=shared)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """``[function(item) for item in items]``, the items spread over the threads."""
        waiting = list(items)
        results: dict[int, R] = {}

        def work(number: int) -> None:
            results[number] = function(waiting[number])

        if waiting:
            self.each(work, len(waiting))
        return [results[number] for number in range(len(waiting))]

    def finished(self, step: int) -> None:
        """Called after each step of a run, for workers that care."""

    def _started(self) -> _Crew:
        with self._lock:
            if self._crew is None:
                self._crew = _Crew.of(self.count - 1)
                self._ending = weakref.finalize(self, self._crew.stop)
            return self._crew

    def close(self) -> None:
        """Stop the threads; a later job starts them again."""
        with self._lock:
            ending, self._crew, self._ending = self._ending, None, None
        if ending is not None:
            ending()

    def forget(self) -> None:
        """Be without threads: those of a process stay with it when it forks."""
        if self._ending is not None:
            self._ending.detach()
        self._lock, self._crew, self._ending = Lock(), None, None


_known: weakref.WeakSet[Workers] = weakref.WeakSet()


def _forget_threads() -> None:
    """A forked process has none of its parent's threads: nobody would take their jobs, which would pile up."""
    for workers in _known:
        workers.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
