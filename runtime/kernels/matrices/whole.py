"""A matrix with a code for every weight, zeros included, and its products with one vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from ...emit.finish import LANES, finish_line
from ...emit.intrinsic import intrinsic, types
from ...emit.memory import address, copy_lanes, float_at, floats_at, pointer, put_float
from ...emit.vector import I64, fma
from ...emit.walk import listed, loop, weights
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.order import FACTS, OTHER, PIECES, SCRATCH, WORK, X, Y
from ...orders.team import take
from ..rowwise import product_of
from .matrix import Layout, Matrix

INPUTS, OUTPUTS, CODE, CODEBOOK, SCALE, SHIFT, BOUNDS = range(7)
"""Facts, int64: inputs and outputs; addresses of codes, or weights, and codebook, of scales and shifts, padded, and of (low,
high) and the numbers of a gate."""

WHOLE = ((),) * LANES

TOGETHER, AT_ONCE = 8, 4
"""Columns that are added in one pass over the outputs, and the outputs of one turn: their sums and the factors of the columns
have registers."""

ONE, SOME = ((),), ((),) * TOGETHER


@dataclass(frozen=True, eq=False)
class Whole(Layout):
    """``code`` (columns, rows), or (rows, columns) when ``by_rows``: indices into ``codebook``, or float32 weights."""

    by_rows: bool
    code: np.ndarray
    codebook: np.ndarray


def make_whole(matrix: Matrix) -> Whole:
    """Codes column after column; unshared weights row after row."""
    grid, codebook = _listed(matrix)
    by_rows = grid.dtype == np.float32
    return Whole(by_rows, np.ascontiguousarray(grid if by_rows == matrix.by_rows else grid.T), codebook)


def _listed(matrix: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """(codes or float32 weights (majors, minor length), codebook), zeros included."""
    codes, codebook = matrix.codes, matrix.codebook
    if matrix.starts is not None and matrix.minors is not None:
        codes, codebook = _with_zero(matrix, matrix.starts, matrix.minors)
    return codes.reshape(matrix.majors, matrix.minor_length), codebook


def _with_zero(matrix: Matrix, starts: np.ndarray, minors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(codes or float32 weights of every element, codebook), zero being the codebook's last entry."""
    codebook, listed, zero = matrix.codebook, matrix.codes, 0
    if matrix.dead is not None and len(codebook) < 1 << 16:
        codebook, zero = np.append(codebook, np.float32(0)), len(codebook)
        listed = listed.astype(np.uint16 if zero >= 1 << 8 else listed.dtype)
    elif matrix.dead is not None:
        codebook, listed = codebook[:1], codebook[listed]
    codes = np.full(matrix.majors * matrix.minor_length, zero, listed.dtype)
    major = np.repeat(np.arange(matrix.majors, dtype=np.int64), np.diff(starts))
    codes[major * matrix.minor_length + minors] = listed
    return codes, codebook


def whole_rows(matrix: Matrix) -> tuple[np.ndarray, np.ndarray | None]:
    """(rows, columns): uint8 codes with their codebook, or float32 weights without."""
    grid, codebook = _listed(matrix)
    rows = grid if matrix.by_rows else grid.T
    if rows.dtype == np.uint8:
        return rows, codebook
    return (rows if rows.dtype == np.float32 else codebook[rows]), None


@jit
def whole_multiplier(by_rows, code, gate):
    """Address of the code that carries out an order for weights that lie row by row, or, where ``by_rows`` is empty, column by
    column; ``code`` as in :mod:`~tersor.runtime.emit.walk`, ``gate`` as in :mod:`~tersor.runtime.emit.finish`."""
    if len(by_rows):
        return code_of((code, gate), multiply_rows)
    return code_of((code, gate), multiply_columns)


@jit
def multiply_columns(kinds, order, member):
    """Take pieces of the outputs of the order at address ``order`` until none is left: each is the sum over the columns whose
    elements of ``x`` are not 0."""
    (code, gate), facts, sums = kinds, number_at(order, FACTS), number_at(order, SCRATCH)
    x, inputs, pitch = number_at(order, X), number_at(facts, INPUTS), len(code) * number_at(facts, OUTPUTS)
    active, count = np.empty(inputs + 1, np.int64), 0
    for j in range(inputs):
        active[count] = j
        count += float_at(x + 4 * j) != 0
    places, factors = np.empty(TOGETHER, np.int64), np.empty(TOGETHER, np.float32)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        first, last = number_at(work, 0), number_at(work, 1)
        for m in range(first, last, LANES):
            copy_lanes(WHOLE, sums + 4 * m, sums, 0, 0)
        at, codebook = 0, number_at(facts, CODEBOOK)
        while at < count:
            together = TOGETHER if at + TOGETHER <= count else 1
            for t in range(together):
                places[t] = number_at(facts, CODE) + active[at + t] * pitch + len(code) * first
                factors[t] = float_at(x + 4 * active[at + t])
            if together == 1:
                add_columns(code, ONE, sums + 4 * first, address(places), address(factors), codebook, last - first)
            else:
                add_columns(code, SOME, sums + 4 * first, address(places), address(factors), codebook, last - first)
            at += together
        _finish(gate, order, facts, first, last)
        piece = take(order, member)


