"""One block of memory for all intermediate values: values that never live at the same time share bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ALIGNMENT = 64


@dataclass(frozen=True)
class Lifetime:
    """A value of ``size`` bytes, written by step ``birth`` and last read by step ``death`` (inclusive)."""

    size: int
    birth: int
    death: int


def assign(lifetimes: Sequence[Lifetime]) -> tuple[list[int], int]:
    """Offsets of the lifetimes in one block, and the block's size in bytes.

    Greedy: the largest first, each into the smallest gap that fits between those that live at the same time.
    """
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    total = 0
    for i in sorted(range(len(lifetimes)), key=lambda i: (-lifetimes[i].size, i)):
        size = _aligned(lifetimes[i].size)
        busy = sorted(
            (offsets[j], offsets[j] + _aligned(lifetimes[j].size)) for j in placed if _overlap(lifetimes[i], lifetimes[j])
        )
        offsets[i] = _best_gap(busy, size)
        total = max(total, offsets[i] + size)
        placed.append(i)
    return offsets, total


def _best_gap(busy: Sequence[tuple[int, int]], size: int) -> int:
    """Start of the smallest free gap of at least ``size`` bytes; past the end when there is none."""
    best, best_size, free = -1, -1, 0
    for start, stop in busy:
        gap = start - free
        if gap >= size and (best < 0 or gap < best_size):
            best, best_size = free, gap
        free = max(free, stop)
    return best if best >= 0 else free


def _overlap(a: Lifetime, b: Lifetime) -> bool:
    return a.birth <= b.death and b.birth <= a.death


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def aligned_bytes(size: int) -> np.ndarray:
    """Uninitialised memory, (size,) uint8, starting on a 64-byte boundary."""
    block = np.empty(size + ALIGNMENT, np.uint8)
    first = -block.ctypes.data % ALIGNMENT
    return block[first : first + size]
