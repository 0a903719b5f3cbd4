"""Planes resized to their nearest elements."""

from __future__ import annotations

from math import prod

import numpy as np

from ..emit.memory import float_at, floats_at
from ..jit.jitted import jit
from ..ops.resize import ResizedAxis, nearest_taps
from ..orders.atomic import code_of, number_at
from ..orders.order import FACTS, PIECES, WORK, X, Y
from ..orders.shared import Shared, evenly, one_order
from ..orders.team import take
from .rowwise import pieces_of_rows
from .site import Kernel, Site

HEIGHT, WIDTH, OH, OW, ROWS, COLUMNS = range(6)
"""Facts of an order: the size of a plane, before and after; addresses of the row, and of the column, int64, that each of the
later ones is."""


@jit
def chooser(kinds):
    """Address of the code that resizes, see :func:`choose_elements`; ``kinds`` is empty."""
    return code_of(kinds, choose_elements)


@jit
def choose_elements(kinds, order, member):
    """Take pieces of the planes of the order at address ``order`` until none is left."""
    facts = number_at(order, FACTS)
    height, width = number_at(facts, OH), number_at(facts, OW)
    inner, outer, pitch = (
        4 * number_at(facts, HEIGHT) * number_at(facts, WIDTH),
        4 * height * width,
        4 * number_at(facts, WIDTH),
    )
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for plane in range(number_at(work, 0), number_at(work, 1)):
            source, target, before = number_at(order, X) + plane * inner, number_at(order, Y) + plane * outer, -1
            for i in range(height):
                row = number_at(number_at(facts, ROWS), i)
                if row == before:
                    _copy(target - 4 * width, target, width)
                else:
                    _choose(source + pitch * row, target, number_at(facts, COLUMNS), width)
                target, before = target + 4 * width, row
        piece = take(order, member)


@jit
def _copy(source, target, count):
    """Copy ``count`` elements."""
    x, y = floats_at(source, count), floats_at(target, count)
    for i in range(count):
        y[i] = x[i]


@jit
def _choose(source, target, columns, count):
    """Write ``count`` elements of a row at address ``source``, by their numbers."""
    y = floats_at(target, count)
    for i in range(count):
        y[i] = float_at(source + 4 * number_at(columns, i))


def lower_nearest(site: Site, plan: list[ResizedAxis], coordinates: str, nearest: str) -> Kernel | None:
    """A kernel for a float32 Resize to the nearest elements of the last two axes, or of one of them."""
    x, (_, y) = site.floats(0), site.outputs[0]
    changed = {resized.axis: resized for resized in plan if not resized.unchanged}
    if x is None or len(x) < 2 or 0 in y:
        return None
    last = (len(x) - 2, len(x) - 1)
    if any(axis not in last for axis in changed):
        return None
    taps = [
        nearest_taps(changed[axis], coordinates, nearest) if axis in changed else np.arange(x[axis], dtype=np.int64)
        for axis in last
    ]
    planes = prod(x[:-2])
    pieces = pieces_of_rows(planes, prod(y[-2:]), site.threads)
    facts = np.array([*x[-2:], *y[-2:], *(a.ctypes.data for a in taps)], np.int64)
    shared = Shared(lambda: chooser(()), pieces, site.threads, evenly(planes, pieces), facts, tuple(taps))
    return Kernel.of_orders("nearest", one_order(shared), reads=(0,))