@jit
def multiply_rows(kinds, order, member):
    """As :func:`multiply_columns`, for float32 weights row by row."""
    facts, sums, inputs = number_at(order, FACTS), number_at(order, SCRATCH), number_at(number_at(order, FACTS), INPUTS)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        first, last = number_at(work, 0), number_at(work, 1)
        fours = first + (last - first) // 4 * 4
        for m in range(first, fours, 4):
            _four_products(number_at(order, X), number_at(facts, CODE) + 4 * m * inputs, inputs, sums + 4 * m)
        for m in range(fours, last):
            put_float(sums + 4 * m, product_of(number_at(order, X), number_at(facts, CODE) + 4 * m * inputs, inputs))
        _finish(kinds[1], order, facts, first, last)
        piece = take(order, member)


@jit(fastmath={"reassoc", "contract"})
def _four_products(x, rows, count, target):
    """Write the products of the vector of ``count`` elements at ``x`` with four that follow one another at ``rows``: a cache is
    asked for all of them at once."""
    vector, size = floats_at(x, count), 4 * count
    a, b = floats_at(rows, count), floats_at(rows + size, count)
    c, d = floats_at(rows + 2 * size, count), floats_at(rows + 3 * size, count)
    first = second = third = fourth = np.float32(0)
    for i in range(count):
        first += vector[i] * a[i]
        second += vector[i] * b[i]
        third += vector[i] * c[i]
        fourth += vector[i] * d[i]
    put_float(target, first)
    put_float(target + 4, second)
    put_float(target + 8, third)
    put_float(target + 12, fourth)


@jit
def _finish(gate, order, facts, first, last):
    """Finish the outputs ``[first, last)``, of sums in scratch memory."""
    y, other = number_at(order, Y) + 4 * first, number_at(order, OTHER)
    scale, shift = number_at(facts, SCALE) + 4 * first, number_at(facts, SHIFT) + 4 * first
    residual = other + 4 * first if other != 0 else 0
    sums, bounds = number_at(order, SCRATCH) + 4 * first, number_at(facts, BOUNDS)
    finish_line(gate, y, sums, 1, 0, last - first, scale, shift, bounds, residual)


@intrinsic
def add_columns(
    typingctx: Any, code: Any, together: Any, sums: Any, places: Any, factors: Any, codebook: Any, count: Any
) -> Any:
    """Add to ``count`` sums the weights of ``len(together)`` columns, of which ``places`` are the addresses, times ``factors``,
    float32."""
    signature = types.void(code, together, *[types.intp] * 5)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, sums, places, factors, codebook, count = arguments
        target, values, listing = pointer(b, sums), pointer(b, codebook), b.inttoptr(places, I64.as_pointer())
        numbers = [ir.Constant(I64, t) for t in range(len(together))]
        columns = [listed(b, code, b.load(b.gep(listing, [t]))) for t in numbers]
        scales = [b.load(b.gep(pointer(b, factors), [t])) for t in numbers]

        def add(width: int) -> Callable[[Any, list[Any]], list[Any]]:
            def body(i: Any, _: list[Any]) -> list[Any]:
                outputs = [b.gep(target, [b.add(i, ir.Constant(I64, n))]) for n in range(width)]
                totals = [b.load(output) for output in outputs]
                for column, scale in zip(columns, scales, strict=True):
                    found = weights(b, column, values, i, width)
                    totals = [fma(b, w, scale, s) for w, s in zip(found, totals, strict=True)]
                for total, output in zip(totals, outputs, strict=True):
                    b.store(total, output)
                return []

            return body

        i, _ = loop(b, ir.Constant(I64, 0), count, AT_ONCE, add(AT_ONCE), [])
        loop(b, i, count, 1, add(1), [])
        return context.get_dummy_value()

    return signature, codegen
