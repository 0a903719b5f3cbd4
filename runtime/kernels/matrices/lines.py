"""The nonzeros of a matrix line after line, a line being a row or a column, and their products with one vector.

Row by row, every weight is multiplied. Column by column, columns that meet a zero activation are skipped (Han et al., EIE,
ISCA 2016, walk their weights in this order).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...emit.finish import LANES, finish_line
from ...emit.memory import copy_lanes, float_at, place_at, prefetch_address, put_float
from ...emit.walk import dot, scatter
from ...jit.jitted import jit
from ...orders.atomic import add_at, code_of, number_at
from ...orders.order import COUNTED, FACTS, OTHER, PIECES, SCRATCH, WORK, X, Y
from ...orders.team import take
from .matrix import Layout, Matrix

OUTPUTS, START, MINOR, CODE, CODEBOOK, PLACE, SCALE, SHIFT, BOUNDS = range(9)
"""Facts, int64: outputs; addresses of the arrays of :class:`SortedLines`, of scales and shifts, padded, and of (low, high)
and the numbers of a gate."""

WHOLE = ((),) * LANES

WINDOW = 2048
"""Lines that are sorted together: what they meet, inputs or outputs, stays in the first-level cache."""

AHEAD = 3
"""Active columns by which the walk asks for entries ahead of time: skipping columns defeats the processor's own prefetching."""


@dataclass(frozen=True, eq=False)
class Lines(Layout):
    """``rows`` x ``columns`` weights: entries of line ``i`` (a row when ``by_rows``) are ``start[i]:start[i + 1]``, int64.

    ``minor`` uint16 or uint32 is the place in the line, ascending; ``code`` an index into ``codebook``, or a float32 weight.
    No entry is a zero.
    """

    rows: int
    columns: int
    by_rows: bool
    start: np.ndarray
    minor: np.ndarray
    code: np.ndarray
    codebook: np.ndarray


@dataclass(frozen=True, eq=False)
class SortedLines(Lines):
    """Neighbouring lines in the order of their lengths, so that the processor predicts where loops over them end.

    Line ``i`` is row, or column, ``place[i]``, uint32.
    """

    place: np.ndarray


def make_lines(matrix: Matrix, by_rows: bool) -> Lines:
    """List the nonzeros of ``matrix`` by rows or by columns."""
    starts, minors = matrix.starts, matrix.minors
    if starts is not None and minors is not None and by_rows == matrix.by_rows and not matrix.has_zeros:
        minors = minors.astype(_narrow(matrix, by_rows))
        return Lines(matrix.rows, matrix.columns, by_rows, starts, minors, matrix.codes, matrix.codebook)
    start = _starts(_counts(matrix, by_rows))
    return Lines(matrix.rows, matrix.columns, by_rows, start, *_listed(matrix, by_rows, start[:-1].copy()), matrix.codebook)


