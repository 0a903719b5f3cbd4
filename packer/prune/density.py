"""Keep a fixed share of the weights: those of largest magnitude."""

from __future__ import annotations

import numpy as np

from ...format_spec.tensors import bit_patterns
from ._registry import pruning

CHUNK = 1 << 20
"""Weights looked at at a time: a large tensor's magnitudes are not held beside it."""


@pruning("density", low=0, high=1)
def density_mask(weights: np.ndarray, density: float) -> np.ndarray:
    """Keep the ``round(density * size)`` largest ``|w|`` (halves round to even); of equals, those of lowest index.

    Zeros of either sign are never kept, so a tensor that has too few nonzeros keeps fewer.
    """
    keep = round(density * weights.size)
    mask = np.zeros(weights.size, bool)
    if keep == 0:
        return mask.reshape(weights.shape)
    flat = weights.reshape(-1)
    cut = _smallest_kept(flat, keep)
    chunks = [slice(start, start + CHUNK) for start in range(0, weights.size, CHUNK)]
    for chunk in chunks:
        mask[chunk] = _magnitudes(flat[chunk]) > cut
    left = keep - int(np.count_nonzero(mask)) if cut else 0
    for chunk in chunks:
        if left:
            ties = np.flatnonzero(_magnitudes(flat[chunk]) == cut)[:left]
            mask[chunk][ties] = True
            left -= len(ties)
    return mask.reshape(weights.shape)


def _magnitudes(weights: np.ndarray) -> np.ndarray:
    """``|w|`` as bit patterns: those of finite floats order as the numbers do, and integers partition faster."""
    return bit_patterns(np.abs(weights))


def _smallest_kept(weights: np.ndarray, keep: int) -> np.unsignedinteger:
    """The magnitude that is ``keep``-th from the top."""
    magnitudes = _magnitudes(weights)
    magnitudes.partition(len(weights) - keep)
    return magnitudes[len(weights) - keep]
