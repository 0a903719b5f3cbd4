"""Products of a dense float32 matrix with a few vectors, called step by step: rows of the matrix in the lanes of registers.

A *panel* is :data:`ACROSS` vectors of rows of the matrix, column after column, so that a product reads weights as they lie.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir

from ...emit.intrinsic import intrinsic, types
from ...emit.memory import address, pointer
from ...emit.vector import F32, I64, fma, load_vector, load_vectors, splat, store_vector
from ...jit.host import host_registers
from ...jit.jitted import jit

ACROSS = 4
"""Vectors of a panel."""

Kinds: TypeAlias = "tuple[tuple[tuple[()], ...], tuple[tuple[()], ...]]"
"""Lanes of a vector, and how many products are made at once where there are as many, both as lengths of tuples."""

ONE, TWO = ((),), ((),) * 2


def lanes_and_many() -> Kinds:
    """Of this processor: as many products as there are registers for their sums."""
    registers, lanes = host_registers()
    return ((),) * lanes, ((),) * ((registers - ACROSS - 1) // ACROSS)


def panel_rows() -> int:
    """Rows of a panel."""
    return ACROSS * host_registers()[1]


def make_panels(weights: np.ndarray) -> np.ndarray:
    """(directions, panels, columns, rows of a panel) float32, on whole cache lines, of ``weights`` (directions, rows, columns);
    rows that are missing in the last panel are zeros."""
    from ...orders.order import aligned_bytes

    directions, rows, columns = weights.shape
    width = panel_rows()
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
    typingctx: Any, lanes: Any, together: Any, x: Any, pitch: Any, columns: Any, panel: Any, start: Any, start_pitch: Any,
    target: Any, target_pitch: Any,
) -> Any:  # fmt: skip
    """Products of a panel with ``len(together)`` vectors at ``x``, ``pitch`` bytes apart, added to what is at ``start``, into
    ``target``."""
    V, R = len(lanes), len(together)
    vector = ir.VectorType(F32, V)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, x, pitch, columns, panel, start, start_pitch, target, target_pitch = arguments

        def rows(base: Any, pitch: Any) -> list[Any]:
            return [pointer(b, b.add(base, b.mul(pitch, ir.Constant(I64, r)))) for r in range(R)]

        def places(row: Any) -> list[Any]:
            return [b.gep(row, [ir.Constant(I64, v * V)]) for v in range(ACROSS)]

        first = [[load_vector(b, place, vector) for place in places(row)] for row in rows(start, start_pitch)]
        sums = _sum_columns(b, rows(x, pitch), columns, pointer(b, panel), first)
        for row, values in zip(rows(target, target_pitch), sums, strict=True):
            for place, value in zip(places(row), values, strict=True):
                store_vector(b, value, place)
        return context.get_dummy_value()

    return types.void(lanes, together, *[types.intp] * 8), codegen


def _sum_columns(b: Any, inputs: list[Any], columns: Any, panel: Any, first: list[list[Any]]) -> list[list[Any]]:
    """Emit the loop over the columns of a panel, of which there may be none; returns the sums, which begin as ``first``."""
    vector = first[0][0].type
    before, head, body, done = (b.block, *(b.append_basic_block(name) for name in ("columns", "column", "summed")))
    b.branch(head)
    b.position_at_end(head)
    column = b.phi(I64)
    column.add_incoming(ir.Constant(I64, 0), before)
    sums = [[b.phi(vector) for _ in values] for values in first]
    b.cbranch(b.icmp_signed("<", column, columns), body, done)
    b.position_at_end(body)
    width = ir.Constant(I64, ACROSS * vector.count)
    weights = load_vectors(b, b.gep(panel, [b.mul(column, width)]), ACROSS, vector)
    for row, phis, values in zip(inputs, sums, first, strict=True):
        factor = splat(b, b.load(b.gep(row, [column])), vector.count)
        for weight, phi, value in zip(weights, phis, values, strict=True):
            phi.add_incoming(value, before)
            phi.add_incoming(fma(b, weight, factor, phi), body)
    column.add_incoming(b.add(column, ir.Constant(I64, 1)), body)
    b.branch(head)
    b.position_at_end(done)
    return sums


@jit
def multiply_panels(lanes, many, x, vectors, panels, start, start_pitch, target, pitch):
    """Products of ``panels`` (panels, columns, rows of a panel) with ``vectors`` vectors that lie one after another at address
    ``x``.

    Those of vector ``i`` are added to what is at ``start + i * start_pitch``, and written to ``target + i * pitch``, in bytes:
    in both there is a place for every row of the panels.
    """
    count, columns, width = panels.shape
    first, step = address(panels), 4 * columns
    for number in range(count):
        panel, offset, i = first + number * step * width, 4 * width * number, 0
        while i < vectors:
            inputs, before, after = x + i * step, start + offset + i * start_pitch, target + offset + i * pitch
            if vectors - i >= len(many):
                _multiply_panel(lanes, many, inputs, step, columns, panel, before, start_pitch, after, pitch)
                i += len(many)
            elif vectors - i >= len(TWO):
                _multiply_panel(lanes, TWO, inputs, step, columns, panel, before, start_pitch, after, pitch)
                i += len(TWO)
            else:
                _multiply_panel(lanes, ONE, inputs, step, columns, panel, before, start_pitch, after, pitch)
                i += 1
