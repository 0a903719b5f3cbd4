"""One block of memory for all intermediate values: values that never live at the same time share bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..orders.order import whole_lines

PLACE_BYTES = 1 << 20
"""Scratch memory of one thread that stays in a second-level cache of its core, at most."""


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
    offsets, total = [0] * len(lifetimes), 0
    births, deaths, starts, stops = (np.zeros(len(lifetimes), np.int64) for _ in range(4))
    for placed, i in enumerate(sorted(range(len(lifetimes)), key=lambda i: (-lifetimes[i].size, i))):
        own, size = lifetimes[i], whole_lines(lifetimes[i].size)
        beside = np.flatnonzero((births[:placed] <= own.death) & (deaths[:placed] >= own.birth))
        offsets[i] = _best_gap(sorted(zip(starts[beside].tolist(), stops[beside].tolist(), strict=True)), size)
        births[placed], deaths[placed], starts[placed], stops[placed] = own.birth, own.death, offsets[i], offsets[i] + size
        total = max(total, offsets[i] + size)
    return offsets, total


def assign_scratch(sizes: Sequence[int], threads: int) -> tuple[list[int | None], int]:
    """Offsets of the scratch memory that each step needs in a block that is apart from values, and the block's size in bytes;
    ``None`` for those that are to lie among values.

    On several threads that is always the same memory: what one writes is not in the cache of another. They have parts of it in
    their order, so that of two each stays on its side of the middle, which all steps have in common. Among values is what does
    not fit a cache, and everything on one thread, whose cache holds more then.
    """
    fitting = [threads > 1 and size <= threads * PLACE_BYTES for size in sizes]
    halves = [whole_lines(-(-size // 2)) if fits else 0 for size, fits in zip(sizes, fitting, strict=True)]
    middle = max(halves, default=0)
    return [middle - half if fits else None for half, fits in zip(halves, fitting, strict=True)], 2 * middle


def _best_gap(busy: Sequence[tuple[int, int]], size: int) -> int:
    """Start of the smallest free gap of at least ``size`` bytes; past the end when there is none."""
    best, best_size, free = -1, -1, 0
    for start, stop in busy:
        gap = start - free
        if gap >= size and (best < 0 or gap < best_size):
            best, best_size = free, gap
        free = max(free, stop)
    return best if best >= 0 else free
