"""Maximum and average pooling over windows in one or two dimensions."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...emit.fold_lines import fold_columns, fold_rows
from ...emit.fold_windows import fold_windows
from ...emit.memory import float_at, floats_at
from ...jit.host import host_registers
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.order import FACTS, PIECES, SCRATCH, WORK, X, Y, floats_of_lines
from ...orders.shared import Shared, evenly, one_order, pieces_for
from ...orders.team import take
from ..rowwise import mean_of_rows
from ..site import Kernel, Site
from .geometry import Pooling, pooling_of

H, W, OH, OW, DILATION_H, TAPS, STRIDE, DILATION_W, LEFT, LINE, ROWS, DIVISOR_H, DIVISOR_W = range(13)
"""Facts, int64: sizes of planes of inputs and outputs; dilation of rows; columns of a window, their stride, dilation and
padding; elements of a line, see :func:`_line_length`; addresses of the rows of windows, (first, count) int64, and of divisors
of rows and columns, float32, which only averages have."""

FEW, NEAR = 5, 4
"""Columns of a window that are folded in registers, and those from one window to the next, at most."""

PIECE = 10_000
"""Elements in the windows of a piece of work, at least."""


@jit
def window_pooler(lanes, adds, stride, taps):
    """Address of the code that carries out an order, see :func:`pool_windows`."""
    return code_of((lanes, adds, stride, taps), pool_windows)


@jit
def pool_windows(kinds, order, member):
    """Take pieces of the planes of the order at address ``order`` until none is left: ``x`` is (planes, H, W), ``y`` (planes,
    OH, OW).

    The maximum is taken, or, where ``adds`` is not empty, the sum, divided by ``divisor_h[oh] * divisor_w[ow]``, of windows of
    ``len(taps)`` neighbouring columns, ``len(stride)`` apart. ``lanes`` is as long as the vectors are wide.
    """
    facts = number_at(order, FACTS)
    rows, width = number_at(facts, OH), number_at(facts, W)
    pitch, pooled = 4 * width, 4 * rows * number_at(facts, OW)
    plane = number_at(facts, H) * pitch
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for n in range(number_at(work, 0), number_at(work, 1)):
            pool_rows(kinds, facts, number_at(order, X) + n * plane, pitch, number_at(order, Y) + n * pooled, 0, rows)
        piece = take(order, member)


@jit
def pool_rows(kinds, facts, source, pitch, target, first, last):
    """Fold rows ``[first, last)`` of windows of the plane at address ``source``, whose rows are ``pitch`` bytes apart, into
    those of the plane at ``target``."""
    lanes, adds, stride, taps = kinds
    width, outputs, factor = number_at(facts, W), number_at(facts, OW), np.float32(1)
    left, step, divisors = number_at(facts, LEFT), number_at(facts, DILATION_H) * pitch, number_at(facts, DIVISOR_W)
    for oh in range(first, last):
        if len(adds):
            factor = float_at(number_at(facts, DIVISOR_H) + 4 * oh)
        rows, place = number_at(facts, ROWS) + 16 * oh, target + 4 * oh * outputs
        row, count = source + number_at(rows, 0) * pitch, number_at(rows, 1)
        fold_windows(lanes, adds, stride, taps, place, row, step, count, width, left, outputs, factor, divisors)


@jit
def line_pooler(lanes, adds, apart):
    """Address of the code that carries out an order, see :func:`pool_lines`."""
    return code_of((lanes, adds, apart), pool_lines)


@jit
def pool_lines(kinds, order, member):
    """As :func:`pool_windows`, for any windows, by way of lines of folded rows in scratch memory; ``apart`` is empty where the
    stride of columns is 1."""
    facts = number_at(order, FACTS)
    length, rows = number_at(facts, LINE), number_at(facts, OH)
    lines = number_at(order, SCRATCH) + 8 * length * member
    margins = floats_at(lines, 2 * length)
    for i in range(2 * length):
        margins[i] = np.float32(0 if len(kinds[1]) else -np.inf)
    plane, pooled = 4 * number_at(facts, H) * number_at(facts, W), 4 * number_at(facts, OH) * number_at(facts, OW)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for n in range(number_at(work, 0), number_at(work, 1)):
            source, target = number_at(order, X) + n * plane, number_at(order, Y) + n * pooled
            for oh in range(rows + 1):  # a line is read a row later: a processor waits for what it has just stored
                if oh < rows:
                    _fold_line(kinds, facts, source, oh, lines + 4 * length * (oh % 2))
                if oh > 0:
                    _fold_row(kinds, facts, lines + 4 * length * ((oh - 1) % 2), oh - 1, target)
        piece = take(order, member)


@jit
def _fold_line(kinds, facts, plane, oh, line):
    """Fold the rows of windows ``oh`` of the plane at address ``plane`` into a line at the address ``line``."""
    lanes, adds, _ = kinds
    width, rows = number_at(facts, W), number_at(facts, ROWS) + 16 * oh
    row, step = plane + 4 * number_at(rows, 0) * width, 4 * number_at(facts, DILATION_H) * width
    fold_rows(lanes, adds, line + 4 * number_at(facts, LEFT), row, step, number_at(rows, 1), width)


@jit
def _fold_row(kinds, facts, line, oh, pooled):
    """Fold the columns of windows ``oh``, whose rows have been folded into the line at address ``line``, into row ``oh`` of the
    plane at address ``pooled``."""
    lanes, adds, apart = kinds
    outputs, columns = number_at(facts, OW), number_at(facts, TAPS)
    stride, dilation, factor = number_at(facts, STRIDE), number_at(facts, DILATION_W), np.float32(1)
    if len(adds):
        factor = float_at(number_at(facts, DIVISOR_H) + 4 * oh)
    target, divisors = pooled + 4 * oh * outputs, number_at(facts, DIVISOR_W)
    fold_columns(lanes, adds, apart, target, line, stride, dilation, columns, outputs, factor, divisors)


def lower_pool(site: Site) -> Kernel | None:
    """A kernel for a float32 MaxPool (without indices) or AveragePool in one or two dimensions."""
    pooling = pooling_of(site)
    if pooling is None:
        return None
    pooling = pooling.joined
    if pooling.average and pooling.whole:
        return mean_of_rows(pooling.planes, prod(pooling.source), site.threads)
    pooler, *kinds = pooler_of(*pooling.columns[:3], average=pooling.average)
    line = _line_length(*pooling.columns, pooling.source[1], pooling.target[1]) if pooler is line_pooler else 0
    facts = facts_of(pooling, line)
    elements = pooling.planes * prod(pooling.target) * pooling.height * pooling.columns[0]
    pieces = pieces_for(site.threads, pooling.planes, elements // PIECE)
    work, kept = evenly(pooling.planes, pieces), (pooling.rows, *pooling.divisors)
    shared = Shared(lambda: pooler(*kinds), pieces, site.threads, work, facts, kept)
    return Kernel.of_orders(f"pool {pooling.name}", one_order(shared), reads=(0,), scratch=8 * line * site.threads)


def facts_of(pooling: Pooling, line: int = 0) -> np.ndarray:
    """The facts of a pool whose lines have so many elements; they point to the arrays that it holds."""
    places = [table.ctypes.data for table in (pooling.rows, *pooling.divisors)]
    return np.array([*pooling.source, *pooling.target, pooling.dilation, *pooling.columns, line, *places], np.int64)


def pooler_of(taps: int, stride: int, dilation: int, *, average: bool) -> tuple[Any, ...]:
    """What compiles the code for windows with so many columns, and its arguments."""
    lengths = host_registers()[1], average
    if taps <= FEW and stride <= NEAR and dilation == 1:
        return window_pooler, *(((),) * n for n in (*lengths, stride, taps))
    return line_pooler, *(((),) * n for n in (*lengths, stride > 1))


def _line_length(taps: int, stride: int, dilation: int, left: int, width: int, outputs: int) -> int:
    """Elements of a line of folded rows, whole cache lines: with margins for the padding, and for whole vectors."""
    V = host_registers()[1]
    reach = -(-outputs // V) * V if stride == 1 else (outputs - 1) * stride + 1
    return floats_of_lines(max(reach + (taps - 1) * dilation, left + width + V))
