"""Planes of the phases of a larger plane, interleaved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...emit.finish import gate_of, passed_one
from ...emit.memory import floats_at
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.order import FACTS, OTHER, PIECES, WORK, X, Y
from ...orders.shared import Shared, evenly
from ...orders.team import take
from ..rowwise import pieces_of_rows

HEIGHT, WIDTH, OH, OW, STRIDE_H, STRIDE_W, TOP, LEFT, BOUNDS = range(9)
"""Facts of an order: the size of a phase's plane and of the larger one; phases of rows and of columns; the row and the column
that the larger plane begins with; the address of the bounds of sums with a residual, and of the numbers of their gate."""


@dataclass(frozen=True, eq=False)
class Interleaved(Shared):
    """``y`` (planes, OH, OW) from ``x`` (planes, STRIDE_H * STRIDE_W, HEIGHT, WIDTH)."""

    @classmethod
    def of(
        cls,
        planes: int,
        size: Sequence[int],
        output: Sequence[int],
        strides: Sequence[int],
        cut: Sequence[int],
        bounds: np.ndarray,
        threads: int,
    ) -> Interleaved:
        """Planes of one dimension or two: element ``(q * stride + p - cut)`` of ``output`` is element ``q`` of phase ``p``. A
        residual is added, if there is one, and the sum kept within ``bounds``, or passes the gate whose numbers are behind."""
        one, zero = (1,) * (2 - len(size)), (0,) * (2 - len(size))
        facts = np.array([*one, *size, *one, *output, *one, *strides, *zero, *cut, bounds.ctypes.data], np.int64)
        pieces = pieces_of_rows(planes, int(np.prod(output)), threads)
        return cls(lambda: interleaver(gate_of(bounds)), pieces, threads, evenly(planes, pieces), facts, (bounds,))


@jit
def interleaver(gate):
    """Address of the code that interleaves, see :func:`interleave`, with a ``gate`` behind a residual as in
    :mod:`~tersor.runtime.emit.finish`."""
    return code_of(gate, interleave)


@jit
def interleave(gate, order, member):
    """Take pieces of the planes of the order at address ``order`` until none is left."""
    facts = number_at(order, FACTS)
    height, phases = number_at(facts, OH), number_at(facts, STRIDE_H)
    inner = number_at(facts, HEIGHT) * number_at(facts, WIDTH)
    pitch, outer = 4 * phases * number_at(facts, STRIDE_W) * inner, 4 * height * number_at(facts, OW)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for plane in range(number_at(work, 0), number_at(work, 1)):
            for row in range(height):
                quotient, phase = (row + number_at(facts, TOP)) // phases, (row + number_at(facts, TOP)) % phases
                source = phase * number_at(facts, STRIDE_W) * inner + quotient * number_at(facts, WIDTH)
                at = plane * outer + 4 * row * number_at(facts, OW)
                _interleave_row(facts, number_at(order, X) + plane * pitch + 4 * source, number_at(order, Y) + at, inner)
                if number_at(order, OTHER) != 0:
                    places = number_at(order, Y) + at, number_at(order, OTHER) + at
                    _add(gate, places, number_at(facts, OW), number_at(facts, BOUNDS))
        piece = take(order, member)


@jit
def _interleave_row(facts, source, target, inner):
    """Fill a row at address ``target`` from rows at ``source``, one in each plane of ``inner`` elements."""
    width, stride, left = number_at(facts, OW), number_at(facts, STRIDE_W), number_at(facts, LEFT)
    out = floats_at(target, width)
    for phase in range(stride):
        begin = (phase - left) % stride
        row, skipped = floats_at(source + 4 * phase * inner, number_at(facts, WIDTH)), (begin + left) // stride
        for i in range((width - begin + stride - 1) // stride):
            out[begin + i * stride] = row[skipped + i]


@jit
def _add(gate, places, count, bounds):
    """Add to ``count`` elements at the first of two addresses those at the second, and finish the sums."""
    out, more = floats_at(places[0], count), floats_at(places[1], count)
    for i in range(count):
        out[i] = passed_one(gate, out[i] + more[i], bounds)
