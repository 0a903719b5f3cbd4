"""Slices of an array by index."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from ...emit.intrinsic import cgutils, intrinsic, types
from ...emit.vector import I8, I32, I64
from ...jit.jitted import jit
from ...ops import find_operator
from ...orders.atomic import code_of, fail, number_at
from ...orders.order import FACTS, OTHER, PIECES, WORK, Arrays, X, Y, present
from ...orders.shared import Shared, evenly, pieces_for
from ...orders.team import take
from ..site import Kernel, Site

PIECE = 64 << 10
"""Bytes of a piece of work, at least."""


@jit
def gatherer(index):
    """Address of the code that gathers, see :func:`gather_slices`; ``len(index)`` is the bytes of an index."""
    return code_of(index, gather_slices)


@jit
def gather_slices(index, order, member):
    """Take pieces of the slices of the order at address ``order`` until none is left: ``y`` is (outer, indices, bytes), ``x``
    is (outer, length, bytes), and a residual are the indices. One that is outside fails.

    Facts are int64 (length, indices, bytes).
    """
    facts = number_at(order, FACTS)
    length, count, size = number_at(facts, 0), number_at(facts, 1), number_at(facts, 2)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for place in range(number_at(work, 0), number_at(work, 1)):
            found = index_at(index, number_at(order, OTHER), place % count)
            found += length if found < 0 else 0
            if found < 0 or found >= length:
                fail(order)
                return
            source = number_at(order, X) + (place // count * length + found) * size
            copy_bytes(number_at(order, Y) + place * size, source, size)
        piece = take(order, member)


@intrinsic
def index_at(typingctx: Any, index: Any, address: Any, place: Any) -> Any:
    """The integer of ``len(index)`` bytes, ``place`` places after ``address``, as an int64."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        kind = I64 if len(index) == 8 else I32
        value = b.load(b.gep(b.inttoptr(arguments[1], kind.as_pointer()), [arguments[2]]))
        return value if kind == I64 else b.sext(value, I64)

    return types.intp(index, types.intp, types.intp), codegen


@intrinsic
def copy_bytes(typingctx: Any, target: Any, source: Any, count: Any) -> Any:
    """Copy ``count`` bytes."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        target, source = (b.inttoptr(place, I8.as_pointer()) for place in arguments[:2])
        cgutils.raw_memcpy(b, target, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


def lower_gather(site: Site) -> Kernel | None:
    """A kernel for a Gather, by int32 or int64."""
    data, indices = site.type(0), site.type(1)
    if data is None or indices is None or 0 in site.outputs[0][1] or indices[0] not in (np.int32, np.int64):
        return None
    (dtype, shape), axis = data, site.node.attribute("axis", 0)
    axis %= len(shape)
    count, places = prod(indices[1]), prod(shape[:axis]) * prod(indices[1])
    size = dtype.itemsize * prod(shape[axis + 1 :])
    pieces = pieces_for(site.threads, places, places * size // PIECE)
    code = partial(gatherer, ((),) * indices[0].itemsize)
    work = Shared(code, pieces, site.threads, evenly(places, pieces), np.array([shape[axis], count, size], np.int64))

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        return work.order(present(inputs[0]), present(outputs[0]), present(inputs[1]), scratch)[None]

    return Kernel.of_orders("slices by index", orders, reads=(0, 1), refusal=partial(find_operator(site.node), axis=axis))
