"""Keep the weights whose magnitude exceeds a threshold."""

from __future__ import annotations

import numpy as np

from ._registry import pruning


@pruning("threshold", low=0)
def threshold_mask(weights: np.ndarray, threshold: float) -> np.ndarray:
    """Keep ``|w| > threshold``, compared in float64 whatever the weights' type."""
    limit = largest_not_above(threshold, weights.dtype)
    return np.abs(weights) > limit


def largest_not_above(value: float, dtype: np.dtype) -> np.floating:
    """The largest number of type ``dtype`` that is at most ``value`` (``value >= 0``): comparing with it is exact."""
    top = np.finfo(dtype).max
    if value >= float(top):
        return top
    rounded = dtype.type(value)
    return rounded if float(rounded) <= value else np.nextafter(rounded, dtype.type(0))
