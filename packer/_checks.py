"""What a recipe's values may be, with messages that name the key and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable

from ..format_spec.errors import RecipeError

PROFILES = ("paper", "compact")
"""The profiles that this release writes."""

LATER_PROFILES = ("max",)
"""The profiles that the format names and a later release writes."""


def check_profile(profile: object) -> None:
    """Raise :class:`RecipeError` unless ``profile`` is one that this release writes."""
    if profile in LATER_PROFILES:
        raise RecipeError(f"profile = {profile!r} comes in a later release; this one writes {listed(PROFILES)}")
    if profile not in PROFILES:
        raise RecipeError(f"profile = {profile!r}: allowed are {listed(PROFILES)}")


def check_integer(key: str, value: object, low: int, high: int) -> None:
    """Raise :class:`RecipeError` unless ``value`` is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RecipeError(f"{key} = {value!r}: an integer from {low} to {high} is expected")


def listed(names: Iterable[str]) -> str:
    """Names for a message: ``'a', 'b', 'c'``."""
    return ", ".join(repr(name) for name in names)
