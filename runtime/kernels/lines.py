"""The nonzeros of a matrix line after line, a line being a row or a column, and their products with one vector.

Row by row, every weight is multiplied. Column by column, columns that meet a zero activation are skipped (Han et al., EIE,
ISCA 2016, walk their weights in this order), and where the codebook is smaller than a column it is multiplied by the activation
once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._jit import jit
from ._vector import prefetch
from .matrix import Layout, Matrix
from .walk import dot, scatter

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


def make_lines(matrix: Matrix, by_rows: bool) -> Lines:
    """List the nonzeros of ``matrix`` by rows or by columns."""
    lines, length = (matrix.rows, matrix.columns) if by_rows else (matrix.columns, matrix.rows)
    narrow = np.uint16 if length <= 1 << 16 else np.uint32
    crossed, starts, minors = by_rows != matrix.by_rows, matrix.starts, matrix.minors
    has_zeros = matrix.dead is None or matrix.dead.any()
    if starts is not None and minors is not None and not crossed and not has_zeros:
        return Lines(matrix.rows, matrix.columns, by_rows, starts, minors.astype(narrow), matrix.codes, matrix.codebook)
    start = np.zeros(lines + 1, np.int64)
    _list(*matrix.listing[:-1], crossed, start[1:], None, None)
    np.cumsum(start, out=start)
    minor, code = np.empty(start[-1], narrow), np.empty(start[-1], matrix.codes.dtype)
    _list(*matrix.listing[:-1], crossed, start[:-1].copy(), minor, code)
    return Lines(matrix.rows, matrix.columns, by_rows, start, minor, code, matrix.codebook)


@jit
def _is_zero(codes, dead, entry):
    if dead is None:
        return codes[entry] == 0
    return dead[codes[entry]]


@jit
def _list(starts, minors, codes, dead, full, minor_length, crossed, cursor, minor_out, code_out):
    """Move on the ``cursor`` of its line at every nonzero; write it where that stood, unless the outputs are ``None``.

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
                if minor_out is not None:
                    minor_out[at] = place
                    code_out[at] = codes[entry]


@jit
def multiply_rows(x, start, minor, code, codebook, y):
    """``y[r] = sum(weight * x[minor])`` over the entries ``start[r]:start[r + 1]``, for every element of ``y``."""
    for r in range(len(y)):
        y[r] = dot(x, minor, code, codebook, start[r], start[r + 1])


@jit
def multiply_columns(x, start, minor, code, codebook, y):
    """``y[minor] += weight * x[j]`` over the entries ``start[j]:start[j + 1]``, for every element of ``x`` that is not 0."""
    scaled = np.empty(256, np.float32)
    active = np.empty(len(x) + 1, np.int64)
    count = 0
    for j in range(len(x)):
        active[count] = j
        count += x[j] != 0 and start[j] < start[j + 1]
    minor_step, code_step = 64 // minor.itemsize, 64 // code.itemsize
    for i in range(count):
        j, following = active[i], active[min(i + AHEAD, count - 1)]
        begin, end = start[j], start[j + 1]
        for at in range(start[following], start[following + 1], minor_step):
            prefetch(minor, at)
        for at in range(start[following], start[following + 1], code_step):
            prefetch(code, at)
        if code.itemsize < 4 and len(codebook) <= min(256, end - begin - 1):
            for k in range(len(codebook)):
                scaled[k] = codebook[k] * x[j]
            scatter(y, minor, code, scaled, np.float32(1), begin, end)
        else:
            scatter(y, minor, code, codebook, x[j], begin, end)
