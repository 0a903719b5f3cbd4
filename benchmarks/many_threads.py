"""Many Python threads running several models at once: every answer checked, and the growth of memory.

    python benchmarks/many_threads.py WORK_DIR

WORK_DIR is the folder of ``engine.py``. Each of 64 threads does 200 runs, over four models in turn, and compares every answer
with the one that a single thread got before, bit for bit. Memory is read after a tenth of the runs, when every arena exists,
and at the end. Exit code 1: a wrong answer, or growth beyond 5 %.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from engine import prepare, random_input

from tersor.runtime import Model, load

GROWTH = 1.05


def resident() -> int:
    """Bytes of memory that this process holds now (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


class Runs:
    """The runs of all threads, their mistakes, and the memory held after a tenth of them."""

    def __init__(self, models: list[Model], cases: list[list[tuple[dict[str, np.ndarray], np.ndarray]]], total: int) -> None:
        self.models, self.cases, self.total = models, cases, total
        self.done, self.wrong, self.early = 0, 0, 0
        self._lock = threading.Lock()

    def work(self, thread: int, count: int) -> None:
        """What one thread does."""
        choose = random.Random(thread)
        for i in range(count):
            number = (thread + i) % len(self.models)
            x, expected = choose.choice(self.cases[number])
            (found,) = self.models[number].run(x).values()
            with self._lock:
                self.done += 1
                self.wrong += not np.array_equal(found, expected)
                if self.done == self.total // 10:
                    self.early = resident()


def main() -> None:
    """Run, check, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--networks", nargs="+", default=["alexnet", "resnet50", "squeezenet", "squeezenet-unpruned"])
    parser.add_argument("--python-threads", type=int, default=64)
    parser.add_argument("--runs", type=int, default=200, help="of each thread")
    parser.add_argument("--threads", type=int, default=2, help="of each model")
    args = parser.parse_args()
    with ExitStack() as stack:
        models, cases = [], []
        for name in args.networks:
            files = prepare(name, args.work)
            model = stack.enter_context(load(files.packed, threads=args.threads))
            ((key, x),) = random_input(files.dense).items()
            inputs = [{key: x * np.float32(scale)} for scale in (1, 0.5, -1)]
            cases.append([(given, next(iter(model.run(given).values()))) for given in inputs])
            models.append(model)
        runs = Runs(models, cases, args.python_threads * args.runs)
        threads = [threading.Thread(target=runs.work, args=(t, args.runs)) for t in range(args.python_threads)]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds, late = time.perf_counter() - begin, resident()
    print(f"{runs.done:,} of {runs.total:,} runs in {seconds:.0f} s, {runs.wrong} wrong")
    print(f"memory: {runs.early / 1e6:,.0f} MB after a tenth of them, {late / 1e6:,.0f} MB at the end")
    if runs.wrong or runs.done != runs.total or late > GROWTH * runs.early:
        sys.exit(1)


if __name__ == "__main__":
    main()
