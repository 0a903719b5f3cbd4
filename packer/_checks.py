"""What a recipe's values may be, with messages that name the key and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from ..format_spec.errors import RecipeError
from .prune import methods

PROFILES = ("paper", "compact", "max")
"""The profiles that files are written in."""


SETTINGS = ("bits", "init", "seed", "iterations", "feedback")
"""What a layer can set beside its pruning."""


def check_profile(profile: object) -> None:
    """Raise :class:`RecipeError` unless ``profile`` is one of :data:`PROFILES`."""
    if profile not in PROFILES:
        raise RecipeError(f"profile = {profile!r}: allowed are {listed(PROFILES)}")


def check_integer(key: str, value: object, low: int, high: int) -> None:
    """Raise :class:`RecipeError` unless ``value`` is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RecipeError(f"{key} = {value!r}: an integer from {low} to {high} is expected")


def check_share(key: str, value: object) -> None:
    """Raise :class:`RecipeError` unless ``value`` is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RecipeError(f"{key} = {value!r}: a number from 0 to 1 is expected")


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
        number = not isinstance(value, bool) and isinstance(value, int | float) and isfinite(value)
        if not number or not method.low <= value <= method.high:
            raise RecipeError(f"{name} = {value!r}: {method.allowed} is expected")
        return name, float(value)
    return None
