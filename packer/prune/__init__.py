"""Magnitude pruning: which weights of a tensor stay."""

from __future__ import annotations

import numpy as np

from ...format_spec.errors import RecipeError
from ._registry import Method, methods

__all__ = ["Method", "check_finite", "methods", "prune"]


def prune(name: str, weights: np.ndarray, pruning: tuple[str, float]) -> np.ndarray:
    """The mask (bool, shape of ``weights``) that pruning method ``pruning[0]`` with parameter ``pruning[1]`` leaves.

    ``weights`` is a float array, never modified; ``name`` is the tensor's, for messages.

    Raises:
        RecipeError: the weights hold NaN or infinity.
    """
    method, parameter = pruning
    check_finite(name, weights)
    return methods()[method].mask(weights, parameter)


def check_finite(name: str, weights: np.ndarray) -> None:
    """Raise :class:`RecipeError` when a weight of tensor ``name`` is NaN or infinite."""
    if weights.size and not (np.isfinite(weights.min()) and np.isfinite(weights.max())):
        bad = int(np.flatnonzero(~np.isfinite(weights.reshape(-1)))[0])
        raise RecipeError(
            f"tensor {name!r} holds {weights.reshape(-1)[bad]} at index {bad}: it cannot be pruned or shared; "
            f"keep it as it is (pack --keep {name!r}; in a recipe, an empty rule for it), or repair the model"
        )
