"""Fully connected layer for one input vector: column by column, columns that meet a zero activation skipped.

Where the codebook is smaller than a column it is multiplied by the activation once, and each weight of the column is a
look-up and an addition (Han et al., EIE, ISCA 2016, walk their weights in the same order).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ._jit import jit
from ._vector import prefetch
from .matrix import Matrix

FULL_DENSITY = 0.5
"""From this density on, columns are stored whole: a code for every row, and no row numbers."""

AHEAD = 3
"""Active columns by which the walk asks for entries ahead of time: skipping columns defeats the processor's own prefetching."""

TOGETHER = 4
"""Whole columns that are added in one pass over the outputs."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Weights by part (a range of rows), then column.

    ``cuts`` (parts + 1,) int64 are the rows at which parts start. ``start`` (parts, columns + 1) int64 locates the entries of a
    part's columns: ``row`` uint16 or uint32, relative to the part, and ``code``, an index into ``codebook`` or a float32
    weight. ``row`` is ``None`` when columns are whole, and then float32 weights may be ``by_rows``: one array, row after row.
    """

    cuts: np.ndarray
    start: np.ndarray
    row: np.ndarray | None
    code: np.ndarray
    codebook: np.ndarray
    by_rows: bool = False

    @property
    def bytes(self) -> int:
        """Memory of everything."""
        return sum(part.nbytes for part in vars(self).values() if isinstance(part, np.ndarray))


