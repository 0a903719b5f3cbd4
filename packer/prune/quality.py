"""Keep the weights whose magnitude exceeds a multiple of the layer's standard deviation."""

from __future__ import annotations

import numpy as np

from ._registry import pruning
from .threshold import threshold_mask

_CHUNK = 1 << 20


@pruning("quality", low=0)
def quality_mask(weights: np.ndarray, quality: float) -> np.ndarray:
    """Keep ``|w| > quality * std(w)``; the (population) standard deviation is over the whole tensor, zeros included."""
    return threshold_mask(weights, quality * standard_deviation(weights))


def standard_deviation(weights: np.ndarray) -> float:
    """The population standard deviation in float64, summed chunk by chunk in index order; 0 for an empty tensor."""
    if weights.size == 0:
        return 0.0
    chunks = np.array_split(weights.reshape(-1), -(-weights.size // _CHUNK))
    mean = sum(float(np.sum(chunk, dtype=np.float64)) for chunk in chunks) / weights.size
    squares = sum(float(np.sum(np.square(np.subtract(chunk, mean, dtype=np.float64)))) for chunk in chunks)
    return float(np.sqrt(squares / weights.size))
