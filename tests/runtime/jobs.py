"""Work for threads that share it, and what they did of it."""

from __future__ import annotations

import os
import sys

import numpy as np

from tersor.runtime.jit.jitted import jit
from tersor.runtime.orders.atomic import add_at, code_of, number_at
from tersor.runtime.orders.order import CODE, PIECES, SHARED, WORK, order_of
from tersor.runtime.orders.team import take

ONE_PROCESSOR = len(os.sched_getaffinity(0) if sys.platform == "linux" else range(os.cpu_count() or 1)) < 2


@jit
def mark(lanes, order, member):
    """Take the pieces of an order; count each in a number of its own, from where its work is on."""
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        for _ in range(1000):
            add_at(number_at(order, WORK) + 8 * piece, 1)
        piece = take(order, member)


@jit
def marker(lanes):
    """Address of :func:`mark`."""
    return code_of(lanes, mark)


@jit
def want(lanes, order, member):
    """Take one piece of an order, count it, and ask for more memory than there is."""
    piece = take(order, member)
    if piece < number_at(order, PIECES):
        add_at(number_at(order, WORK) + 8 * piece, 1000)
        room = np.empty(1 << 50, np.int8)
        room[piece] = 1


@jit
def wanter(lanes):
    """Address of :func:`want`."""
    return code_of(lanes, want)


@jit
def tell(lanes, order, member):
    """Write who this is where the work of an order is."""
    add_at(number_at(order, WORK), member)


@jit
def teller(lanes):
    """Address of :func:`tell`."""
    return code_of(lanes, tell)


class Job:
    """Work for :func:`mark`: an order, and how often each of its pieces was done, in thousands."""

    def __init__(self, code: int, pieces: int) -> None:
        self._done = np.zeros(pieces, np.int64)
        self.order = order_of({CODE: code, SHARED: 1, PIECES: pieces, WORK: self._done.ctypes.data})

    @property
    def done(self) -> list[float]:
        return (self._done / 1000).tolist()
