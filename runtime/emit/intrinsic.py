"""Numba's parts for writing intrinsics, imported when a kernel is compiled: kernels from the cache do without them."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any


class _Module:
    """A module that is imported when something of it is used for the first time."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


types: Any = _Module("numba.core.types")
cgutils: Any = _Module("numba.core.cgutils")
arrayobj: Any = _Module("numba.np.arrayobj")


class _Intrinsic:
    """A function of a typing context and types, as :func:`numba.extending.intrinsic` takes it, known to Numba when it asks."""

    def __init__(self, definition: Callable[..., Any]) -> None:
        self.__doc__ = definition.__doc__
        self._definition = definition

    @functools.cached_property
    def _numba_type_(self) -> Any:
        from numba.core.registry import cpu_target
        from numba.extending import intrinsic

        context: Any = cpu_target.typing_context
        registered = intrinsic(self._definition)
        context.refresh()
        return context.resolve_value_type(registered)


intrinsic: Any = _Intrinsic
"""Decorator. Calls have one argument less than the definition, which a type checker cannot know."""
