"""Clip."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._shapes import like_input


@operator("Clip", infer=like_input)
def clip(X: np.ndarray, low: np.ndarray | None = None, high: np.ndarray | None = None) -> np.ndarray:
    """``X`` limited to [``low``, ``high``] (scalars of its type); ``high`` wins where they cross."""
    raised = X if low is None else np.maximum(X, low)
    return raised if high is None else np.minimum(raised, high)
