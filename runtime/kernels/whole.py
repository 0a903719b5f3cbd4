"""A matrix with a code for every weight, zeros included, and its products with one vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._jit import jit
from .matrix import Layout, Matrix

TOGETHER = 4
"""Columns that are added in one pass over the outputs."""


@dataclass(frozen=True, eq=False)
class Whole(Layout):
    """``code`` (columns, rows), or (rows, columns) when ``by_rows``: indices into ``codebook``, or float32 weights."""

    by_rows: bool
    code: np.ndarray
    codebook: np.ndarray


def make_whole(matrix: Matrix) -> Whole:
    """Codes column after column; unshared weights stay in the order that they have."""
    grid, codebook = _listed(matrix)
    by_rows = matrix.by_rows and grid.dtype == np.float32
    return Whole(by_rows, np.ascontiguousarray(grid if by_rows or not matrix.by_rows else grid.T), codebook)


def _listed(matrix: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """(codes or float32 weights (majors, minor length), codebook), zeros included."""
    codes, codebook = matrix.codes, matrix.codebook
    if matrix.starts is not None and matrix.minors is not None:
        codes, codebook = _with_zero(matrix)
    return codes.reshape(matrix.majors, matrix.minor_length), codebook


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


def whole_rows(matrix: Matrix) -> tuple[np.ndarray, np.ndarray | None]:
    """(rows, columns): uint8 codes with their codebook, or float32 weights without."""
    grid, codebook = _listed(matrix)
    rows = grid if matrix.by_rows else grid.T
    if rows.dtype == np.uint8:
        return rows, codebook
    return (rows if rows.dtype == np.float32 else codebook[rows]), None


@jit
def multiply_whole(x, code, codebook, first, y):
    """``y[i] = sum(codebook[code[j, first + i]] * x[j])`` over the elements of ``x`` that are not 0."""
    active = np.flatnonzero(x)
    y[:] = 0
    grouped = len(active) - len(active) % TOGETHER if len(codebook) <= len(y) else 0
    scaled = np.empty((TOGETHER, len(codebook)), np.float32)
    for at in range(0, grouped, TOGETHER):
        for t in range(TOGETHER):
            for k in range(len(codebook)):
                scaled[t, k] = codebook[k] * x[active[at + t]]
        a, b, c, d = code[active[at]], code[active[at + 1]], code[active[at + 2]], code[active[at + 3]]
        for i in range(len(y)):
            n = first + i
            y[i] += (scaled[0, a[n]] + scaled[1, b[n]]) + (scaled[2, c[n]] + scaled[3, d[n]])
    for j in active[grouped:]:
        for i in range(len(y)):
            y[i] += codebook[code[j, first + i]] * x[j]


@jit
def multiply_whole_values(x, value, first, y):
    """As :func:`multiply_whole`, for weights that are not shared."""
    y[:] = 0
    for j in range(len(x)):
        v = x[j]
        if v != 0:
            column = value[j]
            for i in range(len(y)):
                y[i] += column[first + i] * v


@jit(fastmath={"reassoc", "contract"})
def multiply_whole_rows(x, weights, y):
    """``y = weights @ x`` for float32 ``weights`` (rows, columns)."""
    for r in range(len(y)):
        row = weights[r]
        total = np.float32(0)
        for j in range(len(x)):
            total += row[j] * x[j]
        y[r] = total
