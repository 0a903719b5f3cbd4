"""Sparse matrix times a batch of vectors, which lies in the lanes of registers: every weight meets all of it at once."""

from __future__ import annotations

from ...emit.finish import finish_line
from ...emit.memory import copy_vector
from ...emit.transpose import SIDE, transpose_tile
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.order import FACTS, OTHER, PIECES, SCRATCH, X, Y
from ...orders.team import take
from .run_tile import LANES, add_runs

FINISHED = 64
"""Rows whose sums are finished at a time: stores of one vector then fill whole cache lines, several in a row."""

(
    INPUTS, OUTPUTS, VECTORS, WIDTH, PANELS, CUTS, FIRST, ENTRY, ROW, LENGTH, OFFSET, CODE, CODEBOOK, SCALE, SHIFT, BOUNDS,
    PLACE_BYTES,
) = range(17)  # fmt: skip
"""Facts, int64: inputs, outputs and vectors; width of a block; panels; addresses of what a
:class:`.runs.Runs` says of them, of scales and shifts, padded, and of (low, high) and the numbers of a
gate; bytes of scratch memory of one thread."""

ONE = ((),)


def scratch_floats(registers: int, width: int, rows: int) -> int:
    """Floats of scratch memory of one thread, whole cache lines, for panels of at most ``rows`` rows: a packed block, a tile of
    outputs, and the sums of a panel."""
    return (width + rows) * registers * LANES + SIDE * FINISHED


@jit
def batch_multiplier(group, code, gate):
    """Address of the code that carries out an order for ``len(group)`` registers of vectors; ``code`` as in
    :mod:`~tersor.runtime.emit.walk`, ``gate`` as in :mod:`~tersor.runtime.emit.finish`."""
    return code_of((group, code, gate), multiply_batch)


@jit
def multiply_batch(kinds, order, member):
    """Take pieces of the work of the order at address ``order`` until none is left: a piece is a panel and ``R`` registers of
    vectors. ``x`` is (vectors · inputs,), ``y`` and a residual (vectors · outputs,)."""
    facts = number_at(order, FACTS)
    scratch = number_at(order, SCRATCH) + member * number_at(facts, PLACE_BYTES)
    panels = number_at(facts, PANELS)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        first = piece // panels * len(kinds[0]) * LANES
        _multiply_panel(kinds, order, facts, scratch, piece % panels, first)
        piece = take(order, member)


@jit
def _multiply_panel(kinds, order, facts, packed, panel, first):
    """Products of the rows of one panel with the vectors from ``first`` on."""
    group, code, gate = kinds
    lanes, K, width = len(group) * LANES, number_at(facts, INPUTS), number_at(facts, WIDTH)
    count = min(lanes, number_at(facts, VECTORS) - first)
    tile = packed + 4 * width * lanes
    sums, x = tile + 4 * SIDE * FINISHED, number_at(order, X) + 4 * first * K
    blocks = (K + width - 1) // width
    runs, entry = number_at(facts, FIRST) + 8 * panel * blocks, number_at(number_at(facts, ENTRY), panel)
    for block in range(blocks):
        column = block * width
        _pack(x + 4 * column, K, count, lanes, min(width, K - column), packed)
        entry = add_runs(
            group, code, packed, sums, 1 if block == 0 else 0, number_at(facts, ROW), number_at(facts, LENGTH),
            number_at(runs, block), number_at(runs, block + 1), number_at(facts, OFFSET), number_at(facts, CODE),
            number_at(facts, CODEBOOK), entry,
        )  # fmt: skip
    _finish(gate, order, facts, panel, first, count, lanes, sums, tile)


@jit
def _pack(x, K, count, lanes, columns, packed):
    """Pack ``columns`` columns of ``count`` vectors, ``K`` floats apart, for all lanes: the last vector stands for those that
    are not there. The next block's columns are asked for meanwhile."""
    whole = columns - columns % SIDE
    for i in range(0, lanes, SIDE):
        begin = min(i, count - 1)
        source, target = x + 4 * begin * K, packed + 4 * i
        for j in range(0, whole, SIDE):
            transpose_tile(target + 4 * j * lanes, 4 * lanes, source + 4 * j, 4 * K, count - begin, 4 * columns)
        for j in range(whole, columns):
            for k in range(SIDE):
                copy_vector(ONE, target + 4 * (j * lanes + k), source + 4 * (min(k, count - begin - 1) * K + j))


@jit
def _finish(gate, order, facts, panel, first, count, lanes, sums, tile):
    """Finish and store the sums of a panel for ``count`` vectors from ``first`` on."""
    M, cuts = number_at(facts, OUTPUTS), number_at(facts, CUTS)
    y, other = number_at(order, Y), number_at(order, OTHER)
    rows = number_at(cuts, panel + 1) - number_at(cuts, panel)
    for row in range(0, rows, FINISHED):
        m, height = number_at(cuts, panel) + row, min(FINISHED, rows - row)
        for lane in range(0, count, SIDE):
            source = sums + 4 * (row * lanes + lane)
            for h in range(0, height, SIDE):
                transpose_tile(tile + 4 * h, 4 * FINISHED, source + 4 * h * lanes, 4 * lanes, height - h, 0)
            for i in range(min(SIDE, count - lane)):
                at = 4 * ((first + lane + i) * M + m)
                finish_line(
                    gate, y + at, tile + 4 * i * FINISHED, 1, 0, height, number_at(facts, SCALE) + 4 * m,
                    number_at(facts, SHIFT) + 4 * m, number_at(facts, BOUNDS), other + at if other != 0 else 0,
                )  # fmt: skip
