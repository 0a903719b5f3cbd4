"""Rows of a matrix, each by itself: means, maxima and softmax."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ..emit.exponential import exponential
from ..emit.largest import largest
from ..emit.memory import floats_at, put_float
from ..jit.host import host_registers
from ..jit.jitted import jit
from ..orders.atomic import code_of, number_at
from ..orders.order import FACTS, PIECES, WORK, X, Y
from ..orders.shared import Shared, evenly, one_order, pieces_for
from ..orders.team import take
from .site import Kernel, Site

PIECE = 20_000
"""Elements of a piece of work, at least."""


@jit
def averager(kinds):
    """Address of the code that writes means, see :func:`average_rows`; ``kinds`` is empty."""
    return code_of(kinds, average_rows)


@jit
def average_rows(kinds, order, member):
    """Take pieces of the rows of the order at address ``order`` until none is left: ``x`` is (rows, elements), ``y`` (rows,).

    Facts are int64 (elements,).
    """
    count = number_at(number_at(order, FACTS), 0)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for row in range(number_at(work, 0), number_at(work, 1)):
            total = sum_of(number_at(order, X) + 4 * row * count, count)
            put_float(number_at(order, Y) + 4 * row, total / np.float32(count))
        piece = take(order, member)


@jit
def comparer(lanes):
    """Address of the code that writes maxima, see :func:`compare_rows`."""
    return code_of(lanes, compare_rows)


@jit
def compare_rows(lanes, order, member):
    """As :func:`average_rows`, for the largest element of each row, or NaN; ``lanes`` is as long as vectors are wide."""
    count = number_at(number_at(order, FACTS), 0)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for row in range(number_at(work, 0), number_at(work, 1)):
            put_float(number_at(order, Y) + 4 * row, largest(lanes, number_at(order, X) + 4 * row * count, count))
        piece = take(order, member)


@jit(fastmath={"reassoc"})
def sum_of(place, count):
    """Sum of ``count`` elements at address ``place``."""
    row, total = floats_at(place, count), np.float32(0)
    for i in range(count):
        total += row[i]
    return total


@jit(fastmath={"reassoc", "contract"})
def product_of(left, right, count):
    """Sum of the products of ``count`` elements at two addresses."""
    a, b, total = floats_at(left, count), floats_at(right, count), np.float32(0)
    for i in range(count):
        total += a[i] * b[i]
    return total


@jit
def normaliser_of_rows(kinds):
    """Address of the code of a softmax, see :func:`softmax_rows`; ``kinds`` is empty."""
    return code_of(kinds, softmax_rows)


@jit
def softmax_rows(kinds, order, member):
    """As :func:`average_rows`, for ``y`` (rows, elements): exponentials that sum to 1 in each row."""
    count = number_at(number_at(order, FACTS), 0)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for row in range(number_at(work, 0), number_at(work, 1)):
            _softmax(number_at(order, X) + 4 * row * count, number_at(order, Y) + 4 * row * count, count)
        piece = take(order, member)


@jit(fastmath={"contract"})
def _softmax(source, target, count):
    """The softmax of ``count`` elements; exponentials are good to two units in the last place, and NaN makes a row of NaN."""
    row, out, top = floats_at(source, count), floats_at(target, count), np.float32(-np.inf)
    for i in range(count):
        top = max(top, row[i])
    for i in range(count):
        out[i] = exponential(row[i] - top)
    total = sum_of(target, count)
    for i in range(count):
        out[i] /= total


def mean_of_rows(rows: int, elements: int, threads: int) -> Kernel:
    """A kernel for the means of the rows of a float32 (rows, elements)."""
    return _rowwise("mean of rows", averager, rows, elements, threads)


def lower_global_average(site: Site) -> Kernel | None:
    """A kernel for a float32 GlobalAveragePool."""
    x = site.floats(0)
    return None if x is None else mean_of_rows(prod(x[:2]), prod(x[2:]), site.threads)


def lower_global_max(site: Site) -> Kernel | None:
    """A kernel for a float32 GlobalMaxPool."""
    x = site.floats(0)
    if x is None:
        return None
    lanes = ((),) * host_registers()[1]
    return _rowwise("max of rows", lambda _: comparer(lanes), prod(x[:2]), prod(x[2:]), site.threads)


def lower_mean(site: Site) -> Kernel | None:
    """A kernel for a float32 ReduceMean over the last axes."""
    from ..ops.reduction import reduced_axes

    x, axes = site.floats(0), site.array(1)
    if x is None or (site.type(1) is not None and axes is None):
        return None
    gone, rank = reduced_axes(len(x), axes, site.node.attribute("noop_with_empty_axes", 0)), len(x)
    kept = rank - len(gone)
    if not gone or sorted(gone) != [*range(kept, rank)]:
        return None
    return mean_of_rows(prod(x[:kept]), prod(x[kept:]), site.threads)


def lower_softmax(site: Site) -> Kernel | None:
    """A kernel for a float32 Softmax along elements that follow one another."""
    x = site.floats(0)
    if not x:
        return None
    axis = site.node.attribute("axis", -1) % len(x)
    if prod(x[axis + 1 :]) != 1:
        return None
    return _rowwise("softmax", normaliser_of_rows, prod(x[:axis]), x[axis], site.threads)


def pieces_of_rows(rows: int, elements: int, threads: int) -> int:
    """How many pieces of work ``rows`` of ``elements`` each are."""
    return pieces_for(threads, rows, rows * elements // PIECE)


def _rowwise(name: str, code: Callable[[tuple[()]], int], rows: int, elements: int, threads: int) -> Kernel:
    pieces = pieces_of_rows(rows, elements, threads)
    shared = Shared(lambda: code(()), pieces, threads, evenly(rows, pieces), np.array([elements], np.int64))
    return Kernel.of_orders(name, one_order(shared), reads=(0,))
