"""Kernels: Python functions that become machine code for the types they are called with. Owns Numba's flags.

Numba compiles; what it makes is kept as plain object code (:mod:`.cache`), which a later process links and calls without
importing Numba (:mod:`.link`). That import, and what Numba sets up for its first kernel, take longer than everything else
between the start of a process and a model's first answer.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any

import numpy as np

from . import cache

FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}

C_ORDER, F_ORDER, ALIGNED, WRITEABLE = 0x0001, 0x0002, 0x0100, 0x0400
"""Bits of an array's flags, as numpy numbers them."""

IN_C_ORDER, ELSE = C_ORDER | ALIGNED | WRITEABLE, F_ORDER | ALIGNED | WRITEABLE
"""Which bits are part of an array's type: Fortran order only when C order does not hold."""

_preparing = RLock()

if hasattr(os, "register_at_fork"):  # a process that forked amid it would find the compiler's locks held, its work half done
    os.register_at_fork(before=_preparing.acquire, after_in_parent=_preparing.release, after_in_child=_preparing.release)


class Jitted:
    """A function and the machine code made of it so far, by the types of its arguments.

    Call it like the function. Inside other kernels it is an ordinary Numba function.
    """

    def __init__(self, function: Callable[..., Any], flags: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.py_func = function
        self.flags = flags
        self._entries: dict[Hashable, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        return self.bind(*arguments)(*arguments)

    def bind(self, *arguments: Any) -> Callable[..., Any]:
        """The machine code for arguments of the types of these; it must be called with no others."""
        kinds = tuple(map(kind_of, arguments))
        return self._entries.get(kinds) or self._prepare(kinds, arguments)

    def once(self) -> Callable[..., Any]:
        """A callable for arguments that always have the types of the first ones: they are looked at once, which takes longer
        than a small layer."""
        entry: Callable[..., Any] | None = None

        def call(*arguments: Any) -> Any:
            nonlocal entry
            entry = entry or self.bind(*arguments)
            return entry(*arguments)

        return call

    def _prepare(self, kinds: tuple[Hashable, ...], arguments: tuple[Any, ...]) -> Callable[..., Any]:
        with _preparing:
            if kinds not in self._entries:
                name = cache.name_of(self.py_func, self.flags, kinds)
                made = self._stored(name) or self._compiled(name, arguments)
                self._entries.setdefault(kinds, made)  # the first one stays: there may be addresses of code in it
            return self._entries[kinds]

    def _stored(self, name: str) -> Callable[..., Any] | None:
        code = cache.read(name)
        if code is None:
            return None
        from .link import link

        return link(code, self.py_func)

    def _compiled(self, name: str, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        from .ahead import made_aside
        from .link import link

        code = made_aside(name)
        if code is not None and (entry := link(code, self.py_func)) is not None:
            cache.write(name, code)
            return entry
        from .compile import compile_for, linked_by_numba

        made = compile_for(self.py_func, self.flags, arguments)
        if made.everywhere:
            cache.write(name, made.code)
        entry = link(made.code, self.py_func, made.environment)
        return entry or linked_by_numba(self.py_func, self.flags, arguments)

    def has(self, kinds: tuple[Hashable, ...]) -> bool:
        """Whether there is machine code for arguments of these kinds, in this process or kept."""
        return kinds in self._entries or cache.has(cache.name_of(self.py_func, self.flags, kinds))

    @functools.cached_property
    def inner(self) -> Any:
        """The function as other kernels call it: one of Numba's own."""
        from .compile import inner_function

        return inner_function(self.py_func, self.flags)

    @property
    def targetoptions(self) -> dict[str, Any]:
        """What Numba asks a function that it may inline."""
        return self.inner.targetoptions

    @property
    def _numba_type_(self) -> Any:
        """The type that Numba sees where a kernel calls this one."""
        return self.inner._numba_type_


def jit(function: Callable[..., Any] | None = None, **extra: Any) -> Any:
    """Make a function of a module a kernel, which runs without the GIL.

    ``extra`` adds Numba flags (``inline="always"``, ``fastmath=...``).
    """
    if function is None:
        return lambda decorated: jit(decorated, **extra)
    return Jitted(function, {**FLAGS, **extra})


def kind_of(value: Any) -> Hashable:
    """What decides the type of an argument: as fine as Numba's types, or finer."""
    if isinstance(value, np.ndarray):
        flags = value.flags.num
        return value.dtype, value.ndim, flags & (IN_C_ORDER if flags & C_ORDER else ELSE)
    if isinstance(value, tuple):
        return tuple(map(kind_of, value))
    return type(value)


def example_of(kind: Hashable) -> Any:
    """A value of a kind."""
    if isinstance(kind, type):
        return kind()
    assert isinstance(kind, tuple)
    if not kind or not isinstance(kind[0], np.dtype):
        return tuple(map(example_of, kind))
    dtype, dimensions, flags = kind
    array = np.zeros((2,) * dimensions, dtype, order="F" if flags & F_ORDER else "C")
    array.flags.writeable = bool(flags & WRITEABLE)
    return array