def make_columns(matrix: Matrix, parts: int) -> Columns:
    """List the weights of ``matrix`` by column, its rows cut into ``parts`` equal ranges."""
    cuts = (np.arange(parts + 1) * matrix.rows // parts).astype(np.int64)
    if matrix.nonzeros >= FULL_DENSITY * matrix.rows * matrix.columns:
        return _whole(matrix, cuts)
    part_of = np.repeat(np.arange(parts), np.diff(cuts)).astype(np.int32)
    counts = np.zeros((parts, matrix.columns), np.int64)
    _count(*matrix.listing, part_of, counts)
    total = np.concatenate([[0], np.cumsum(counts)])
    start = np.concatenate([total[:-1].reshape(counts.shape), total[matrix.columns :: matrix.columns][:, None]], axis=1)
    narrow = np.diff(cuts).max(initial=0) <= 1 << 16
    row = np.empty(total[-1], np.uint16 if narrow else np.uint32)
    code = np.empty(total[-1], matrix.codes.dtype)
    _fill(*matrix.listing, part_of, cuts, start[:, :-1].copy(), row, code)
    return Columns(cuts, np.ascontiguousarray(start), row, code, matrix.codebook)


def _whole(matrix: Matrix, cuts: np.ndarray) -> Columns:
    """Every element listed, column after column of each part; unshared weights stay in the order that they have."""
    codes, codebook = matrix.codes, matrix.codebook
    if matrix.by_rows and codes.dtype == np.float32:
        return Columns(cuts, np.zeros((len(cuts) - 1, 1), np.int64), None, codes, codebook, by_rows=True)
    if matrix.starts is not None and matrix.minors is not None:
        codes, codebook = _with_zero(matrix)
    grid = codes.reshape(matrix.majors, matrix.minor_length)
    by_column = grid.T if matrix.by_rows else grid
    pieces = [np.ascontiguousarray(by_column[:, a:b]).reshape(-1) for a, b in pairwise(cuts)]
    start = cuts[:-1, None] * matrix.columns + np.arange(matrix.columns + 1) * np.diff(cuts)[:, None]
    return Columns(cuts, np.ascontiguousarray(start), None, np.concatenate(pieces), codebook)


def _with_zero(matrix: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """(codes of every element, codebook), zero being the codebook's last entry."""
    assert matrix.starts is not None
    assert matrix.minors is not None
    codebook = np.append(matrix.codebook, np.float32(0))
    wide = np.uint16 if len(codebook) > 1 << 8 else matrix.codes.dtype
    if len(codebook) > 1 << 16:
        codes, codebook = np.zeros(matrix.majors * matrix.minor_length, np.float32), matrix.codebook[:1]
        listed = matrix.codebook[matrix.codes]
    else:
        codes, listed = np.full(matrix.majors * matrix.minor_length, len(codebook) - 1, wide), matrix.codes
    major = np.repeat(np.arange(matrix.majors, dtype=np.int64), np.diff(matrix.starts))
    codes[major * matrix.minor_length + matrix.minors] = listed
    return codes, codebook


@jit
def _is_zero(codes, dead, entry):
    if dead is None:
        return codes[entry] == 0
    return dead[codes[entry]]


@jit
def _count(starts, minors, codes, dead, full, minor_length, by_rows, part_of, counts):
    """Add up the nonzero weights of each (part, column)."""
    majors = len(codes) // max(1, minor_length) if full else len(starts) - 1
    for major in range(majors):
        begin = major * minor_length if full else starts[major]
        end = begin + minor_length if full else starts[major + 1]
        for entry in range(begin, end):
            if not _is_zero(codes, dead, entry):
                minor = entry - begin if full else np.int64(minors[entry])
                row, column = (major, minor) if by_rows else (minor, major)
                counts[part_of[row], column] += 1


@jit
def _fill(starts, minors, codes, dead, full, minor_length, by_rows, part_of, cuts, cursor, row_out, code_out):
    """Write each nonzero weight where ``cursor`` (part, column) stands, and move the cursor on."""
    majors = len(codes) // max(1, minor_length) if full else len(starts) - 1
    for major in range(majors):
        begin = major * minor_length if full else starts[major]
        end = begin + minor_length if full else starts[major + 1]
        for entry in range(begin, end):
            if not _is_zero(codes, dead, entry):
                minor = entry - begin if full else np.int64(minors[entry])
                row, column = (major, minor) if by_rows else (minor, major)
                part = part_of[row]
                at = cursor[part, column]
                cursor[part, column] = at + 1
                row_out[at] = row - cuts[part]
                code_out[at] = codes[entry]


@jit
def _active(x, start):
    """Columns that have weights and meet a nonzero activation."""
    active = np.empty(len(x) + 1, np.int64)
    count = 0
    for j in range(len(x)):
        active[count] = j
        count += x[j] != 0 and start[j] < start[j + 1]
    return active[:count]


@jit
def multiply_sparse(x, start, row, code, codebook, y):
    """``y[row] += weight * x[column]`` over the columns of one part; ``start`` (columns + 1,)."""
    scaled = np.empty(256, np.float32)
    active = _active(x, start)
    row_step, code_step = 64 // row.itemsize, 64 // code.itemsize
    y[:] = 0
    for i in range(len(active)):
        j, following = active[i], active[min(i + AHEAD, len(active) - 1)]
        begin, end, v = start[j], start[j + 1], x[j]
        for at in range(start[following], start[following + 1], row_step):
            prefetch(row, at)
        for at in range(start[following], start[following + 1], code_step):
            prefetch(code, at)
        if end - begin > len(codebook) and len(codebook) <= 256:
            for k in range(len(codebook)):
                scaled[k] = codebook[k] * v
            for p in range(begin, end):
                y[row[p]] += scaled[code[p]]
        else:
            for p in range(begin, end):
                y[row[p]] += codebook[code[p]] * v


@jit
def multiply_sparse_values(x, start, row, value, y):
    """As :func:`multiply_sparse`, for weights that are not shared."""
    y[:] = 0
    for j in range(len(x)):
        v = x[j]
        if v != 0:
            for p in range(start[j], start[j + 1]):
                y[row[p]] += value[p] * v


@jit
def multiply_whole(x, start, code, codebook, y):
    """As :func:`multiply_sparse`, for whole columns: ``code`` has one entry for every row."""
    active = _active(x, start)
    y[:] = 0
    grouped = len(active) - len(active) % TOGETHER if len(codebook) <= len(y) else 0
    scaled = np.empty((TOGETHER, len(codebook)), np.float32)
    for first in range(0, grouped, TOGETHER):
        for t in range(TOGETHER):
            for k in range(len(codebook)):
                scaled[t, k] = codebook[k] * x[active[first + t]]
        a, b, c, d = start[active[first]], start[active[first + 1]], start[active[first + 2]], start[active[first + 3]]
        for i in range(len(y)):
            y[i] += (scaled[0, code[a + i]] + scaled[1, code[b + i]]) + (scaled[2, code[c + i]] + scaled[3, code[d + i]])
    for j in active[grouped:]:
        for i in range(len(y)):
            y[i] += codebook[code[start[j] + i]] * x[j]


@jit
def multiply_whole_values(x, start, value, y):
    """As :func:`multiply_whole`, for weights that are not shared."""
    y[:] = 0
    for j in range(len(x)):
        v = x[j]
        if v != 0:
            column = value[start[j] : start[j + 1]]
            for i in range(len(y)):
                y[i] += column[i] * v


@jit(fastmath={"reassoc", "contract"})
def multiply_rows(x, weights, y):
    """``y = weights @ x`` for ``weights`` (rows, columns)."""
    for r in range(len(y)):
        row = weights[r]
        total = np.float32(0)
        for j in range(len(x)):
            total += row[j] * x[j]
        y[r] = total


@jit
def finish(y, residual, scale, shift, low, high):
    """``y = clip(y * scale + shift + residual, low, high)``; the residual is absent when it is empty."""
    for i in range(len(y)):
        value = y[i] * scale[i] + shift[i]
        if len(residual):
            value += residual[i]
        value = low if value < low else value
        y[i] = high if value > high else value
