"""Elements written, or combined, by index."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from ...emit.memory import floats_at
from ...jit.jitted import jit
from ...ops import find_operator
from ...orders.atomic import code_of, fail, number_at
from ...orders.order import FACTS, OTHER, PIECES, WORK, Arrays, X, Y, address_of, present
from ...orders.shared import Shared, evenly, pieces_for
from ...orders.team import take
from ..site import Kernel, Site
from .gather import PIECE, copy_bytes, index_at

REDUCTIONS = "none", "add", "mul", "max", "min"
ADD, MUL, MAX, MIN = range(1, 5)
LENGTH, COUNT, INNER, HOW = range(4)
"""Facts of an order: the length of the axis, the updates along it, the elements behind it; the number of its reduction."""

UPDATES = FACTS + 1
"""Where an order has the address of the updates."""


@jit
def scatterer(index):
    """Address of the code that scatters, see :func:`scatter_columns`; ``len(index)`` is the bytes of an index."""
    return code_of(index, scatter_columns)


@jit
def scatter_columns(index, order, member):
    """Take pieces of the columns of the order at address ``order`` until none is left: ``y`` and ``x`` are (outer, length,
    inner) float32, updates, and their indices, a residual, are (outer, count, inner); a column is a place of (outer, inner). An
    index that is outside fails.
    """
    inner = number_at(number_at(order, FACTS), INNER)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        column, end = number_at(work, 0), number_at(work, 1)
        while column < end:
            width = min(inner - column % inner, end - column)
            if not _scatter(index, order, column // inner, column % inner, width):
                fail(order)
                return
            column += width
        piece = take(order, member)


@jit
def _scatter(index, order, outer, column, width):
    """Make ``width`` columns from ``column`` on, of entry ``outer``: whether all indices are inside."""
    facts = number_at(order, FACTS)
    length, count, inner = number_at(facts, LENGTH), number_at(facts, COUNT), number_at(facts, INNER)
    how = number_at(facts, HOW)
    before = outer * length * inner + column
    for row in range(length):
        offset = 4 * (before + row * inner)
        copy_bytes(number_at(order, Y) + offset, number_at(order, X) + offset, 4 * width)
    y = floats_at(number_at(order, Y) + 4 * before, length * inner)
    for row in range(count):
        first = (outer * count + row) * inner + column
        updates = floats_at(number_at(order, UPDATES) + 4 * first, width)
        for i in range(width):
            found = index_at(index, number_at(order, OTHER), first + i)
            found += length if found < 0 else 0
            if found < 0 or found >= length:
                return False
            place = found * inner + i
            y[place] = _combined(how, y[place], updates[i])
    return True


@jit
def _combined(how, value, update):
    """What becomes of a value by an update; a NaN stays one, and makes one."""
    if how == ADD:
        return value + update
    if how == MUL:
        return value * update
    if how == MAX:
        return value if value >= update or value != value else update
    if how == MIN:
        return value if value <= update or value != value else update
    return update


def lower_scatter(site: Site) -> Kernel | None:
    """A kernel for a float32 ScatterElements, by int32 or int64, whose updates are as large as the data but along the axis."""
    x, updates, indices = site.floats(0), site.floats(2), site.type(1)
    if x is None or updates is None or indices is None or indices[0] not in (np.int32, np.int64):
        return None
    axis = site.node.attribute("axis", 0) % len(x)
    if indices[1] != updates or x[:axis] + x[axis + 1 :] != updates[:axis] + updates[axis + 1 :]:
        return None
    reduction, inner = site.node.attribute("reduction", "none"), prod(x[axis + 1 :])
    columns = prod(x[:axis]) * inner
    moved = 4 * columns * (x[axis] + updates[axis])
    pieces = pieces_for(site.threads, columns, moved // PIECE)
    code = partial(scatterer, ((),) * indices[0].itemsize)
    facts = np.array([x[axis], updates[axis], inner, REDUCTIONS.index(reduction)])
    work = Shared(code, pieces, site.threads, evenly(columns, pieces), facts)

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        order = work.order(present(inputs[0]), present(outputs[0]), present(inputs[1]), scratch)
        order[UPDATES] = address_of(inputs[2])
        return order[None]

    refusal = partial(find_operator(site.node), axis=axis, reduction=reduction)
    return Kernel.of_orders("elements by index", orders, reads=(0, 1, 2), refusal=refusal)
