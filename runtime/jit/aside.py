"""A process that compiles kernels for this one, meanwhile.

Compiling is work for one thread, most of it in Python. The other process gets the names of kernels and the kinds of their
arguments through a pipe, one at a time, and answers with machine code. It ends when its pipe does, whatever happens to this
process. It is a convenience: where it cannot be started, or fails, this process compiles everything itself.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Thread
from typing import IO, TYPE_CHECKING, Any

from . import cache
from .link import Code

if TYPE_CHECKING:
    from .jitted import Jitted

PATIENCE = 2.0
"""Seconds that one waits for a kernel. Most take less from beginning to end."""

SCRIPT = "import pickle, sys; sys.path[:], name = pickle.load(sys.stdin.buffer); __import__(name, fromlist='*').serve()"


@dataclass(frozen=True)
class Task:
    """A kernel, by its module and name, for arguments of ``kinds``; ``file`` is the name of its code, see :mod:`.cache`."""

    file: str
    module: str
    kernel: str
    kinds: tuple[Hashable, ...]

    @classmethod
    def of(cls, kernel: Jitted, kinds: tuple[Hashable, ...]) -> Task:
        """The task of making ``kernel`` for arguments of ``kinds``."""
        made = kernel.py_func
        return cls(cache.name_of(made, kernel.flags, kinds), made.__module__, made.__name__, kinds)

    @property
    def call(self) -> tuple[Jitted, tuple[Any, ...]]:
        """The kernel, and arguments of the kinds."""
        from .jitted import example_of

        return getattr(import_module(self.module), self.kernel), tuple(map(example_of, self.kinds))


class Aside:
    """The other process. Its tasks, first to last, are those that nobody has taken."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._waiting = list(tasks)
        self._current: Task | None = None
        self._made: dict[str, Code] = {}
        self._ended = False
        self._changed = Condition()
        self._process = _start()
        Thread(target=self._follow, name="tersor compiling", daemon=True).start()

    def add(self, tasks: Iterable[Task]) -> bool:
        """More tasks, but for those that it has; ``False`` when the process has ended."""
        with self._changed:
            known = {*self._made, *(task.file for task in (self._current, *self._waiting) if task is not None)}
            self._waiting.extend(task for task in tasks if task.file not in known)
            return not self._ended

    def take(self, file: str) -> Code | None:
        """The code for a task, waited for if it is being made; ``None`` when the caller has to make it.

        A process that keeps its caller waiting has no processor, whatever it was promised: it is ended.
        """
        with self._changed:
            self._waiting = [task for task in self._waiting if task.file != file]
            if not self._changed.wait_for(lambda: not self._makes(file), PATIENCE):
                self._process.kill()
            return self._made.pop(file, None)

    def spare(self, file: str) -> Task | None:
        """The last task that nobody has taken, for who would have to wait for ``file`` otherwise."""
        with self._changed:
            return self._waiting.pop() if self._makes(file) and self._waiting else None

    def _makes(self, file: str) -> bool:
        return self._current is not None and self._current.file == file

    def _follow(self) -> None:
        """Hand out tasks until there are none or the process has gone."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        end = atexit.register(partial(_end, process, os.getpid()))
        with (
            contextlib.suppress(OSError, EOFError, pickle.UnpicklingError),
            process.stdin as requests,
            process.stdout as answers,
        ):
            _send(requests, (sys.path, __name__))
            while (task := self._next()) is not None:
                _send(requests, task)
                code = pickle.load(answers)
                if code is not None:
                    self._made[task.file] = code
        with self._changed:
            self._waiting.clear()
        self._next()
        process.wait()
        atexit.unregister(end)

    def _next(self) -> Task | None:
        with self._changed:
            self._current = self._waiting.pop(0) if self._waiting else None
            self._ended = self._current is None
            self._changed.notify_all()
            return self._current


def possible() -> bool:
    """Whether there is a second processor, and a Python interpreter to start: not inside of another program."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    frozen = getattr(sys, "frozen", False)
    return usable > 1 and not frozen and Path(sys.executable or "").name.lower().startswith("python")


def _start() -> subprocess.Popen[bytes]:
    """Start the process, cut off from the terminal.

    Raises:
        OSError: it cannot be started.
    """
    command = [sys.executable, "-I", *["-B"] * sys.dont_write_bytecode, "-c", SCRIPT]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _end(process: subprocess.Popen[bytes], parent: int) -> None:
    """End the process with its parent, not with one that the parent forked: that could wait for ever, for a thread that it
    does not have."""
    if os.getpid() == parent:
        process.kill()
        process.wait()


def _send(pipe: IO[bytes], value: Any) -> None:
    pickle.dump(value, pipe)
    pipe.flush()


def serve() -> None:
    """What the other process does: answer tasks until nobody is left to ask."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whoever prints does not answer
    tasks: SimpleQueue[Task] = SimpleQueue()
    Thread(target=_receive, args=(tasks,), daemon=True).start()
    while True:
        _send(answers, _compile(tasks.get()))


def _receive(tasks: SimpleQueue[Task]) -> None:
    """Read tasks; end the process with the pipe, also in the middle of a kernel."""
    with contextlib.suppress(OSError, EOFError):
        while True:
            tasks.put(pickle.load(sys.stdin.buffer))
    os._exit(0)


def _compile(task: Task) -> Code | None:
    """The code for a task; ``None`` when it is nothing to hand over, or fails: whoever needs the kernel will see the error."""
    from .compile import compile_for

    try:
        kernel, arguments = task.call
        made = compile_for(kernel.py_func, kernel.flags, arguments)
    except Exception:
        return None
    return made.code if made.everywhere else None
