"""Elements converted from one type to another."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from ...emit.intrinsic import intrinsic, types
from ...emit.memory import array_at
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.order import FACTS, PIECES, WORK, X, Y, present
from ...orders.shared import Shared, evenly, one_order, pieces_for
from ...orders.team import take
from ..site import Kernel, Site
from .walk import PIECE

ELEMENTS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
"""Types that a kernel converts, which is told each by its number: as the length of a tuple."""

FROM_FLOATS = ("bool", "int32", "int64", "float32", "float64")
"""What it makes of floats. Of those that other integers do not hold, processors make different ones."""


@jit
def converter(source, target):
    """Address of the code that converts from one of :data:`ELEMENTS` to another, see :func:`convert`."""
    return code_of((source, target), convert)


@jit
def convert(kinds, order, member):
    """Take pieces of the elements of the order at address ``order`` until none is left: ``y`` is ``x`` in another type.

    Facts are int64 (bytes of an element of ``x``, of ``y``).
    """
    facts = number_at(order, FACTS)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        first, count = number_at(work, 0), number_at(work, 1) - number_at(work, 0)
        x = elements_at(kinds[0], number_at(order, X) + number_at(facts, 0) * first, count)
        y = elements_at(kinds[1], number_at(order, Y) + number_at(facts, 1) * first, count)
        for i in range(count):
            y[i] = x[i]
        piece = take(order, member)


@intrinsic
def elements_at(typingctx: Any, kind: Any, address: Any, count: Any) -> Any:
    """The ``count`` elements at ``address``, of type number ``len(kind)``, as an array."""
    name = ELEMENTS[len(kind)]
    return array_at(types.boolean if name == "bool" else getattr(types, name), kind)


def lower_cast(site: Site) -> Kernel | None:
    """A kernel for a Cast, or CastLike, between two of :data:`ELEMENTS`."""
    (source, shape), (target, _) = present(site.type(0)), site.outputs[0]
    kept = FROM_FLOATS if source.kind == "f" else ELEMENTS
    if not (source.isnative and target.isnative and source.name in ELEMENTS and target.name in kept) or 0 in shape:
        return None
    count, kinds = prod(shape), [((),) * ELEMENTS.index(dtype.name) for dtype in (source, target)]
    pieces = pieces_for(site.threads, count // PIECE)
    facts = np.array([source.itemsize, target.itemsize], np.int64)
    work = Shared(partial(converter, *kinds), pieces, site.threads, evenly(count, pieces), facts)
    return Kernel.of_orders("convert", one_order(work), reads=(0,))
