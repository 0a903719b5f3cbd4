"""Orders: what threads carry out together, taking pieces of it one by one.

An order is int64 numbers, given to machine code by its address, see :mod:`~tersor.runtime.kernels.team`.
"""

from __future__ import annotations

from ._jit import jit
from ._memory import address

NEXT, PLACES = 0, 1
"""Numbers that threads count up: pieces of work taken, places in scratch memory taken, or pieces done."""

PIECES, WORK, X, Y, OTHER, SCRATCH, FACTS = range(2, 9)
"""The other numbers: how many pieces there are, and the address of their description; addresses of inputs, outputs, a residual
(that of the outputs when there is none) and scratch memory, float32, the last 64-byte aligned; that of what is the same in
every run."""

ORDER = 16
"""Length of an order."""


@jit
def fill_order(order, known, x, y, other, scratch):
    """Make ``order`` that of one run: what is ``known``, and where its arrays are. Returns its address."""
    for i in range(ORDER):
        order[i] = known[i]
    order[X], order[Y], order[OTHER], order[SCRATCH] = address(x), address(y), address(other), address(scratch)
    return address(order)
