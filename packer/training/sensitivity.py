"""How much each layer minds pruning: the scan that per-layer densities are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import nn

from ...format_spec.errors import RecipeError
from ._slots import WEIGHTS, Slot, slots
from .mask import mask_by_magnitude
from .shared import SharedValues

DENSITIES = (0.8, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03)
"""Densities that are tried."""


def scan(
    module: nn.Module,
    evaluate: Callable[[nn.Module], float],
    names: Iterable[str] = WEIGHTS,
    densities: Sequence[float] = DENSITIES,
) -> dict[str, dict[float, float]]:
    """Error of the network with one layer pruned by magnitude at a time: ``{parameter: {density: error}}``.

    ``evaluate`` takes the module and returns its error (any number that is better when smaller). Nothing is retrained and the
    module is as before afterwards.

    Raises:
        RecipeError: a pattern fits no parameter, or one that is shared.
    """
    chosen = slots(module, names)
    for slot in chosen:
        if slot.find(SharedValues) is not None:
            raise RecipeError(f"{slot.name!r} is shared, its weights are not what counts: scan before share, or unwrap it")
    return {slot.name: {d: _error_at(slot, d, lambda: evaluate(module)) for d in densities} for slot in chosen}


def choose_densities(found: Mapping[str, Mapping[float, float]], limit: float) -> dict[str, float]:
    """The smallest density of each layer whose error, alone, is at most ``limit``; 1 when there is none.

    Raises:
        RecipeError: a layer has no measurements.
    """
    if not all(found.values()):
        raise RecipeError("a layer of the scan has no measurements: give at least one density")
    return {name: min((d for d, error in errors.items() if error <= limit), default=1.0) for name, errors in found.items()}


def _error_at(slot: Slot, density: float, evaluate: Callable[[], float]) -> float:
    original = slot.original.detach().clone()
    mask = mask_by_magnitude(slot, ("density", density))
    try:
        slot.original.data.mul_(mask)
        return evaluate()
    finally:
        slot.original.data.copy_(original)
