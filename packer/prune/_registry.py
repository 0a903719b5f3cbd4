"""How a pruning method joins the packer: one decorated function, found by walking this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import TypeAlias

import numpy as np

from ...format_spec.discovery import import_modules

Mask: TypeAlias = Callable[[np.ndarray, float], np.ndarray]
"""(finite weights of any shape, parameter) -> bool array of the same shape, true where a weight stays; never true at a zero."""


@dataclass(frozen=True)
class Method:
    """A pruning method: the keyword that names it in a recipe, and its parameter's range, ends included."""

    name: str
    mask: Mask
    low: float
    high: float

    @property
    def allowed(self) -> str:
        """The parameter's range, in words."""
        return f"a number from {self.low:g} to {self.high:g}" if self.high < inf else f"a number of at least {self.low:g}"


_methods: dict[str, Method] = {}


def pruning(name: str, *, low: float, high: float = inf) -> Callable[[Mask], Mask]:
    """Register the decorated function as the pruning method that recipes call ``name``."""

    def register(mask: Mask) -> Mask:
        if name in _methods:
            raise RuntimeError(f"pruning method {name} is registered twice: {mask.__module__}")
        _methods[name] = Method(name, mask, low, high)
        return mask

    return register


@cache
def methods() -> Mapping[str, Method]:
    """Every pruning method, by name."""
    import_modules(__package__)
    return dict(sorted(_methods.items()))
