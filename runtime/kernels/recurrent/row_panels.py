"""Products of a dense float32 matrix with a few vectors, called step by step: rows of the matrix in the lanes of registers.

A *panel* is some vectors of rows of the matrix, column after column, so that a product reads weights as they lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir

from ...emit.intrinsic import intrinsic, types
from ...emit.memory import pointer
from ...emit.vector import F32, I64, fma, load_vector, load_vectors, splat, store_vector
from ...jit.host import host_registers
from ...jit.jitted import jit

FEWEST, MOST, SUMS = 4, 8, 7
"""Vectors of a panel, the fewest where many vectors are multiplied at once; sums that a processor adds to in turn without
waiting for the first of them."""

Lengths: TypeAlias = "tuple[tuple[()], ...]"
"""A number that is known when code is compiled: the length of the tuple."""

Kinds: TypeAlias = "tuple[Lengths, Lengths, Lengths]"
"""Lanes of a vector, vectors of a panel, and how many products are made at once where there are as many."""

ONE, TWO, FOUR = ((),), ((),) * 2, ((),) * 4


def panel_kinds(across: int) -> Kinds:
    """For panels of ``across`` vectors on this processor: as many products as there are registers for their sums."""
    registers, lanes = host_registers()
    return ((),) * lanes, ((),) * across, ((),) * ((registers - across - 1) // across)


def best_across(rows: Sequence[int], together: int) -> int:
    """How many vectors a panel has where matrices of so many vectors of rows take the fewest, more if it is all the same, for
    products with ``together`` vectors."""
    most = min(MOST, host_registers()[0] // 4) if together < FEWEST else FEWEST
    return min(range(FEWEST, most + 1), key=lambda across: (sum(-(-count // across) * across for count in rows), -across))


def make_panels(weights: np.ndarray, across: int) -> np.ndarray:
    """(directions, panels, columns, rows of a panel) float32, on whole cache lines, of ``weights`` (directions, rows, columns);
    rows that are missing in the last panel are zeros."""
    from ...orders.order import aligned_bytes

    directions, rows, columns = weights.shape
    width = across * host_registers()[1]
    shape = directions, -(-rows // width), columns, width
    panels = aligned_bytes(4 * prod(shape)).view(np.float32).reshape(shape)
    whole = rows // width
    panels[:, :whole] = weights[:, : whole * width].reshape(directions, whole, width, columns).swapaxes(2, 3)
    if whole < shape[1]:
        panels[:, whole:] = 0
        panels[:, whole, :, : rows - whole * width] = weights[:, whole * width :].swapaxes(1, 2)
    return panels


@intrinsic
def _multiply_panel(
    typingctx: Any, lanes: Any, across: Any, together: Any, x: Any, pitch: Any, columns: Any, panel: Any, start: Any,
    start_pitch: Any, target: Any, target_pitch: Any,
) -> Any:  # fmt: skip
    """Products of a panel with ``len(together)`` vectors at ``x``, ``pitch`` bytes apart, added to what is at ``start``, into
    ``target``."""
    V, A, R = len(lanes), len(across), len(together)
    vector = ir.VectorType(F32, V)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        *_, x, pitch, columns, panel, start, start_pitch, target, target_pitch = arguments

        def rows(base: Any, pitch: Any) -> list[Any]:
            return [pointer(b, b.add(base, b.mul(pitch, ir.Constant(I64, r)))) for r in range(R)]

        def places(row: Any) -> list[Any]:
            return [b.gep(row, [ir.Constant(I64, v * V)]) for v in range(A)]

        sums = [[load_vector(b, place, vector) for place in places(row)] for row in rows(start, start_pitch)]
        inputs, weights, even = rows(x, pitch), pointer(b, panel), ir.Constant(I64, 0)
        if R * A < SUMS:  # every second column has sums of its own
            even = b.and_(columns, ir.Constant(I64, -2))
            zeros = [[ir.Constant(vector, None)] * A for _ in range(R)]
            sums, others = _sum_columns(b, inputs, (even.type(0), even), weights, [sums, zeros])
            sums = [[b.fadd(*pair) for pair in zip(*pairs, strict=True)] for pairs in zip(sums, others, strict=True)]
        (sums,) = _sum_columns(b, inputs, (even, columns), weights, [sums])
        for row, values in zip(rows(target, target_pitch), sums, strict=True):
            for place, value in zip(places(row), values, strict=True):
                store_vector(b, value, place)
        return context.get_dummy_value()

    return types.void(lanes, across, together, *[types.intp] * 8), codegen


def _sum_columns(
    b: Any, inputs: list[Any], columns: tuple[Any, Any], panel: Any, first: list[list[list[Any]]]
) -> list[list[list[Any]]]:
    """Emit the loop over the columns of a panel from one to another, of which there may be none, as many at a time as there are
    ``first``; returns the sums, which begin as these."""
    vector = first[0][0][0].type
    before, head, body, done = (b.block, *(b.append_basic_block(name) for name in ("columns", "column", "summed")))
    b.branch(head)
    b.position_at_end(head)
    column = b.phi(I64)
    column.add_incoming(columns[0], before)
    sums = [[[b.phi(vector) for _ in values] for values in rows] for rows in first]
    b.cbranch(b.icmp_signed("<", column, columns[1]), body, done)
    b.position_at_end(body)
    for number, (rows, starts) in enumerate(zip(sums, first, strict=True)):
        own = b.add(column, ir.Constant(I64, number))
        count = len(rows[0])
        weights = load_vectors(b, b.gep(panel, [b.mul(own, ir.Constant(I64, count * vector.count))]), count, vector)
        for row, phis, values in zip(inputs, rows, starts, strict=True):
            factor = splat(b, b.load(b.gep(row, [own])), vector.count)
            for weight, phi, value in zip(weights, phis, values, strict=True):
                phi.add_incoming(value, before)
                phi.add_incoming(fma(b, weight, factor, phi), body)
    column.add_incoming(b.add(column, ir.Constant(I64, len(first))), body)
    b.branch(head)
    b.position_at_end(done)
    return sums


@jit
def multiply_panels(kinds, x, step, shape, panels, start, start_pitch, target, pitch, backwards):
    """Products of a matrix at address ``panels`` with vectors that lie ``step`` bytes apart at address ``x``; ``shape`` is
    (vectors, columns, number of panels). ``backwards`` takes the last panel first: part of it may be in a cache since it was
    the last one.

    Those of vector ``i`` are added to what is at ``start + i * start_pitch``, and written to ``target + i * pitch``, in bytes:
    in both there is a place for every row of the panels.
    """
    (lanes, across, many), (vectors, columns, count) = kinds, shape
    width = 4 * len(lanes) * len(across)
    for turn in range(count):
        number = count - 1 - turn if backwards else turn
        panel, offset, i = panels + number * columns * width, width * number, 0
        while i < vectors:
            inputs, before, after = x + i * step, start + offset + i * start_pitch, target + offset + i * pitch
            if vectors - i >= len(many):
                _multiply_panel(lanes, across, many, inputs, step, columns, panel, before, start_pitch, after, pitch)
                i += len(many)
            elif len(many) > len(FOUR) and vectors - i >= len(FOUR):
                _multiply_panel(lanes, across, FOUR, inputs, step, columns, panel, before, start_pitch, after, pitch)
                i += len(FOUR)
            elif vectors - i >= len(TWO):
                _multiply_panel(lanes, across, TWO, inputs, step, columns, panel, before, start_pitch, after, pitch)
                i += len(TWO)
            else:
                _multiply_panel(lanes, across, ONE, inputs, step, columns, panel, before, start_pitch, after, pitch)
                i += 1
