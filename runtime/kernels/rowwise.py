"""Rows of a matrix, each by itself: means and softmax."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from llvmlite import ir

from ..plan.step import Kernel, Site
from ._atomic import code_of, number_at
from ._deferred import intrinsic, types
from ._jit import jit
from ._memory import floats_at, put_float
from ._vector import F32, I32
from .order import FACTS, PIECES, WORK, X, Y
from .shared import Shared, evenly, one_order
from .team import take

MOST_PIECES, PIECE = 4, 20_000
"""Pieces of work for each thread, at most, and the elements of one, at least."""

LOG2_E, LN_2_HIGH, LN_2_LOW = (np.float32(value) for value in (1.44269504088896341, 0.693359375, -2.12194440e-4))
"""1 / ln 2, and ln 2 as a number of few bits and what is left of it."""

SHIFT = np.float32(3 << 22)
"""Added to a small number, it leaves the nearest integer in the low bits."""

LEAST = np.float32(-87)
"""Exponents below give 0."""

FIFTH, FOURTH, THIRD, SECOND, FIRST, ZEROTH = (
    np.float32(value)
    for value in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
)
"""Coefficients of (exp(r) - 1 - r) / r^2 where \\|r\\| <= ln(2) / 2, as in the Cephes library's ``expf``."""


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
            total = _sum(number_at(order, X) + 4 * row * count, count)
            put_float(number_at(order, Y) + 4 * row, total / np.float32(count))
        piece = take(order, member)


@jit(fastmath={"reassoc"})
def _sum(place, count):
    """Sum of ``count`` elements at address ``place``."""
    row, total = floats_at(place, count), np.float32(0)
    for i in range(count):
        total += row[i]
    return total


@jit
def normaliser_of_rows(kinds):
    """Address of the code of a softmax, see :func:`softmax_rows`; ``kinds`` is empty."""
    return code_of(kinds, softmax_rows)


@intrinsic
def _power_of_two(typingctx: Any, shifted: Any) -> Any:
    """2 to the integer that was added to :data:`SHIFT`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        biased = builder.add(builder.bitcast(arguments[0], I32), ir.Constant(I32, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(I32, 23)), F32)

    return types.float32(types.float32), codegen


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
        x = row[i] - top
        shifted = x * LOG2_E + SHIFT
        power = shifted - SHIFT
        r = x - power * LN_2_HIGH - power * LN_2_LOW
        series = ((((FIFTH * r + FOURTH) * r + THIRD) * r + SECOND) * r + FIRST) * r + ZEROTH
        value = (series * (r * r) + r + np.float32(1)) * _power_of_two(shifted)
        out[i] = np.float32(0) if x < LEAST else value
    total = _sum(target, count)
    for i in range(count):
        out[i] /= total


def mean_of_rows(rows: int, elements: int, threads: int) -> Kernel:
    """A kernel for the means of the rows of a float32 (rows, elements)."""
    return _rowwise("mean of rows", averager, rows, elements, threads)


def lower_global_average(site: Site) -> Kernel | None:
    """A kernel for a float32 GlobalAveragePool."""
    x = site.type(0)
    if x is None or x[0] != np.float32 or 0 in x[1]:
        return None
    return mean_of_rows(prod(x[1][:2]), prod(x[1][2:]), site.threads)


def lower_softmax(site: Site) -> Kernel | None:
    """A kernel for a float32 Softmax along elements that follow one another."""
    x = site.type(0)
    if x is None or x[0] != np.float32 or not x[1] or 0 in x[1]:
        return None
    axis = site.node.attribute("axis", -1) % len(x[1])
    if prod(x[1][axis + 1 :]) != 1:
        return None
    return _rowwise("softmax", normaliser_of_rows, prod(x[1][:axis]), x[1][axis], site.threads)


def _rowwise(name: str, code: Callable[[tuple[()]], int], rows: int, elements: int, threads: int) -> Kernel:
    pieces = 1 if threads == 1 else max(1, min(MOST_PIECES * threads, rows, rows * elements // PIECE))
    shared = Shared(lambda: code(()), pieces, threads, evenly(rows, pieces), np.array([elements], np.int64))
    return Kernel.of_orders(name, one_order(shared), reads=(0,))
