"""Threads over kernels that release the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock


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


class Workers:
    """The calling thread and ``count - 1`` others, shared by the runs of one model.

    The others start with the first job that needs them. A job never waits for another one, so concurrent runs cannot
    block one another for good.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None

    def each(self, work: Callable[[int], object], parts: int) -> None:
        """Call ``work(0)`` ... ``work(parts - 1)``, spread over the threads, and wait for all of them."""
        if parts == 1 or self.count == 1:
            for part in range(parts):
                work(part)
            return
        pool = self._started()
        others = [pool.submit(work, part) for part in range(1, parts)]
        try:
            work(0)
        finally:
            for other in others:
                other.result()

    def finished(self, step: int) -> None:
        """Called after each step of a run, for workers that care."""

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.count - 1, thread_name_prefix="tersor")
            return self._pool

    def close(self) -> None:
        """Stop the threads; a later job starts them again."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()
