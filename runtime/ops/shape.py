"""Shape and size as tensors."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._shapes import by_view


@operator("Shape", infer=by_view)
def shape(data: np.ndarray, *, start: int = 0, end: int | None = None) -> np.ndarray:
    """The sizes of axes ``start`` to ``end`` (Python's rules), int64 (n,)."""
    return np.array(data.shape[start:end], np.int64)


@operator("Size", infer=by_view)
def size(data: np.ndarray) -> np.ndarray:
    """The number of elements, an int64 scalar."""
    return np.array(data.size, np.int64)
