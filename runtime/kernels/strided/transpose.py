"""Copies that turn two axes, by tiles in registers: neighbours of one array lie far apart in the other."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ...emit.transpose import SIDE, transpose_tile
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.order import FACTS, PIECES, WORK, X, Y
from ...orders.shared import Shared, evenly, pieces_for
from ...orders.team import take
from .walk import PIECE, View, collapsed

LINES, COLUMNS, SOURCE, TARGET, STARTS, AXES = 0, 1, 2, 3, 4, 6
"""Facts, int64: lines of the input, and elements of each, that become columns and lines of the output; bytes from a line to the
next of either; bytes before the first element of either; how many other axes there are. For each of those follow its size and
the bytes from one place to the next of either, the innermost of them first."""

AXIS, BYTES = 3, 4
"""Numbers of an axis; bytes of an element."""


def turn(shape: Sequence[int], taken: View, given: View, threads: int) -> Shared | None:
    """The work of copying elements of four bytes of an array of ``shape``, which lie as views say in input and output; ``None``
    unless different axes have the neighbours, and a tile fits into these."""
    axes = collapsed(shape, (taken, given))
    near = [[i for i, (size, steps) in enumerate(axes) if steps[end] == BYTES and size >= SIDE] for end in (0, 1)]
    if not all(near) or near[0] == near[1]:
        return None
    (across, (_, target)), (down, (source, _)) = axes[near[0][0]], axes[near[1][0]]
    outer = [axis for i, axis in enumerate(axes) if i not in (near[0][0], near[1][0])][::-1]
    numbers = [number for size, strides in outer for number in (size, *strides)]
    facts = np.array([down, across, source, target, taken.start, given.start, len(outer), *numbers], np.int64)
    places = prod(size for size, _ in outer) * -(-down // SIDE)
    pieces = pieces_for(threads, places, prod(shape) // PIECE)
    return Shared(lambda: turner(()), pieces, threads, evenly(places, pieces), facts)


@jit
def turner(kinds):
    """Address of the code that copies, see :func:`turn_lines`; ``kinds`` is empty."""
    return code_of(kinds, turn_lines)


@jit
def turn_lines(kinds, order, member):
    """Take pieces of the work of the order at address ``order`` until none is left: lines of the input, :data:`SIDE` at a time.
    The last tile of a line, and the last lines, overlap those before."""
    facts = number_at(order, FACTS)
    lines, columns = number_at(facts, LINES), number_at(facts, COLUMNS)
    source_pitch, target_pitch = number_at(facts, SOURCE), number_at(facts, TARGET)
    bands = (lines + SIDE - 1) // SIDE
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for place in range(number_at(work, 0), number_at(work, 1)):
            source = number_at(order, X) + number_at(facts, STARTS)
            target = number_at(order, Y) + number_at(facts, STARTS + 1)
            index, at = place // bands, facts + 8 * (AXES + 1)
            for _ in range(number_at(facts, AXES)):
                here = index % number_at(at, 0)
                index //= number_at(at, 0)
                source += here * number_at(at, 1)
                target += here * number_at(at, 2)
                at += 8 * AXIS
            line = min(place % bands * SIDE, lines - SIDE)
            for column in range(0, columns, SIDE):
                begin = min(column, columns - SIDE)
                to, at = target + begin * target_pitch + BYTES * line, source + line * source_pitch + BYTES * begin
                transpose_tile(to, target_pitch, at, source_pitch, SIDE, 0)
        piece = take(order, member)
