"""Inference engines side by side: each has a process of its own, and they take turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import numpy as np

from ..format_spec.errors import PlanError
from ._compare import relative_difference

WORKER = Path(__file__).with_name("_worker.py")


@dataclass(frozen=True)
class Contestant:
    """How to start an engine: its name, its model, the script that knows it, the interpreter, and environment variables."""

    engine: str
    model: Path
    script: Path = WORKER
    python: str = sys.executable
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Latency:
    """What was measured of one engine.

    ``median``, ``low`` and ``high`` are seconds a run: of the rounds' medians, the median, the smallest and the largest.
    ``load`` and ``first_run`` are seconds, in a process that has imported nothing yet; ``peak`` is its memory in bytes.
    ``difference`` is the largest difference from the outputs of the last engine of the contest, relative to the largest value.
    """

    median: float
    low: float
    high: float
    load: float
    first_run: float
    peak: int
    difference: float


class EngineStopped(PlanError):
    """An engine cannot do what it is asked; ``exit_code`` is that of its error where it has one."""

    def __init__(self, message: str, exit_code: int = PlanError.exit_code) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Engine:
    """A running engine; a context manager that ends it."""

    def __init__(self, contestant: Contestant, threads: int, inputs: Path) -> None:
        command = [
            contestant.python,
            str(contestant.script),
            contestant.engine,
            str(contestant.model),
            str(threads),
            str(inputs),
        ]
        variables = {**os.environ, **contestant.variables}
        self.name = contestant.engine
        self._model = contestant.model
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=variables,
            start_new_session=os.name == "posix",  # an interrupt is for this process, which then ends the other
        )
        try:
            self.ready = self._answer()
        except BaseException:
            self._end(at_once=True)
            raise

    def ask(self, **order: Any) -> Any:
        """Send one order and wait for the answer, see :func:`._worker.answer`.

        Raises:
            EngineStopped: the engine failed, or is gone.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is gone, which the answer says
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EngineStopped(f"{self._model}, run by {self.name}: the process ended with status {self._process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise EngineStopped(f"{self._model}, run by {self.name}: {reply['error']}", reply["exit_code"])
        return reply["answer"]

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end(at_once=kind is not None)

    def _end(self, *, at_once: bool) -> None:
        """End the process, ``at_once`` whatever it is doing."""
        if at_once:
            self._process.kill()
        self._process.communicate()


def compete(
    contestants: Sequence[Contestant], inputs: Mapping[str, np.ndarray], threads: int, rounds: int, round_seconds: float
) -> dict[str, Latency]:
    """Run the engines in turn: in each of ``rounds`` rounds each runs for about ``round_seconds`` while the others idle.

    Raises:
        EngineStopped: one of them could not run its model.
    """
    with TemporaryDirectory() as folder, ExitStack() as stack:
        given = Path(folder) / "inputs.npz"
        np.savez(given, *inputs.values(), np.array(list(inputs)))
        engines = [stack.enter_context(Engine(contestant, threads, given)) for contestant in contestants]
        differences = _differences(engines, Path(folder))
        once = [min(engine.ask(runs=2)) for engine in engines]
        found: list[list[float]] = [[] for _ in engines]
        for _ in range(rounds):
            for engine, seconds, medians in zip(engines, once, found, strict=True):
                medians.append(statistics.median(engine.ask(runs=max(2, round(round_seconds / seconds)))))
        return {
            engine.name: Latency(
                statistics.median(medians), min(medians), max(medians), **engine.ready, peak=engine.ask(), difference=difference
            )
            for engine, medians, difference in zip(engines, found, differences, strict=True)
        }


def _differences(engines: Sequence[Engine], folder: Path) -> list[float]:
    """Of each engine's outputs from the last one's, matched by position: names are an engine's own affair."""
    outputs = []
    for index, engine in enumerate(engines):
        path = folder / f"{index}.npz"
        engine.ask(save=str(path))
        with np.load(path) as saved:
            outputs.append([saved[name] for name in saved.files])
    return [max((relative_difference(a, b) for a, b in zip(found, outputs[-1], strict=True)), default=0.0) for found in outputs]
