"""Local response normalisation across channels."""

from __future__ import annotations

import numpy as np

from ._dtypes import accumulator
from ._padding import pad_axes
from ._registry import operator
from ._shapes import like_input


@operator("LRN", infer=like_input)
def lrn(X: np.ndarray, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> np.ndarray:
    """``X`` (N, C, ...) over ``(bias + alpha / size * s) ** beta``, ``s`` the sum of squares of ``size`` channels around."""
    squares = np.square(X.astype(accumulator(X.dtype), copy=False))
    before = (size - 1) // 2
    padded = pad_axes(squares, [(0, 0), (before, size - 1 - before), *[(0, 0)] * (X.ndim - 2)])
    sums = sum(padded[:, i : i + X.shape[1]] for i in range(size))
    return (X / (bias + alpha / size * sums) ** beta).astype(X.dtype, copy=False)
