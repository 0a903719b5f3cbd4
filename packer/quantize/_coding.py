"""Jitted passes that turn weights into codes."""

from __future__ import annotations

import numpy as np

from ...runtime.jit.jitted import jit

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: Fibonacci hashing spreads patterns that differ in few bits."""


@jit
def _nearest(value: float, pattern: np.uint32, thresholds: np.ndarray, first: np.ndarray) -> np.int64:
    code = np.int64(first[pattern >> np.uint32(16)])
    while value > thresholds[code]:
        code += 1
    return code


@jit
def nearest_codes(values: np.ndarray, thresholds: np.ndarray, first: np.ndarray, ranks: np.ndarray, codes: np.ndarray) -> None:
    """Write ``ranks`` (k,) of the nearest centroid of each of ``values`` (n,) float32 into ``codes`` (n,) uint8.

    ``thresholds`` (k,) float32 ascending, the last infinite: the centroid is the first whose threshold is not below the
    value. ``first`` (65536,) int64 is that centroid for the smallest value with given upper 16 bits: the search starts there.
    """
    patterns = values.view(np.uint32)
    for i in range(len(values)):
        codes[i] = ranks[_nearest(values[i], patterns[i], thresholds, first)]


@jit
def nearest_entries(
    values: np.ndarray,
    mask: np.ndarray,
    thresholds: np.ndarray,
    first: np.ndarray,
    ranks: np.ndarray,
    starts: np.ndarray,
    minors: np.ndarray,
    codes: np.ndarray,
) -> None:
    """As :func:`nearest_codes` for the entries of a (majors, minor length) matrix where ``mask`` is true.

    A negative rank leaves its entries out. Writes ``starts`` (majors + 1,), and the front of ``minors`` and ``codes``.
    """
    patterns = values.view(np.uint32)
    place = 0
    for major in range(values.shape[0]):
        starts[major] = place
        for minor in range(values.shape[1]):
            if mask[major, minor]:
                rank = ranks[_nearest(values[major, minor], patterns[major, minor], thresholds, first)]
                if rank >= 0:
                    minors[place] = minor
                    codes[place] = rank
                    place += 1
    starts[values.shape[0]] = place


@jit
def _slot(pattern: np.unsignedinteger, keys: np.ndarray, used: np.ndarray) -> np.int64:
    """Where ``pattern`` is in the hash table, or the free slot where it belongs."""
    last = np.uint64(len(keys) - 1)
    slot = ((np.uint64(pattern) * _MULTIPLIER) >> np.uint64(40)) & last
    while used[slot] and keys[slot] != pattern:
        slot = (slot + np.uint64(1)) & last
    return np.int64(slot)


@jit
def collect_distinct(patterns: np.ndarray, keys: np.ndarray, used: np.ndarray, limit: int) -> tuple[int, int]:
    """Enter the nonzero ``patterns`` (n,) into a hash table, stopping at the first beyond ``limit`` distinct ones.

    ``keys`` (2^s,) of the patterns' type and ``used`` (2^s,) bool are the table, empty and larger than ``limit``; s <= 24.
    Returns how many are distinct and how many patterns are nonzero.
    """
    distinct, nonzeros = 0, 0
    for i in range(len(patterns)):
        pattern = patterns[i]
        if pattern == 0:
            continue
        nonzeros += 1
        slot = _slot(pattern, keys, used)
        if not used[slot]:
            distinct += 1
            if distinct > limit:
                break
            used[slot] = True
            keys[slot] = pattern
    return distinct, nonzeros


@jit
def exact_entries(
    patterns: np.ndarray,
    keys: np.ndarray,
    used: np.ndarray,
    ranks: np.ndarray,
    starts: np.ndarray,
    minors: np.ndarray,
    codes: np.ndarray,
) -> None:
    """Write the entries of a (majors, minor length) matrix whose patterns are not zero.

    ``ranks`` (2^s,) is the code of each slot of the table.
    """
    place = 0
    for major in range(patterns.shape[0]):
        starts[major] = place
        for minor in range(patterns.shape[1]):
            pattern = patterns[major, minor]
            if pattern != 0:
                minors[place] = minor
                codes[place] = ranks[_slot(pattern, keys, used)]
                place += 1
    starts[patterns.shape[0]] = place


@jit
def exact_codes(patterns: np.ndarray, keys: np.ndarray, used: np.ndarray, ranks: np.ndarray, codes: np.ndarray) -> None:
    """Write the code of every one of ``patterns`` (n,), all of them in the table."""
    for i in range(len(patterns)):
        codes[i] = ranks[_slot(patterns[i], keys, used)]
