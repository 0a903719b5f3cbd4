"""The packer: prune, share, encode, account.

``pack`` and ``Recipe`` are looked up when first used, so that importing the package stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .packing import pack
    from .recipe import Layer, Recipe
    from .report import PackReport

__all__ = ["Layer", "PackReport", "Recipe", "pack"]

_MODULES = {"pack": "packing", "Layer": "recipe", "Recipe": "recipe", "PackReport": "report"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
