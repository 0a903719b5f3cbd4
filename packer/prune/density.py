"""Keep a fixed share of the weights: those of largest magnitude."""

from __future__ import annotations

import numpy as np

from ...format_spec.tensors import bit_patterns
from ._registry import pruning


@pruning("density", low=0, high=1)
def density_mask(weights: np.ndarray, density: float) -> np.ndarray:
    """Keep the ``round(density * size)`` largest ``|w|`` (halves round to even); of equals, those of lowest index.

    Zeros of either sign are never kept, so a tensor that has too few nonzeros keeps fewer.
    """
    keep = round(density * weights.size)
    if keep == 0:
        return np.zeros(weights.shape, bool)
    # Magnitudes of finite floats order as their bit patterns do, and integers partition faster.
    magnitudes = bit_patterns(np.abs(weights.reshape(-1)))
    cut = np.partition(magnitudes, weights.size - keep)[weights.size - keep]
    if cut == 0:
        return (magnitudes != 0).reshape(weights.shape)
    mask = magnitudes > cut
    ties = np.flatnonzero(magnitudes == cut)
    mask[ties[: keep - int(np.count_nonzero(mask))]] = True
    return mask.reshape(weights.shape)
