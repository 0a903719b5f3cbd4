"""Threads over kernels that release the GIL."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TypeAlias, TypeVar

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
            raise self._errors[0]


Jobs: TypeAlias = "SimpleQueue[_Job | None]"


def _serve(jobs: Jobs) -> None:
    while (job := jobs.get()) is not None:
        job.help()


def _stop(jobs: Jobs, threads: Sequence[Thread]) -> None:
    for _ in threads:
        jobs.put(None)


class Workers:
    """The calling thread and ``count - 1`` others, shared by the runs of one model.

    The others start with the first job that needs them, and end when the workers are closed or forgotten. A job never waits
    for another one, so concurrent runs cannot block one another for good.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = Lock()
        self._jobs: Jobs | None = None
        self._ending: weakref.finalize | None = None

    def each(self, work: Callable[[int], object], parts: int) -> None:
        """Call ``work(0)`` ... ``work(parts - 1)``, spread over the threads, and wait for all of them."""
        if parts == 1 or self.count == 1:
            for part in range(parts):
                work(part)
            return
        job, jobs = _Job(work, parts), self._jobs or self._started()
        for _ in range(min(parts, self.count) - 1):
            jobs.put(job)
        job.help()
        job.wait()

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

    def _started(self) -> Jobs:
        with self._lock:
            if self._jobs is None:
                jobs: Jobs = SimpleQueue()
                names = [f"tersor {number}" for number in range(1, self.count)]
                threads = [Thread(target=_serve, args=(jobs,), name=name, daemon=True) for name in names]
                for thread in threads:
                    thread.start()
                self._ending = weakref.finalize(self, _stop, jobs, threads)
                self._jobs = jobs
            return self._jobs

    def close(self) -> None:
        """Stop the threads; a later job starts them again."""
        with self._lock:
            ending, self._jobs, self._ending = self._ending, None, None
        if ending is not None:
            ending()
