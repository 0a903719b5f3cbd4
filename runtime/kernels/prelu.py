"""Leaky rectifiers whose slopes are tensors: one for each channel, mostly."""

from __future__ import annotations

from math import prod

import numpy as np

from ..emit.memory import float_at, floats_at
from ..jit.jitted import jit
from ..orders.atomic import code_of, number_at
from ..orders.order import FACTS, OTHER, PIECES, WORK, X, Y
from ..orders.shared import Shared, evenly, one_order
from ..orders.team import take
from .rowwise import pieces_of_rows
from .site import Kernel, Site


@jit
def rectifier(kinds):
    """Address of the code of a PRelu, see :func:`rectify_rows`; ``kinds`` is empty."""
    return code_of(kinds, rectify_rows)


@jit
def rectify_rows(kinds, order, member):
    """Take pieces of the rows of the order at address ``order`` until none is left: ``x`` and ``y`` are (rows, elements); where
    the residual is, there are slopes, for one row after another and again from the first on.

    Facts are int64 (elements, slopes).
    """
    facts = number_at(order, FACTS)
    count, slopes = number_at(facts, 0), number_at(facts, 1)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for row in range(number_at(work, 0), number_at(work, 1)):
            slope, offset = float_at(number_at(order, OTHER) + 4 * (row % slopes)), 4 * row * count
            _rectify(slope, number_at(order, X) + offset, number_at(order, Y) + offset, count)
        piece = take(order, member)


@jit
def _rectify(slope, source, target, count):
    """``count`` elements, those below 0 times ``slope``."""
    x, y = floats_at(source, count), floats_at(target, count)
    for i in range(count):
        y[i] = slope * x[i] if x[i] < 0 else x[i]


def lower_prelu(site: Site) -> Kernel | None:
    """A kernel for a float32 PRelu whose slopes are the same along the last axes, of which there is one at least."""
    x, slope = site.type(0), site.type(1)
    if x is None or slope is None or not site.all_float32 or not x[1] or 0 in x[1] or x[1] != site.outputs[0][1]:
        return None
    sizes = (1,) * (len(x[1]) - len(slope[1])) + slope[1]
    varied = [axis for axis, size in enumerate(sizes) if size > 1]
    first, end = (varied[0], varied[-1] + 1) if varied else (0, 0)
    if end == len(sizes) or sizes[first:end] != x[1][first:end]:
        return None
    end = end if varied else len(sizes) - 1
    rows, elements = prod(x[1][:end]), prod(x[1][end:])
    pieces = pieces_of_rows(rows, elements, site.threads)
    facts = np.array([elements, prod(sizes)], np.int64)
    shared = Shared(lambda: rectifier(()), pieces, site.threads, evenly(rows, pieces), facts)
    return Kernel.of_orders("prelu", one_order(shared), reads=(0, 1))
