"""Properties that are made once, however many threads ask first."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

_making = RLock()


class _MadeOnce(Generic[T]):
    """A property that is kept in its owner's ``__dict__``, where later looks find it without coming here.

    ``functools.cached_property`` has had no lock since Python 3.12, and machine code is given addresses of what a property
    holds: there may never be a second one. Before that it had one lock for each property, which threads take in different
    orders where properties need one another; here there is one for all.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, owner: None, kind: type | None = None) -> _MadeOnce[T]: ...

    @overload
    def __get__(self, owner: object, kind: type | None = None) -> T: ...

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self
        with _making:
            made = vars(owner)
            if self._name not in made:
                made[self._name] = self._function(owner)
            return made[self._name]


made_once = _MadeOnce
"""Decorates what makes the value of a property."""


def _forget_threads() -> None:
    """A forked process has none of its parent's threads, whatever they make."""
    global _making
    _making = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
