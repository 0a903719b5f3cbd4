"""Transposition of 16 x 16 tiles of float32 in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ._deferred import types
from ._jit import jit
from ._vector import F32, I32, I64, element_pointer, intrinsic, vector_pointer

SIDE = 16
"""Rows and columns of a tile."""


@intrinsic
def transpose_tile(typingctx: Any, x: Any, first: Any, pitch: Any, y: Any, at: Any, y_pitch: Any) -> Any:
    """``y[at + i * y_pitch + j] = x[first + j * pitch + i]`` for i, j < 16; ``x`` and ``y`` float32.

    Four rounds of shuffles: round ``s`` swaps the off-diagonal blocks of side ``s`` of every block of side ``2 s``.
    """
    signature = types.void(x, types.intp, types.intp, y, types.intp, types.intp)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(F32, SIDE)
        source = element_pointer(context, b, signature.args[0], arguments[0], arguments[1])
        target = element_pointer(context, b, signature.args[3], arguments[3], arguments[4])
        rows = []
        for i in range(SIDE):
            value = b.load(vector_pointer(b, source, b.mul(arguments[2], ir.Constant(I64, i)), vector))
            value.align = 4
            rows.append(value)
        for step in (1, 2, 4, 8):
            low = [i + SIDE - step if i & step else i for i in range(SIDE)]
            high = [i + SIDE if i & step else i + step for i in range(SIDE)]
            masks = [ir.Constant(ir.VectorType(I32, SIDE), lanes) for lanes in (low, high)]
            for i in range(SIDE):
                if not i & step:
                    pair = rows[i], rows[i + step]
                    rows[i], rows[i + step] = (b.shuffle_vector(*pair, mask) for mask in masks)
        for i, value in enumerate(rows):
            b.store(value, vector_pointer(b, target, b.mul(arguments[5], ir.Constant(I64, i)), vector)).align = 4
        return context.get_dummy_value()

    return signature, codegen


@jit
def transpose(x, first, pitch, rows, columns, y, at, y_pitch):
    """``y[at + j * y_pitch + i] = x[first + i * pitch + j]`` for i < ``rows`` and j < ``columns``."""
    whole_rows, whole_columns = rows - rows % SIDE, columns - columns % SIDE
    for j in range(0, whole_columns, SIDE):
        for i in range(0, whole_rows, SIDE):
            transpose_tile(x, first + i * pitch + j, pitch, y, at + j * y_pitch + i, y_pitch)
    for i in range(rows):
        for j in range(whole_columns if i < whole_rows else 0, columns):
            y[at + j * y_pitch + i] = x[first + i * pitch + j]
