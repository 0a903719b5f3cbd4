"""First centroids drawn from the values (Forgy)."""

from __future__ import annotations

import numpy as np

from ._registry import initialisation


@initialisation("random")
def random_init(values: np.ndarray, k: int, seed: int) -> np.ndarray:
    """``k`` of the values, drawn by PCG64 from ``seed``, each at most once unless they are fewer than ``k``."""
    generator = np.random.Generator(np.random.PCG64(seed))
    places = generator.choice(len(values), k, replace=len(values) < k, shuffle=False)
    return values[np.sort(places)].astype(np.float64)
