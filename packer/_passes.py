"""Jitted passes over a tensor's entries that the accounting and the report need."""

from __future__ import annotations

import numpy as np

from ..runtime.jit.jitted import jit


@jit
def count_gaps(starts: np.ndarray, minors: np.ndarray, minor_length: int, counts: np.ndarray) -> np.int64:
    """Add the stored gaps of a layer's entries to ``counts`` (2^b,), fillers included; return how many are fillers.

    ``starts`` (majors + 1,) and ``minors`` (nonzeros,) list the entries as a SharedTensor does; the layer is flat, one run of
    ``majors * minor_length`` positions.
    """
    reach = len(counts)
    previous, fillers = np.int64(-1), np.int64(0)
    for major in range(len(starts) - 1):
        origin = np.int64(major) * minor_length
        for entry in range(starts[major], starts[major + 1]):
            position = origin + np.int64(minors[entry])
            skipped = position - previous - 1
            fillers += skipped // reach
            counts[skipped % reach] += 1
            previous = position
    counts[reach - 1] += fillers
    return fillers


@jit
def entry_errors(
    original: np.ndarray, starts: np.ndarray, minors: np.ndarray, codes: np.ndarray, codebook: np.ndarray, sums: np.ndarray
) -> None:
    """Compare a (majors, minor length) matrix with the sparse entries that stand for it.

    Writes the sum of squared errors, the sum of squares and the largest absolute error to ``sums`` (3,) float64, added up in
    scan order; ``codebook`` (k,) is float64.
    """
    error, square, largest = 0.0, 0.0, 0.0
    for major in range(original.shape[0]):
        entry, end = starts[major], starts[major + 1]
        for minor in range(original.shape[1]):
            exact = np.float64(original[major, minor])
            coded = 0.0
            if entry < end and minors[entry] == minor:
                coded = codebook[codes[entry]]
                entry += 1
            difference = abs(exact - coded)
            largest = max(largest, difference)
            error += difference * difference
            square += exact * exact
    sums[0], sums[1], sums[2] = error, square, largest
