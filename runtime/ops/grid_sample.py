"""Sampling at arbitrary coordinates."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers

_A = -0.75
"""Coefficient of the cubic kernel, as PyTorch has it."""


def _taps(x: np.ndarray, mode: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The (integer coordinate, weight) pairs that interpolate at ``x``."""
    if mode == "nearest":
        return [(np.rint(x).astype(np.int64), np.ones_like(x))]
    low = np.floor(x)
    t = x - low
    if mode == "linear":
        weights = [1 - t, t]
    else:
        far = (((_A * d - 5 * _A) * d + 8 * _A) * d - 4 * _A for d in (t + 1, 2 - t))
        near = (((_A + 2) * d - (_A + 3)) * d * d + 1 for d in (t, 1 - t))
        weights = [next(far), *near, next(far)]
    first = 0 if mode == "linear" else -1
    return [(low.astype(np.int64) + first + i, w) for i, w in enumerate(weights)]


def _reflect(taps: np.ndarray, size: int, align_corners: bool) -> np.ndarray:
    """Mirror indices into ``[0, size)``: about the first and last element, or about their outer edges."""
    period = 2 * (size - 1) if align_corners else 2 * size
    if period == 0:
        return np.zeros_like(taps)
    folded = np.mod(taps, period)
    return np.where(folded < size, folded, period - folded if align_corners else period - 1 - folded)


def interpolate(
    X: np.ndarray, coordinates: list[np.ndarray], *, mode: str, padding_mode: str, align_corners: bool = False
) -> np.ndarray:
    """Sample ``X`` (N, C, \\*spatial) at element coordinates, one float64 (N, \\*output) a spatial axis: (N, C, \\*output)."""
    output = coordinates[0].shape[1:]
    batch = np.arange(X.shape[0]).reshape(-1, *[1] * len(output))
    result = np.zeros((X.shape[0], *output, X.shape[1]))
    for corner in product(*(_taps(x, mode) for x in coordinates)):
        weight, index = np.ones_like(coordinates[0]), []
        for (tap, share), size in zip(corner, X.shape[2:], strict=True):
            inside = (tap >= 0) & (tap < size) if padding_mode == "zeros" else True
            weight = weight * share * inside
            mirrored = _reflect(tap, size, align_corners) if padding_mode == "reflection" else tap
            index.append(np.clip(mirrored, 0, size - 1))
        result += weight[..., None] * X[(batch, slice(None), *index)]
    return np.moveaxis(result, -1, 1).astype(X.dtype)


def _types(types: Types, values: Values, **_: Any) -> Shaped:
    dtype, shape = given(types, 0)
    return dtype, (*shape[:2], *given(types, 1)[1][1:-1])


@operator(
    "GridSample",
    infer=infers(_types),
    allowed={"mode": ("nearest", "linear", "cubic"), "padding_mode": ("zeros", "border", "reflection")},
)
def grid_sample(
    X: np.ndarray, grid: np.ndarray, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros"
) -> np.ndarray:
    """Sample ``X`` (N, C, \\*spatial) at ``grid`` (N, \\*output, axes): (N, C, \\*output).

    The grid holds coordinates, that of the last axis first. -1 and 1 are the centres of the first and last element if
    ``align_corners``, else their outer edges.
    """
    coordinates = []
    for axis, size in enumerate(X.shape[2:]):
        x = grid[..., -1 - axis].astype(np.float64)
        coordinates.append((x + 1) / 2 * (size - 1) if align_corners else ((x + 1) * size - 1) / 2)
    return interpolate(X, coordinates, mode=mode, padding_mode=padding_mode, align_corners=bool(align_corners))
