"""From the levels that the context-mixed kernel decodes to the arrays of a shared tensor."""

from __future__ import annotations

import numpy as np

from ..kernels._jit import jit


@jit
def count_nonzeros(q, starts):
    """``starts`` (rows + 1,) int64: nonzeros before each row of ``q`` (rows, columns) int8, and all."""
    for r in range(q.shape[0]):
        found = np.int64(0)
        for c in range(q.shape[1]):
            found += q[r, c] != 0
        starts[r + 1] = starts[r] + found


@jit
def collect(q, low, low_bits, positives, numbers, starts, minors, codes):
    """Columns and codebook indices of the nonzeros; ``numbers`` (k + 1,) int64 gives an entry's index from its rank."""
    for r in range(q.shape[0]):
        at = starts[r]
        for c in range(q.shape[1]):
            level = np.int64(q[r, c])
            if level:
                rank = ((abs(level) - 1) << low_bits) + 1
                if low_bits:
                    rank += low[r, c]
                minors[at] = c
                codes[at] = numbers[rank if level > 0 else positives + rank]
                at += 1


@jit
def collect_all(q, low, low_bits, positives, numbers, codes):
    """Codes of every position; code 0 is zero and codebook indices follow it."""
    at = 0
    for r in range(q.shape[0]):
        for c in range(q.shape[1]):
            level, code = np.int64(q[r, c]), np.int64(0)
            if level:
                rank = ((abs(level) - 1) << low_bits) + 1
                if low_bits:
                    rank += low[r, c]
                code = numbers[rank if level > 0 else positives + rank] + 1
            codes[at] = code
            at += 1
