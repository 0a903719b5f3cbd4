"""Local response normalisation across channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.errors import PlanError
from ._dtypes import accumulator
from ._padding import pad_axes
from ._registry import Shaped, lowering, operator
from ._shapes import Types, Values, check_rank, given, infers

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


def _types(types: Types, values: Values, *, size: int, **_: Any) -> Shaped:
    found = given(types, 0)
    check_rank("the input", found[1], 2, at_least=True)
    if size < 1:
        raise PlanError(f"size must be at least 1, not {size}")
    return found


@operator("LRN", infer=infers(_types))
def lrn(X: np.ndarray, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> np.ndarray:
    """``X`` (N, C, ...) over ``(bias + alpha / size * s) ** beta``, ``s`` the sum of squares of ``size`` channels around."""
    squares = np.square(X.astype(accumulator(X.dtype), copy=False))
    channels = X.shape[1]
    before, after = min((size - 1) // 2, channels), min(size // 2, channels)
    padded = pad_axes(squares, [(0, 0), (before, after), *[(0, 0)] * (X.ndim - 2)])
    sums = sum(padded[:, i : i + channels] for i in range(before + after + 1))
    return (X / (bias + alpha / size * sums) ** beta).astype(X.dtype, copy=False)


@lowering("LRN", kernel="runs of positions")
def lower_normalization(site: Site) -> Kernel | None:
    """Normalise a run of positions at a time."""
    from ..kernels.lrn import lower_lrn

    return lower_lrn(site)
