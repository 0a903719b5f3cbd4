"""From the levels of the context-mixed codec to the arrays of a shared tensor. Nothing depends on a branch."""

from __future__ import annotations

import numpy as np

from ...jit.jitted import jit

FIRST_LEVEL = -128
"""Level of entry 0 of a table by level."""


def first_ranks(low_bits: int, positives: int) -> np.ndarray:
    """Place among positive ranks and then negative ones, less the low bits, by level from ``FIRST_LEVEL`` on: (256,) int64."""
    levels = np.arange(256) + FIRST_LEVEL
    ranks = (np.abs(levels) - 1 << low_bits) + 1
    return np.where(levels > 0, ranks, np.where(levels < 0, positives + ranks, 0))


@jit
def count_nonzeros(q, starts):
    """``starts`` (rows + 1,) int64: nonzeros before each row of ``q`` (rows, columns) int8, and all."""
    for r in range(q.shape[0]):
        found = np.int64(0)
        for c in range(q.shape[1]):
            found += q[r, c] != 0
        starts[r + 1] = starts[r] + found


@jit(forceinline=True)
def _number(q, low, r, c, firsts, numbers):
    place = firsts[np.int64(q[r, c]) - FIRST_LEVEL]
    if len(low):
        place += low[r, c]
    return numbers[place]


@jit
def collect(q, low, firsts, numbers, minors, codes):
    """Columns and codebook indices of the nonzeros; ``minors`` and ``codes`` have room for one more.

    ``firsts``: see :func:`first_ranks`; ``low`` has the low bits, 0 where there is no level, or is empty; ``numbers`` (k + 1,)
    int64 gives an entry's index.
    """
    at = 0
    for r in range(q.shape[0]):
        for c in range(q.shape[1]):
            minors[at] = c
            codes[at] = _number(q, low, r, c, firsts, numbers)
            at += q[r, c] != 0


@jit
def collect_all(q, low, firsts, numbers, codes):
    """Codes of every position; code 0 is zero and codebook indices follow it."""
    at = 0
    for r in range(q.shape[0]):
        for c in range(q.shape[1]):
            codes[at] = _number(q, low, r, c, firsts, numbers) + 1
            at += 1
