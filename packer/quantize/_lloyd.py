"""Jitted k-means in one dimension: radix sort, then Lloyd's steps on sorted values with block sums.

Everything is sequential float64 arithmetic in a fixed order, so results do not depend on the CPU or on threads.
"""

from __future__ import annotations

import numpy as np

from ...runtime.jit.jitted import jit

_BLOCK = 64
_RADIX = 2048


@jit
def sort_patterns(keys: np.ndarray, ordered: np.ndarray) -> None:
    """Sort float32 bit patterns (n,) uint32 by the floats' values into ``ordered``; ``keys`` is overwritten as well.

    -0.0 goes before +0.0; there must be no NaN.
    """
    low, high, top = np.uint32(_RADIX - 1), np.uint32(11), np.uint32(22)
    sign, flip = np.uint32(0x80000000), np.uint32(0xFFFFFFFF)
    counts = np.zeros((3, _RADIX), np.int64)
    for i in range(len(keys)):
        key = keys[i]
        key ^= flip if key & sign else sign
        keys[i] = key
        counts[0, key & low] += 1
        counts[1, (key >> high) & low] += 1
        counts[2, key >> top] += 1
    source, target = keys, ordered
    for digit in range(3):
        places = counts[digit]
        place = 0
        for d in range(_RADIX):
            count = places[d]
            places[d] = place
            place += count
        shift = np.uint32(11 * digit)
        for i in range(len(source)):
            key = source[i]
            d = (key >> shift) & low
            target[places[d]] = key
            places[d] += 1
        source, target = target, source
    for i in range(len(ordered)):
        key = ordered[i]
        ordered[i] = key ^ (sign if key & sign else flip)


@jit
def _upper_bound(values: np.ndarray, bound: float, guess: int) -> int:
    """How many of the ascending values are at most ``bound``; quick when that is near ``guess``."""
    low, high, step = guess, guess, 1
    if guess < len(values) and values[guess] <= bound:
        while high < len(values) and values[high] <= bound:
            low, high = high + 1, min(high + step, len(values))
            step *= 2
    else:
        while low > 0 and values[low - 1] > bound:
            low, high = max(low - step, 0), low - 1
            step *= 2
    while low < high:
        middle = (low + high) >> 1
        if values[middle] <= bound:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def count_distinct(values: np.ndarray, limit: int) -> int:
    """Number of distinct values among ascending ``values``, or ``limit`` when there are that many or more."""
    distinct, place = 0, 0
    while place < len(values) and distinct < limit:
        distinct += 1
        place = _upper_bound(values, values[place], place)
    return distinct


@jit
def count_clusters(values: np.ndarray, centroids: np.ndarray, counts: np.ndarray) -> None:
    """Write to ``counts`` (k,) int64 how many of the ascending ``values`` are nearest to each of the ascending ``centroids``
    (k,) float64.

    A value midway between two belongs to the lower.
    """
    k = len(centroids)
    start = 0
    for j in range(k):
        end = _upper_bound(values, (centroids[j] + centroids[j + 1]) / 2, start) if j + 1 < k else len(values)
        counts[j] = end - start
        start = end


@jit
def _block_sum(values: np.ndarray, block: int) -> float:
    total = 0.0
    for i in range(block * _BLOCK, (block + 1) * _BLOCK):
        total += np.float64(values[i])
    return total


@jit
def _block_sums(values: np.ndarray) -> np.ndarray:
    """Running sums of blocks of ``_BLOCK`` ascending values, up to each block's start; 0 where the values cross zero.

    From there they run both ways, so that an outlier at either end is only in sums of ranges that hold it: differences of the
    others keep their digits.
    """
    blocks = len(values) // _BLOCK
    middle = _upper_bound(values, 0.0, len(values) // 2) // _BLOCK
    sums = np.zeros(blocks + 1, np.float64)
    for b in range(middle, blocks):
        sums[b + 1] = sums[b] + _block_sum(values, b)
    for b in range(middle - 1, -1, -1):
        sums[b] = sums[b + 1] - _block_sum(values, b)
    return sums


@jit
def _range_sum(values: np.ndarray, sums: np.ndarray, low: int, high: int) -> float:
    """Sum of ``values[low:high]``; short ranges are added directly, so that they lose nothing to cancellation."""
    first, last = (low + _BLOCK - 1) // _BLOCK, high // _BLOCK
    total = 0.0
    if last - first < 2:
        for i in range(low, high):
            total += np.float64(values[i])
        return total
    for i in range(low, first * _BLOCK):
        total += np.float64(values[i])
    total += sums[last] - sums[first]
    for i in range(last * _BLOCK, high):
        total += np.float64(values[i])
    return total


@jit
def _fill_empty(values: np.ndarray, old: np.ndarray, lows: np.ndarray, highs: np.ndarray, totals: np.ndarray) -> None:
    """Give each empty cluster the value farthest from its centroid, with its repeats, taken from the cluster that has it.

    Of equally far values the one in the lowest cluster goes first. ``lows``, ``highs`` (places of the values of each cluster)
    and ``totals`` are updated.
    """
    k = len(old)
    free_lows, free_highs = lows.copy(), highs.copy()
    for empty in range(k):
        if lows[empty] < highs[empty]:
            continue
        best, far, at_low = -1, 0.0, True
        for j in range(k):
            if free_lows[j] < free_highs[j]:
                below = abs(np.float64(values[free_lows[j]]) - old[j])
                above = abs(np.float64(values[free_highs[j] - 1]) - old[j])
                if below > far:
                    best, far, at_low = j, below, True
                if above > far:
                    best, far, at_low = j, above, False
        if best < 0:
            return
        low, high = free_lows[best], free_highs[best]
        if at_low:
            start, end = low, _upper_bound(values, values[low], low)
            end = min(end, high)
            free_lows[best] = end
        else:
            start, end = high - 1, high
            while start > low and values[start - 1] == values[high - 1]:
                start -= 1
            free_highs[best] = start
        moved = np.float64(values[start]) * (end - start)
        totals[best] -= moved
        lows[best], highs[best] = free_lows[best], free_highs[best]
        lows[empty], highs[empty], totals[empty] = start, end, moved
        free_lows[empty], free_highs[empty] = end, end


@jit
def _insertion_sort(values: np.ndarray) -> None:
    for i in range(1, len(values)):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@jit
def lloyd(values: np.ndarray, centroids: np.ndarray, limit: int) -> int:
    """Take at most ``limit`` steps of Lloyd's algorithm; ``centroids`` (k,) float64, ascending, is updated.

    ``values`` (n,) float32 ascending. Stops early when no value changes cluster. Returns the steps taken.
    """
    k, n = len(centroids), len(values)
    sums = _block_sums(values)
    bounds, previous = np.full(k + 1, n), np.full(k + 1, -1)
    totals = np.empty(k, np.float64)
    for step in range(limit):
        bounds[0] = 0
        crowded = True
        for j in range(1, k):
            bounds[j] = _upper_bound(values, (centroids[j - 1] + centroids[j]) / 2, bounds[j])
        if np.array_equal(bounds, previous):
            return step
        previous[:] = bounds
        for j in range(k):
            totals[j] = _range_sum(values, sums, bounds[j], bounds[j + 1])
            crowded &= bounds[j] < bounds[j + 1]
        lows, highs = bounds[:-1].copy(), bounds[1:].copy()
        if not crowded:
            _fill_empty(values, centroids, lows, highs, totals)
        for j in range(k):
            if lows[j] < highs[j]:
                centroids[j] = totals[j] / (highs[j] - lows[j])
        _insertion_sort(centroids)
    return limit
