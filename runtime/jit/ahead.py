"""Kernels that will be needed: when the first of them has to be compiled, another process begins with the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from .jitted import kind_of

if TYPE_CHECKING:
    from .aside import Aside, Task
    from .jitted import Jitted
    from .link import Code

_expected: list[Callable[[], Iterable[Task]]] = []
_aside: Aside | None = None


@contextmanager
def expecting(needed: Callable[[], Iterable[Task]], threads: int) -> Iterator[None]:
    """Meanwhile, if a kernel has to be compiled, begin with others that are ``needed``. Who asks for one thread gets one."""
    if threads > 1:
        _expected.append(needed)
    try:
        yield
    finally:
        _expected[:] = (other for other in _expected if other is not needed)


def made_aside(file: str) -> Code | None:
    """The code called ``file`` if another process makes it; only for one thread at a time."""
    if _expected:
        expected = _expected.copy()
        _expected.clear()
        _begin(file, expected)
    if _aside is None:
        return None
    while (task := _aside.spare(file)) is not None:
        kernel, arguments = task.call
        kernel.bind(*arguments)
    return _aside.take(file)


def foresee(kernel: Jitted, arguments: tuple[Any, ...]) -> None:
    """Have the other process, while there is one, make a kernel that will be called with arguments like these."""
    if _aside is not None and not kernel.has(kinds := tuple(map(kind_of, arguments))):
        from .aside import Task

        _aside.add([Task.of(kernel, kinds)])


def _begin(file: str, expected: Iterable[Callable[[], Iterable[Task]]]) -> None:
    from .aside import Aside, possible

    global _aside
    if not possible():
        return
    tasks = [task for needed in expected for task in needed() if task.file != file]
    if tasks and (_aside is None or not _aside.add(tasks)):
        with suppress(OSError):
            _aside = Aside(tasks)


def _forget() -> None:
    """A forked process cannot hear what its parent's answers."""
    global _aside
    _aside = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