def make_sorted_lines(matrix: Matrix, by_rows: bool) -> SortedLines:
    """List the nonzeros of ``matrix`` by rows or by columns, short ones first among :data:`WINDOW` neighbours."""
    counts = _counts(matrix, by_rows)
    place = np.argsort(np.arange(len(counts)) // WINDOW * (1 + counts.max(initial=0)) + counts, kind="stable")
    start, cursor = _starts(counts[place]), np.empty_like(counts)
    cursor[place] = start[:-1]
    listed = _listed(matrix, by_rows, cursor)
    return SortedLines(matrix.rows, matrix.columns, by_rows, start, *listed, matrix.codebook, place.astype(np.uint32))


def _narrow(matrix: Matrix, by_rows: bool) -> type[np.unsignedinteger]:
    return np.uint16 if (matrix.columns if by_rows else matrix.rows) <= 1 << 16 else np.uint32


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _counts(matrix: Matrix, by_rows: bool) -> np.ndarray:
    """(lines,) int64: the nonzeros of each line."""
    counts = np.zeros(matrix.rows if by_rows else matrix.columns, np.int64)
    nothing = np.empty(0, _narrow(matrix, by_rows)), np.empty(0, matrix.codes.dtype)
    _list(*matrix.listing[:-1], by_rows != matrix.by_rows, counts, *nothing)
    return counts


def _listed(matrix: Matrix, by_rows: bool, cursor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(minors, codes), each line's nonzeros from its ``cursor`` on, which is moved to their end."""
    minor, code = np.empty(matrix.nonzeros, _narrow(matrix, by_rows)), np.empty(matrix.nonzeros, matrix.codes.dtype)
    _list(*matrix.listing[:-1], by_rows != matrix.by_rows, cursor, minor, code)
    return minor, code


@jit
def _is_zero(codes, dead, entry):
    if dead is None:
        return codes[entry] == 0
    return dead[codes[entry]]


@jit
def _list(starts, minors, codes, dead, full, minor_length, crossed, cursor, minor_out, code_out):
    """Move on the ``cursor`` of its line at every nonzero; write it where that stood, unless the outputs are empty.

    Lines are the majors, or the minors when ``crossed``.
    """
    majors = len(codes) // max(1, minor_length) if full else len(starts) - 1
    for major in range(majors):
        begin = major * minor_length if full else starts[major]
        end = begin + minor_length if full else starts[major + 1]
        for entry in range(begin, end):
            if not _is_zero(codes, dead, entry):
                minor = entry - begin if full else np.int64(minors[entry])
                line, place = (minor, major) if crossed else (major, minor)
                at = cursor[line]
                cursor[line] = at + 1
                if len(minor_out) > 0:  # one kernel for both: most of what compiling costs does not depend on the size
                    minor_out[at] = place
                    code_out[at] = codes[entry]


@jit
def line_multiplier(by_rows, minor, code, gate):
    """Address of the code that carries out an order for lines that are rows, or, where ``by_rows`` is empty, columns; ``minor``
    and ``code`` as in :mod:`~tersor.runtime.emit.walk`, ``gate`` as in :mod:`~tersor.runtime.emit.finish`."""
    if len(by_rows):
        return code_of((minor, code, gate), multiply_rows)
    return code_of((minor, code, gate), multiply_columns)


@jit
def multiply_rows(kinds, order, member):
    """Take pieces of the rows of the order at address ``order`` until none is left. Whoever does the last one finishes all."""
    facts, x, sums = number_at(order, FACTS), number_at(order, X), number_at(order, SCRATCH)
    start, minors, codes, codebook, places = _listing(facts)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for i in range(number_at(work, 0), number_at(work, 1)):
            total = dot(kinds[0], kinds[1], x, minors, codes, codebook, number_at(start, i), number_at(start, i + 1))
            put_float(sums + 4 * place_at(places, i), total)
        _finish_last(kinds[2], order, facts, 1)
        piece = take(order, member)


@jit
def multiply_columns(kinds, order, member):
    """Take pieces of the columns of the order at address ``order`` until none is left. Each piece has sums of its own, which
    whoever does the last one adds up in their order."""
    facts, pieces = number_at(order, FACTS), number_at(order, PIECES)
    room = padded(number_at(facts, OUTPUTS))
    piece = take(order, member)
    while piece < pieces:
        sums, work = number_at(order, SCRATCH) + 4 * room * piece, number_at(order, WORK) + 8 * piece
        for m in range(0, room, LANES):
            copy_lanes(WHOLE, sums + 4 * m, sums, 0, 0)
        _add_columns(kinds, facts, number_at(order, X), number_at(work, 0), number_at(work, 1), sums)
        _finish_last(kinds[2], order, facts, pieces)
        piece = take(order, member)


@jit
def padded(count):
    """``count`` as a whole number of vectors."""
    return (count + LANES - 1) // LANES * LANES


@jit
def _listing(facts):
    """Addresses of start, minors, codes, codebook and places."""
    return (
        number_at(facts, START), number_at(facts, MINOR), number_at(facts, CODE), number_at(facts, CODEBOOK),
        number_at(facts, PLACE),
    )  # fmt: skip


@jit
def _finish_last(gate, order, facts, parts):
    """Note that a piece is done; when it was the last one, add up ``parts`` sums of each output and finish them."""
    if add_at(order + 8 * COUNTED, 1) == number_at(order, PIECES) - 1:
        M, y, other = number_at(facts, OUTPUTS), number_at(order, Y), number_at(order, OTHER)
        affine = number_at(facts, SCALE), number_at(facts, SHIFT), number_at(facts, BOUNDS)
        finish_line(gate, y, number_at(order, SCRATCH), parts, 4 * padded(M), M, affine[0], affine[1], affine[2], other)


@jit
def _add_columns(kinds, facts, x, first, last, sums):
    """Add the products of the lines ``[first, last)`` whose elements of ``x`` are not 0 to ``sums``."""
    minor, code, _ = kinds
    start, minors, codes, codebook, places = _listing(facts)
    active, count = np.empty(last - first + 1, np.int64), 0
    for j in range(first, last):
        active[count] = j
        count += float_at(x + 4 * place_at(places, j)) != 0 and number_at(start, j) < number_at(start, j + 1)
    for i in range(count):
        j, following = active[i], active[min(i + AHEAD, count - 1)]
        begin, end, value = number_at(start, j), number_at(start, j + 1), float_at(x + 4 * place_at(places, j))
        ahead, behind = number_at(start, following), number_at(start, following + 1)
        for at in range(ahead, behind, 64 // len(minor)):
            prefetch_address(minors + len(minor) * at)
        for at in range(ahead, behind, 64 // len(code)):
            prefetch_address(codes + len(code) * at)
        scatter(minor, code, sums, minors, codes, codebook, value, begin, end)
