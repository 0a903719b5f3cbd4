"""Sums of gaps, sixteen at a time: where nonzeros lie."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ..kernels._deferred import intrinsic, types

GAPS = 16
"""Gaps that are summed at once."""


def _add_gaps(typing_context: Any, gaps: Any, index: Any, escape: Any, minor: Any, minors: Any, at: Any) -> Any:
    """Write ``minors[at + i] = minor + sum(gaps[index : index + i + 1] + 1)``, i < 16, uint32, and return the last of them.

    Returns -1, and what has been written means nothing, when one of the gaps (uint8) is ``escape``. Four rounds of adding a
    vector to itself, moved by 1, 2, 4 and 8 lanes.
    """

    def generate(context: Any, b: Any, signature: Any, values: Any) -> Any:
        i8, i32, i64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
        narrow, wide = ir.VectorType(i8, GAPS), ir.VectorType(i32, GAPS)
        zero = ir.Constant(wide, [0] * GAPS)

        def pointer(position: int, start: Any, vector: Any) -> Any:
            array = context.make_array(signature.args[position])(context, b, values[position])
            return b.bitcast(b.gep(array.data, [start]), vector.as_pointer())

        def splat(value: Any, vector: Any) -> Any:
            first = b.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(i32, 0))
            return b.shuffle_vector(first, first, ir.Constant(ir.VectorType(i32, GAPS), [0] * GAPS))

        symbols = b.load(pointer(0, values[1], narrow))
        symbols.align = 1
        escapes = b.bitcast(b.icmp_unsigned("==", symbols, splat(b.trunc(values[2], i8), narrow)), ir.IntType(GAPS))
        sums = b.add(b.zext(symbols, wide), ir.Constant(wide, [1] * GAPS))
        for step in (1, 2, 4, 8):
            lanes = [i - step if i >= step else GAPS for i in range(GAPS)]
            sums = b.add(sums, b.shuffle_vector(sums, zero, ir.Constant(ir.VectorType(i32, GAPS), lanes)))
        places = b.add(sums, splat(b.trunc(values[3], i32), wide))
        b.store(places, pointer(4, values[5], wide)).align = 4
        last = b.zext(b.extract_element(places, ir.Constant(i32, GAPS - 1)), i64)
        return b.select(b.icmp_unsigned("==", escapes, ir.Constant(ir.IntType(GAPS), 0)), last, ir.Constant(i64, -1))

    return types.int64(gaps, types.int64, types.int64, types.int64, minors, types.int64), generate


add_gaps: Any = intrinsic(_add_gaps)
