"""Pooling over all spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._dtypes import accumulator
from ._registry import Shaped, operator
from ._shapes import Types, Values, check_rank, given, infers

if TYPE_CHECKING:
    from ..kernels.site import Site


def _types(types: Types, values: Values, **_: Any) -> Shaped:
    dtype, shape = given(types, 0)
    check_rank("a pooling's input", shape, 2, at_least=True)
    return dtype, (*shape[:2], *[1] * (len(shape) - 2))


def averages_planes(site: Site) -> bool:
    """Whether a site takes the mean of each plane of (N, C, \\*spatial): a GlobalAveragePool, or a ReduceMean over all spatial
    axes, two or more."""
    x, axes = site.type(0), site.array(1)
    if site.node.op_type != "ReduceMean" or x is None or axes is None:
        return site.node.op_type == "GlobalAveragePool"
    rank = len(x[1])
    return rank >= 4 and sorted(axes.reshape(-1) % rank) == [*range(2, rank)]


def _spatial(X: np.ndarray) -> tuple[int, ...]:
    return tuple(range(2, X.ndim))


@operator("GlobalAveragePool", infer=infers(_types))
def global_average_pool(X: np.ndarray) -> np.ndarray:
    """Mean over the spatial axes of (N, C, \\*spatial): (N, C, 1, ...)."""
    return X.mean(axis=_spatial(X), dtype=accumulator(X.dtype), keepdims=True).astype(X.dtype, copy=False)


@operator("GlobalMaxPool", infer=infers(_types))
def global_max_pool(X: np.ndarray) -> np.ndarray:
    """Maximum over the spatial axes of (N, C, \\*spatial): (N, C, 1, ...)."""
    return X.max(axis=_spatial(X), keepdims=True)


@operator("GlobalLpPool", infer=infers(_types))
def global_lp_pool(X: np.ndarray, *, p: int = 2) -> np.ndarray:
    """``p``-norm over the spatial axes of (N, C, \\*spatial): (N, C, 1, ...)."""
    powers = np.abs(X.astype(accumulator(X.dtype), copy=False)) ** p
    return (powers.sum(axis=_spatial(X), keepdims=True) ** (1 / p)).astype(X.dtype, copy=False)
