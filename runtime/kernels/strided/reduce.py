"""Extremes over axes, and softmax across lines, by numpy's loops; sums and means, added up in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ...emit.memory import doubles_at, floats_at, put_float
from ...jit.jitted import jit
from ...ops._dtypes import highest, lowest
from ...ops.reduction import reduced_axes
from ...orders.atomic import code_of, number_at
from ...orders.order import FACTS, PIECES, SCRATCH, WORK, Arrays, X, Y, present
from ...orders.shared import Shared, evenly, one_order, pieces_for
from ...orders.team import take
from ..site import Kernel, Site
from .loop import Loop, copier, loop_of
from .walk import PIECE, View, walk

EXTREMES: Mapping[str, tuple[np.ufunc, Callable[[np.dtype], Any]]] = {
    "ReduceMax": (np.maximum, lowest),
    "ReduceMin": (np.minimum, highest),
}
"""What makes one of two elements, and what gives way to every other one of a type."""

LINE = 1024
"""Sums that are added to at a time: they stay in a first-level cache."""

Shape: TypeAlias = "tuple[int, ...]"


def lower_extreme(site: Site) -> Kernel | None:
    """A kernel for one of :data:`EXTREMES`, along constant axes."""
    (dtype, _), (function, first_of) = present(site.type(0)), EXTREMES[site.node.op_type]
    shapes, loop, copy = _reduced(site), loop_of(function, dtype, dtype, dtype), copier(dtype)
    if shapes is None or loop is None or copy is None or 0 in site.outputs[0][1]:
        return None
    shape, kept = shapes
    first, size = np.array(first_of(dtype), dtype), dtype.itemsize
    fill = walk(copy, kept, [View.broadcast((), size, kept), View.whole(kept, size)], site.threads)
    fold = _fold(loop, shape, kept, size, site.threads) if 0 not in shape else None

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        x, y = present(inputs[0]), present(outputs[0])
        filled = fill.order(first, y, y, scratch)
        return filled[None] if fold is None else np.stack([filled, fold.order(y, y, x, scratch)])

    return Kernel.of_orders("extremes", orders, reads=(0,))


def _reduced(site: Site) -> tuple[Shape, Shape] | None:
    """The shape of the input, and the one with axes of length 1 where it is reduced; ``None`` unless those are constant."""
    x, axes = site.type(0), site.array(1)
    if x is None or (site.type(1) is not None and axes is None):
        return None
    gone = reduced_axes(len(x[1]), axes, site.node.attribute("noop_with_empty_axes", 0))
    return x[1], tuple(1 if axis in gone else size for axis, size in enumerate(x[1]))


def _fold(loop: Loop, shape: Shape, kept: Shape, itemsize: int, threads: int) -> Shared:
    """The work of taking the elements of an array of ``shape``, the residual, into one of the shape ``kept``: input and
    output."""
    into = View.broadcast(kept, itemsize, shape)
    return walk(loop, shape, [into, View.whole(shape, itemsize), into], threads, folds=True)


def lower_softmax_across(site: Site) -> Kernel | None:
    """A kernel for a float32 Softmax along any axis."""
    shape = site.floats(0)
    if not shape:
        return None
    axis = site.node.attribute("axis", -1) % len(shape)
    line = (*shape[:axis], 1, *shape[axis + 1 :])
    one, every, few = np.dtype(np.float32), View.whole(shape, 4), View.broadcast(line, 4, shape)
    names = (np.positive, np.maximum, np.subtract, np.exp, np.add, np.divide)
    copy, top, less, power, plus, share = (present(loop_of(name, *[one] * (name.nin + 1))) for name in names)
    fill = walk(copy, line, [View.broadcast((), 4, line), View.whole(line, 4)], site.threads)
    works = [
        (fill, "first", "line"), (_fold(top, shape, line, 4, site.threads), "line", "line", "x"),
        (walk(less, shape, [every, few, every], site.threads), "x", "y", "line"),
        (walk(power, shape, [every, every], site.threads), "y", "y"),
        (fill, "zero", "line"), (_fold(plus, shape, line, 4, site.threads), "line", "line", "y"),
        (walk(share, shape, [every, few, every], site.threads), "y", "y", "line"),
    ]  # fmt: skip
    first, zero = np.array(-np.inf, np.float32), np.array(0, np.float32)

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        arrays = {"first": first, "zero": zero, "line": scratch, "x": present(inputs[0]), "y": present(outputs[0])}
        return np.stack([work.order(*(arrays[name] for name in (*names, names[1])[:3]), scratch) for work, *names in works])

    return Kernel.of_orders("softmax across", orders, reads=(0,), scratch=4 * prod(line))


@jit
def summer(kinds):
    """Address of the code that adds up, see :func:`sum_lines`; ``kinds`` is empty where elements of a sum are neighbours."""
    return code_of(kinds, sum_lines)


@jit
def sum_lines(kinds, order, member):
    """Take pieces of the sums of the order at address ``order`` until none is left: ``x`` is (outer, count, width), and ``y``
    (outer, width) its sums over ``count``, divided.

    Facts are int64 (count, width, divisor, parts of a width). Work is parts of all widths, :data:`LINE` sums each at most.
    """
    facts = number_at(order, FACTS)
    count, width, divisor, parts = number_at(facts, 0), number_at(facts, 1), number_at(facts, 2), number_at(facts, 3)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for place in range(number_at(work, 0), number_at(work, 1)):
            outer, begin = place // parts, place % parts * LINE
            source, target = number_at(order, X) + 4 * outer * count * width, number_at(order, Y) + 4 * outer * width
            if len(kinds) == 0:
                put_float(target, np.float32(_sum_of(source, count) / divisor))
            else:
                sums = number_at(order, SCRATCH) + 8 * LINE * member
                some = min(LINE, width - begin)
                _sum_across(source + 4 * begin, target + 4 * begin, sums, count, width, some, divisor)
        piece = take(order, member)


@jit(fastmath={"reassoc"})
def _sum_of(source, count):
    """Sum of ``count`` neighbours: float64."""
    row, total = floats_at(source, count), np.float64(0)
    for i in range(count):
        total += row[i]
    return total


@jit
def _sum_across(source, target, scratch, count, width, some, divisor):
    """Quotients of ``some`` sums of ``count`` elements each, that are ``width`` elements apart."""
    sums, out = doubles_at(scratch, some), floats_at(target, some)
    for i in range(some):
        sums[i] = 0
    for k in range(count):
        row = floats_at(source + 4 * k * width, some)
        for i in range(some):
            sums[i] += row[i]
    for i in range(some):
        out[i] = np.float32(sums[i] / divisor)


def lower_sum(site: Site) -> Kernel | None:
    """A kernel for a float32 ReduceSum or ReduceMean over constant axes that follow one another."""
    shapes = _reduced(site) if site.floats(0) is not None else None
    if shapes is None:
        return None
    shape, kept = shapes
    gone = [axis for axis, (size, left) in enumerate(zip(shape, kept, strict=True)) if size != left]
    if not gone or prod(kept[gone[0] : gone[-1] + 1]) != 1:
        return None
    outer, count, width = prod(shape[: gone[0]]), prod(shape[gone[0] : gone[-1] + 1]), prod(shape[gone[-1] + 1 :])
    parts = -(-width // LINE)
    pieces = pieces_for(site.threads, outer * parts, prod(shape) // PIECE)
    divisor = count if site.node.op_type == "ReduceMean" else 1
    facts, kinds = np.array([count, width, divisor, parts], np.int64), ((),) * (width > 1)
    work = Shared(lambda: summer(kinds), pieces, site.threads, evenly(outer * parts, pieces), facts)
    return Kernel.of_orders("sums", one_order(work), reads=(0,), scratch=8 * LINE * site.threads * (width > 1))
