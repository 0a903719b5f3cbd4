"""Local response normalisation across channels."""

from __future__ import annotations

from math import prod

import numpy as np

from ..plan.step import Kernel, Site
from ._atomic import add_at, code_of, number_at
from ._jit import jit
from ._memory import floats_at
from .order import FACTS, NEXT, PIECES, WORK, X, Y
from .shared import Shared, evenly, one_order

CHUNK = 256
"""Positions normalised together: their sums stay in the first-level cache."""

MOST_PIECES = 4
"""Pieces of work for each thread, at most."""


@jit
def normaliser(kinds):
    """Address of the code that carries out an order, see :func:`normalise`; ``kinds`` is empty."""
    return code_of(kinds, normalise)


@jit
def normalise(kinds, order):
    """Take pieces of the order at address ``order`` until none is left: chunks of :data:`CHUNK` positions of ``x`` and ``y``,
    both (N, C, positions).

    Facts are int64 (C, positions, channels before, size), then the address of float32 (factor, beta, bias).
    """
    sums = np.empty(CHUNK, np.float32)
    facts, x, y = number_at(order, FACTS), number_at(order, X), number_at(order, Y)
    C, positions = number_at(facts, 0), number_at(facts, 1)
    chunks = (positions + CHUNK - 1) // CHUNK
    piece = add_at(order + 8 * NEXT, 1)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for item in range(number_at(work, 0), number_at(work, 1)):
            begin = item % chunks * CHUNK
            place = 4 * (item // chunks * C * positions + begin)
            _normalise(facts, x + place, y + place, min(CHUNK, positions - begin), sums)
        piece = add_at(order + 8 * NEXT, 1)


@jit
def _normalise(facts, x, y, count, sums):
    """Normalise ``count`` positions from ``x`` on."""
    C, pitch, before, size = number_at(facts, 0), 4 * number_at(facts, 1), number_at(facts, 2), number_at(facts, 3)
    constants = floats_at(number_at(facts, 4), 3)
    factor, beta, bias = constants[0], constants[1], constants[2]
    for c in range(C):
        for i in range(count):
            sums[i] = np.float32(0)
        for other in range(max(0, c - before), min(C, c - before + size)):
            line = floats_at(x + other * pitch, count)
            for i in range(count):
                sums[i] += line[i] * line[i]
        line, out = floats_at(x + c * pitch, count), floats_at(y + c * pitch, count)
        if beta == np.float32(0.75):
            for i in range(count):
                root = np.sqrt(bias + factor * sums[i])
                out[i] = line[i] / (root * np.sqrt(root))
        else:
            for i in range(count):
                out[i] = line[i] * np.exp(-beta * np.log(bias + factor * sums[i]))


def lower_lrn(site: Site) -> Kernel | None:
    """A kernel for a float32 LRN."""
    node, x = site.node, site.type(0)
    if x is None or x[0] != np.float32 or 0 in x[1]:
        return None
    size = node.attribute("size")
    factor = node.attribute("alpha", 1e-4) / size
    constants = np.array([factor, node.attribute("beta", 0.75), node.attribute("bias", 1.0)], np.float32)
    shape = (*x[1][:2], prod(x[1][2:]))
    items = shape[0] * -(-shape[2] // CHUNK)
    pieces = 1 if site.threads == 1 else min(MOST_PIECES * site.threads, items)
    facts = np.array([*shape[1:], (size - 1) // 2, size, constants.ctypes.data], np.int64)
    shared = Shared(lambda: normaliser(()), pieces, evenly(items, pieces), facts, (constants,))
    return Kernel.of_orders("lrn", one_order(shared), reads=(0,))
