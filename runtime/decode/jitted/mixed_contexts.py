"""What the contexts of the context-mixed codec are made of; the reference ``format_spec/codecs/_mixed_levels.py`` names them.

Callers keep every index inside its table: magnitudes are at most ``16 * MAX_STEPS``.
"""

from __future__ import annotations

import numpy as np

from ....format_spec.mixing import LOGARITHMS, RECIPROCALS
from ...jit.jitted import jit

LEFT, ABOVE, LEFT2, ABOVE_RIGHT = 192, 48, 12, 3
"""Bits of the first size context that a neighbour takes."""


@jit(forceinline=True)
def log_of(x):
    """Half octaves of a magnitude in sixteenths."""
    return np.int64(LOGARITHMS[np.uint64(x)])


@jit(forceinline=True)
def mean_of(total, count):
    """``total / count`` in sixteenths."""
    return total * RECIPROCALS[np.uint64(count)] >> 12


@jit(forceinline=True)
def sign_of(x):
    """0, 1 or 2 for zero, positive, negative."""
    return np.int64(x != 0) + np.int64(x < 0)


@jit(forceinline=True)
def clip(x, most):
    """``x`` in -most..most, from 0."""
    return min(max(x, -most), most) + most


@jit(forceinline=True)
def lean(x, scale):
    """How far a signed mean leans beside a mean magnitude, 0..8."""
    steps = min(max(log_of(abs(x)) - log_of(scale) + 6, 0), 4)
    return 4 + steps if x > 0 else 4 - steps


@jit(forceinline=True)
def level_at(q, place):
    """``q[place]``, of which the caller knows that it is there."""
    return np.int64(q[np.uint64(place)])


@jit
def places_of(kernel, width):
    """``place`` of each position of a kernel, and which neighbours it sees, both (kernel,) int64."""
    places, seen = np.empty(kernel, np.int64), np.empty(kernel, np.int64)
    for k in range(kernel):
        places[k] = k if kernel <= 16 else 16 * k // kernel
        column = k % width
        seen[k] = LEFT * (column > 0) + ABOVE * (k >= width) + LEFT2 * (k > 1)
        seen[k] += ABOVE_RIGHT * (k >= width and column < width - 1)
    if kernel == 1:
        seen[0] = LEFT + LEFT2
    return places, seen


@jit(forceinline=True)
def neighbours(line, c, width, seen):
    """Levels to the left, two to the left, above, and above to the right of column ``c``, 0 for those that are not ``seen``."""
    left = level_at(line, c - 1) if seen & LEFT and c > 0 else np.int64(0)
    left2 = level_at(line, c - 2) if seen & LEFT2 and c > 1 else np.int64(0)
    above = level_at(line, c - width) if seen & ABOVE else np.int64(0)
    above_right = level_at(line, c - width + 1) if seen & ABOVE_RIGHT else np.int64(0)
    return left, left2, above, above_right


@jit(forceinline=True)
def sign_contexts(around, before, up, balance, row_lean, column_lean):
    """Contexts of a sign: of its :func:`neighbours`, of how rows and columns lean, of the kernels before and above, and of the
    signs in its own."""
    left, left2, above, above_right = around
    left_sign, above_sign = sign_of(left), sign_of(above)
    near = ((left_sign * 3 + above_sign) * 3 + sign_of(left2)) * 3 + sign_of(above_right)
    own = clip(balance, 4) * 9 + above_sign * 3 + left_sign
    return near, row_lean * 9 + column_lean, clip(before, 4) * 9 + clip(up, 4), own


@jit(forceinline=True)
def note_level(size, c, width, small_line, around_here):
    """Let later contexts see the ``size`` of the level in column ``c``: of the rows below, and of its neighbours."""
    least = min(size, 3)
    small_line[np.uint64(c)] = least
    around_here[np.uint64(c + 1)] |= least << 6
    around_here[np.uint64(c + 2)] |= least << 2
    around_here[np.uint64(c + width)] |= least << 4
    around_here[np.uint64(c + width - 1)] |= least
