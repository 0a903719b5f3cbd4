"""Transposition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._registry import operator
from ._shapes import by_view


@operator("Transpose", infer=by_view)
def transpose(data: np.ndarray, *, perm: Sequence[int] | None = None) -> np.ndarray:
    """``data`` with its axes in the order ``perm`` (default: reversed)."""
    return np.transpose(data, perm)
