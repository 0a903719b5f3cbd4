"""First centroids spread evenly between the smallest and the largest value (the paper's best choice)."""

from __future__ import annotations

import numpy as np

from ._registry import initialisation


@initialisation("linear")
def linear_init(values: np.ndarray, k: int, seed: int) -> np.ndarray:
    """``k`` points from the minimum to the maximum, both included (``k == 1``: the middle); ``seed`` is unused."""
    low, high = float(values[0]), float(values[-1])
    if k == 1:
        return np.array([(low + high) / 2])
    return np.linspace(low, high, k)
