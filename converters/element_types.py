"""The error for elements that a graph cannot hold."""

from __future__ import annotations

from collections.abc import Iterable

from ..format_spec.errors import UnsupportedOperator


def unsupported_type(what: str, name: str, supported: Iterable[str]) -> UnsupportedOperator:
    """Say that ``what`` has element type ``name``, which is none of ``supported``, and what to do where that loses nothing."""
    advice = "; float32 holds every bfloat16 exactly: cast to it first" if name in ("bfloat16", "bf16") else ""
    return UnsupportedOperator(f"{what} has element type {name}; supported: {', '.join(supported)}{advice}")
