"""How an initialisation of k-means joins the packer: one decorated function, found by walking the ``*_init`` files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeAlias

import numpy as np

from ...format_spec.discovery import import_modules

Initialise: TypeAlias = Callable[[np.ndarray, int, int], np.ndarray]
"""(values ascending (n,) float32, n >= 1; k >= 1; seed) -> first centroids ascending (k,) float64."""

_initialisations: dict[str, Initialise] = {}


def initialisation(name: str) -> Callable[[Initialise], Initialise]:
    """Register the decorated function as the initialisation that recipes call ``name``."""

    def register(function: Initialise) -> Initialise:
        if name in _initialisations:
            raise RuntimeError(f"initialisation {name} is registered twice: {function.__module__}")
        _initialisations[name] = function
        return function

    return register


@cache
def initialisations() -> Mapping[str, Initialise]:
    """Every initialisation, by name."""
    import_modules(__package__, lambda name: name.endswith("_init"))
    return dict(sorted(_initialisations.items()))
