"""Transposition of 16 x 16 tiles of float32 in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .intrinsic import intrinsic, types
from .memory import pointer
from .vector import F32, I32, I64, load_vector, prefetch_line, store_vector

SIDE = 16
"""Rows and columns of a tile."""


@intrinsic
def transpose_tile(typingctx: Any, target: Any, target_pitch: Any, source: Any, pitch: Any, rows: Any, ahead: Any) -> Any:
    """Write element (i, j) of the tile at ``source`` where (j, i) of the tile at ``target`` is, for i, j < 16.

    Places are addresses and rows ``pitch`` bytes apart. Only the first ``rows`` rows are read, at least one: the last of them
    stands for those that are not there. What lies ``ahead`` bytes further is asked for.

    Four rounds of shuffles: round ``s`` swaps the off-diagonal blocks of side ``s`` of every block of side ``2 s``.
    """

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        target, target_pitch, source, pitch, present, ahead = arguments
        vector = ir.VectorType(F32, SIDE)
        last, rows = b.sub(present, ir.Constant(I64, 1)), []
        for i in range(SIDE):
            number = ir.Constant(I64, i)
            row = b.select(b.icmp_signed("<", number, last), number, last)
            place = b.add(source, b.mul(pitch, row))
            prefetch_line(b, pointer(b, b.add(place, ahead)))
            rows.append(load_vector(b, pointer(b, place), vector))
        for step in (1, 2, 4, 8):
            low = [i + SIDE - step if i & step else i for i in range(SIDE)]
            high = [i + SIDE if i & step else i + step for i in range(SIDE)]
            masks = [ir.Constant(ir.VectorType(I32, SIDE), lanes) for lanes in (low, high)]
            for i in range(SIDE):
                if not i & step:
                    pair = rows[i], rows[i + step]
                    rows[i], rows[i + step] = (b.shuffle_vector(*pair, mask) for mask in masks)
        for i, value in enumerate(rows):
            place = pointer(b, b.add(target, b.mul(target_pitch, ir.Constant(I64, i))))
            store_vector(b, value, place)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), codegen
