"""Arrays by formulas, never by a random generator, whose stream may change with a release."""

from __future__ import annotations

from math import prod

import numpy as np


def noise(count: int, seed: int = 0) -> np.ndarray:
    """``count`` well mixed integers, uint64, below 2**32."""
    x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    x ^= x >> np.uint64(29)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    return x >> np.uint64(32)


def weights(
    shape: tuple[int, ...], levels: int, per_mille: int = 1000, dtype: str = "float32", step: float = 0.1, seed: int = 0
) -> np.ndarray:
    """Values ``step``, 2 ``step``, ... ``levels`` ``step``, the smaller ones more often; ``per_mille`` of 1000 are not zero."""
    count = prod(shape)
    skewed = np.minimum(noise(count, seed) % np.uint64(levels), noise(count, seed + 1) % np.uint64(levels))
    values = (skewed.astype(np.float64) + 1) * step
    values[noise(count, seed + 2) % np.uint64(1000) >= per_mille] = 0
    return values.astype(dtype).reshape(shape)


def every_level(shape: tuple[int, ...], levels: int, dtype: str = "float32", first: int = 1) -> np.ndarray:
    """``first``, ``first`` + 1, ... in turn, ``levels`` values."""
    return (np.arange(prod(shape)) % levels + first).astype(dtype).reshape(shape)


def special() -> np.ndarray:
    """-0.0, infinities, NaNs with payloads, subnormals and zero."""
    patterns = [0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC01234, 0x7F800001, 1, 0x807FFFFF, 0, 0x3F800000]
    return np.array(patterns, np.uint32).view(np.float32)


def elements_of(dtype: str) -> np.ndarray:
    """15 elements of any type, the first one zero."""
    if dtype == "bool":
        return (np.arange(15) % 3 > 0).reshape(3, 5)
    if dtype.startswith("complex"):
        return (np.arange(15) * (1 - 0.5j)).astype(dtype).reshape(3, 5)
    return (np.arange(15) * 8).astype(dtype).reshape(3, 5)
