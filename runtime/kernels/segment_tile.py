"""Sparse matrix times a batch of vectors: one weight meets ``R`` registers of 16 vectors at once.

Nonzeros come in *segments* of four that share a row. A segment loads the row's sums, adds four products and stores them: the
walk has no branch that depends on the weights, so nothing is mispredicted however few nonzeros a row has in a block. Inputs
are packed, per block of columns, so that the values of one column are ``R`` consecutive aligned registers in the first-level
cache. ``R`` is the length of a tuple, a compile-time constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from ._deferred import types
from ._jit import jit
from ._vector import F32, I32, I64, call, element_pointer, intrinsic, splat, vector_pointer
from .transpose import SIDE, transpose

LANES = 16
"""Vectors of the batch that one register holds."""

SEGMENT = 4
"""Nonzeros of a segment."""

FINISHED = 64
"""Rows whose sums are finished at a time: stores of one vector then fill whole cache lines, several in a row."""


@intrinsic
def add_segment(
    typingctx: Any, group: Any, packed: Any, sums: Any, at: Any, offset: Any, code: Any, codebook: Any, s: Any
) -> Any:
    """Add segment ``s``'s four products to the sums that start at ``sums[at]``, 64-byte aligned as ``packed`` is.

    ``offset`` uint8: columns of ``packed``; ``code`` uint8 or uint16: entries of ``codebook``, or float32 weights.
    """
    signature = types.void(group, packed, sums, types.intp, offset, code, codebook, types.intp)
    count = len(group)
    vector = ir.VectorType(F32, LANES)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, packed, sums, at, offset, code, codebook, s = arguments
        kinds = signature.args
        zero, first = ir.Constant(I64, 0), b.mul(s, ir.Constant(I64, SEGMENT))
        source = element_pointer(context, b, kinds[1], packed, zero)
        kept = element_pointer(context, b, kinds[2], sums, at)
        offsets = element_pointer(context, b, kinds[4], offset, first)
        codes = element_pointer(context, b, kinds[5], code, first)
        values = element_pointer(context, b, kinds[6], codebook, zero)
        word = b.load(b.bitcast(offsets, I32.as_pointer()))
        word.align = 1

        def aligned(pointer: Any, index: Any) -> Any:
            value = b.load(vector_pointer(b, pointer, index, vector))
            value.align = 4 * LANES
            return value

        places = [ir.Constant(I64, r * LANES) for r in range(count)]
        added = [ir.Constant(vector, None)] * count
        for entry in range(SEGMENT):
            column = b.and_(b.lshr(word, ir.Constant(I32, 8 * entry)), ir.Constant(I32, 255))
            inputs = b.gep(source, [b.mul(b.zext(column, I64), ir.Constant(I64, count * LANES))])
            weight = b.load(b.gep(codes, [ir.Constant(I64, entry)]))
            if weight.type != F32:
                weight = b.load(b.gep(values, [b.zext(weight, I64)]))
            weight = splat(b, weight, LANES)
            products = [(weight, aligned(inputs, place)) for place in places]
            if entry == 0:
                added = [b.fmul(*product) for product in products]
            else:
                fma = f"llvm.fma.v{LANES}f32"
                added = [call(b, fma, vector, [*product, sum_]) for product, sum_ in zip(products, added, strict=True)]
        for place, value in zip(places, added, strict=True):
            total = b.fadd(aligned(kept, place), value)
            b.store(total, vector_pointer(b, kept, place, vector)).align = 4 * LANES
        return context.get_dummy_value()

    return signature, codegen


def scratch_floats(registers: int, width: int, rows: int) -> int:
    """Floats of scratch memory of :func:`multiply_segments`, whole cache lines, for panels of at most ``rows`` rows."""
    return (width + 1 + rows) * registers * LANES + SIDE * FINISHED


@jit
def _finish(sums, lanes, first, rows, tile, y, residual, batch, M, scale, shift, low, high, count):
    """Scale, shift, bound and store rows ``first`` to ``first + rows`` of the sums, for ``count`` vectors from ``batch`` on."""
    for row in range(0, rows, FINISHED):
        height = min(FINISHED, rows - row)
        m = first + row
        factor, added = scale[m : m + height], shift[m : m + height]
        for lane in range(0, count, SIDE):
            width = min(SIDE, count - lane)
            transpose(sums, row * lanes + lane, lanes, height, width, tile, 0, FINISHED)
            for i in range(width):
                at = (batch + lane + i) * M + m
                for j in range(height):
                    value = tile[i * FINISHED + j] * factor[j] + added[j]
                    value += residual[at + j] if len(residual) else np.float32(0)
                    value = low if value < low else value
                    y[at + j] = high if value > high else value


@jit
def multiply_segments(
    group, x, y, residual, scratch, K, M, B, width, panels, first_panel, last_panel, start, row, offset, code, codebook,
    scale, shift, low, high,
):  # fmt: skip
    """``y = clip((x @ W.T) * scale + shift + residual, low, high)`` for the rows of panels ``[first_panel, last_panel)``.

    ``x`` (B·K,), ``y`` and ``residual`` (B·M,; the latter may be empty) float32; ``scratch`` float32, 64-byte aligned:
    ``width + 1`` packed columns, a tile, then the sums of the largest panel. ``panels`` (panels + 1,) int64: rows at which
    panels start; ``start`` (panels, blocks + 1) int64: segments of each panel and block of ``width`` columns. ``row``
    (segments,) uint16, relative to the panel; ``offset`` (4 · segments,) uint8: column in the block, ``width`` for a place
    that is not used.
    """
    lanes = len(group) * LANES
    packed_size = (width + 1) * lanes
    packed, tile = scratch[:packed_size], scratch[packed_size : packed_size + SIDE * FINISHED]
    sums = scratch[packed_size + SIDE * FINISHED :]
    for batch in range(0, B, lanes):
        count = min(lanes, B - batch)
        packed[:] = 0
        for panel in range(first_panel, last_panel):
            rows = panels[panel + 1] - panels[panel]
            sums[: rows * lanes] = 0
            for block in range(start.shape[1] - 1):
                column = block * width
                transpose(x, batch * K + column, K, count, min(width, K - column), packed, 0, lanes)
                for s in range(start[panel, block], start[panel, block + 1]):
                    add_segment(group, packed, sums, np.int64(row[s]) * lanes, offset, code, codebook, s)
            _finish(sums, lanes, panels[panel], rows, tile, y, residual, batch, M, scale, shift, low, high, count)
