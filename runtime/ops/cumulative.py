"""Cumulative sum and product."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._shapes import like_input, positive_axis


def _accumulate(combine: np.ufunc, X: np.ndarray, axis: np.ndarray, exclusive: int, reverse: int) -> np.ndarray:
    along = positive_axis(int(axis.reshape(())), X.ndim)
    ordered = np.flip(X, along) if reverse else X
    if exclusive:
        first = np.full_like(ordered.take([0] if X.shape[along] else [], along), combine.identity)
        ordered = np.concatenate([first, ordered.take(np.arange(X.shape[along] - 1), along)], along)
    result = combine.accumulate(ordered, axis=along, dtype=X.dtype)
    return np.flip(result, along) if reverse else result


@operator("CumSum", infer=like_input)
def cum_sum(X: np.ndarray, axis: np.ndarray, *, exclusive: int = 0, reverse: int = 0) -> np.ndarray:
    """Sum of the elements up to each along ``axis``: without itself if ``exclusive``, from the end if ``reverse``."""
    return _accumulate(np.add, X, axis, exclusive, reverse)


@operator("CumProd", infer=like_input)
def cum_prod(X: np.ndarray, axis: np.ndarray, *, exclusive: int = 0, reverse: int = 0) -> np.ndarray:
    """Product of the elements up to each along ``axis``: without itself if ``exclusive``, from the end if ``reverse``."""
    return _accumulate(np.multiply, X, axis, exclusive, reverse)
