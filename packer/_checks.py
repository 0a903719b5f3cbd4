"""What a recipe's values may be, with messages that name the key and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any, TypeGuard

from ..format_spec.errors import RecipeError
from .prune import methods

PROFILES = ("paper", "compact", "max")
"""The profiles that files are written in."""


SETTINGS = ("bits", "init", "seed", "iterations", "feedback")
"""What a layer can set beside its pruning."""


def check_choice(key: str, value: object, allowed: Iterable[str]) -> None:
    """Raise :class:`RecipeError` unless ``value`` is one of the names ``allowed``."""
    if not isinstance(value, str) or value not in allowed:
        raise RecipeError(f"{key} = {shown(value)}: allowed are {listed(allowed)}")


def check_integer(key: str, value: object, low: int, high: int) -> int:
    """``value`` as Python's integer; raise :class:`RecipeError` unless it is one, or numpy's, from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise RecipeError(f"{key} = {shown(value)}: an integer from {low} to {high} is expected")
    return int(value)


def check_share(key: str, value: object) -> None:
    """Raise :class:`RecipeError` unless ``value`` is a number from 0 to 1."""
    if not is_number(value) or not 0 <= value <= 1:
        raise RecipeError(f"{key} = {shown(value)}: a number from 0 to 1 is expected")


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether ``value`` is an integer or a float that a finite float64 can stand for."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return isfinite(float(value))
    except OverflowError:
        return False


def shown(value: object) -> str:
    """``value`` for a message; Python itself refuses to write an integer of thousands of digits."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    return repr(value)


def listed(names: Iterable[str]) -> str:
    """Names for a message: ``'a', 'b', 'c'``."""
    return ", ".join(repr(name) for name in names)


def check_pruning(settings: Mapping[str, Any]) -> tuple[str, float] | None:
    """The one pruning method that ``settings`` asks for, with its parameter as a float."""
    unknown = sorted(set(settings) - set(methods()))
    if unknown:
        known = (*SETTINGS, *methods())
        raise RecipeError(f"a layer has no setting {unknown[0]!r}; there are {listed(known)}")
    if len(settings) > 1:
        raise RecipeError(f"a layer is pruned in one way, not by {listed(sorted(settings))} together: keep one of them")
    for name, value in settings.items():
        method = methods()[name]
        if not is_number(value) or not method.low <= value <= method.high:
            raise RecipeError(f"{name} = {shown(value)}: {method.allowed} is expected")
        return name, float(value)
    return None
