"""Builders that the runtime's tests share."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TypeAlias

import numpy as np
import pytest

from tersor.format_spec.tensors import Order, SharedTensor, to_scan

Share: TypeAlias = Callable[..., SharedTensor]


def share_values(
    array: np.ndarray, row_axes: tuple[int, ...], order: Order, code: type, *, sparse: bool = True
) -> SharedTensor:
    codebook = np.unique(array[array != 0]) if sparse else np.unique(array)
    flat = to_scan(array, row_axes, order)
    rows = prod(array.shape[a] for a in row_axes)
    majors = rows if order == "rows" else array.size // max(1, rows)
    if not sparse:
        codes = np.searchsorted(codebook, flat).astype(code)
        return SharedTensor(array.dtype, array.shape, row_axes, order, None, None, codes, codebook)
    grid = flat.reshape(majors, -1) if majors else flat.reshape(0, 0)
    major, minor = np.nonzero(grid)
    starts = np.concatenate([[0], np.cumsum(np.bincount(major, minlength=majors))]).astype(np.int64)
    codes = np.searchsorted(codebook, grid[major, minor]).astype(code)
    return SharedTensor(array.dtype, array.shape, row_axes, order, starts, minor.astype(np.uint32), codes, codebook)


@pytest.fixture(scope="session")
def share() -> Share:
    """``share(array, row_axes, order, code dtype, sparse=...)``: the array as a SharedTensor."""
    return share_values


@pytest.fixture(scope="session")
def pruned() -> Callable[..., np.ndarray]:
    """``pruned(rng, shape, density, levels)``: float32 weights, some zero, the others of at most ``levels`` values."""

    def make(rng: np.random.Generator, shape: tuple[int, ...], density: float, levels: int = 40) -> np.ndarray:
        values = rng.standard_normal(levels).astype(np.float32)
        kept = rng.random(shape) < density
        return np.where(kept, rng.choice(values, shape), np.float32(0)).astype(np.float32)

    return make
