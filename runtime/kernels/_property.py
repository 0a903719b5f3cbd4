"""Properties that are made once, however many threads ask first."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from threading import RLock
from typing import Any, TypeVar

T = TypeVar("T")

_making = RLock()


def made_once(function: Callable[[Any], T]) -> cached_property[T]:
    """As ``functools.cached_property``, with a lock, which that has not had since Python 3.12: machine code is given addresses
    of what a property holds, so there may never be a second one."""
    name = function.__name__

    @wraps(function)
    def make(owner: Any) -> T:
        with _making:
            made = vars(owner)
            if name not in made:
                made[name] = function(owner)
            return made[name]

    return cached_property(make)
