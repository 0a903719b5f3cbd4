"""Importing whatever a folder holds, so that a new file joins a registry without being listed anywhere."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def import_modules(package: str | None, wanted: Callable[[str], bool] = _is_public) -> None:
    """Import the modules of ``package``, a caller's ``__package__``, whose names are ``wanted``: by default the public ones."""
    folder = importlib.import_module(package or "")
    for module in pkgutil.iter_modules(folder.__path__):
        if wanted(module.name):
            importlib.import_module(f"{folder.__name__}.{module.name}")
