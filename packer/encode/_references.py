"""Which earlier rows of a matrix a row resembles, so that the context-mixed codec can predict it from them.

Integer sums and plain float64 multiplications and divisions only: every CPU finds the same rows.
"""

from __future__ import annotations

import numpy as np

from ...format_spec.mixing import WINDOW
from ...runtime.jit.jitted import jit

CLIPPED = 8
"""Levels count as at most this, so that a few large ones do not decide."""


@jit
def products(q, a, first, last, out):
    """``out[i]``: sum of products of row ``a`` and row ``first + i`` of ``q`` (rows, columns) int8, up to row ``last``."""
    one = q[a]
    for r in range(first, last):
        other, found = q[r], np.int32(0)
        for c in range(one.shape[0]):
            found += np.int32(one[c]) * np.int32(other[c])
        out[r - first] = found


@jit
def saved_bits(columns, share, trust):
    """Bits that a squared correlation of ``share`` should save in a row; ``trust`` discounts what chance correlates."""
    share = min(share, 0.99)
    return trust * columns * 0.72 * share * (1.0 + share * (0.5 + share * (0.33 + share)))


@jit
def find_references(q, trust, references):
    """Fill ``references`` (rows, 4) int32 with distance and sign of up to two earlier rows each, distance 0 for none.

    ``q`` (rows, columns) int8, clipped; its first row is the matrix's first. A row is named when it should save more bits
    than naming it costs; the second counts what it explains beyond the first.
    """
    rows, columns = q.shape
    mine, theirs = np.empty(WINDOW, np.int32), np.empty(WINDOW, np.int32)
    energy = np.zeros(rows, np.float64)
    for r in range(rows):
        products(q, r, r, r + 1, mine)
        energy[r] = max(mine[0], 1)
        references[r, 0], references[r, 1], references[r, 2], references[r, 3] = 0, 1, 0, 1
        first = max(r - WINDOW, 0)
        products(q, r, first, r, mine)
        cost, reach = 2.0, 1
        while reach < r - first:
            cost, reach = cost + 1.0, reach * 2
        best, share = -1, 0.0
        for k in range(first, r):
            found = np.float64(mine[k - first])
            found = found * found / (energy[r] * energy[k])
            if found > share:
                best, share = k, found
        if best < 0 or saved_bits(columns, share, trust) < cost:
            continue
        references[r, 0], references[r, 1] = r - best, 1 if mine[best - first] > 0 else -1
        products(q, best, first, r, theirs)
        second, most, sign = -1, 0.0, 1
        for k in range(first, r):
            shared = np.float64(theirs[k - first]) / energy[best]
            left = np.float64(mine[k - first]) - np.float64(mine[best - first]) * shared
            room = (energy[k] - np.float64(theirs[k - first]) * shared) * energy[r] * (1.0 - share)
            if k != best and room > 0.05 * energy[k] * energy[r]:
                found = left * left / room
                if found > most:
                    second, most, sign = k, found, 1 if left > 0 else -1
        if second >= 0 and saved_bits(columns, most, trust) >= cost:
            references[r, 2], references[r, 3] = r - second, sign
