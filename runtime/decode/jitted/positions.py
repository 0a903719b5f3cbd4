"""Sums of gaps, sixteen at a time: where nonzeros lie."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...emit.intrinsic import intrinsic, types
from ...emit.vector import I8, I32, I64, element_pointer, splat

GAPS = 16
"""Gaps that are summed at once."""


@intrinsic
def add_gaps(typingctx: Any, gaps: Any, index: Any, escape: Any, minor: Any, minors: Any, at: Any) -> Any:
    """Write ``minors[at + i] = minor + sum(gaps[index : index + i + 1] + 1)``, i < 16, uint32, and return the last of them.

    Returns -1, and what has been written means nothing, when one of the gaps (uint8) is ``escape``. Four rounds of adding a
    vector to itself, moved by 1, 2, 4 and 8 lanes.
    """

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        gaps_, index, escape, minor, minors_, at = arguments
        narrow, wide = ir.VectorType(I8, GAPS), ir.VectorType(I32, GAPS)
        symbols = b.load(b.bitcast(element_pointer(context, b, gaps, gaps_, index), narrow.as_pointer()))
        symbols.align = 1
        escapes = b.bitcast(b.icmp_unsigned("==", symbols, splat(b, b.trunc(escape, I8), GAPS)), ir.IntType(GAPS))
        sums = b.add(b.zext(symbols, wide), ir.Constant(wide, [1] * GAPS))
        for step in (1, 2, 4, 8):
            lanes = [i - step if i >= step else GAPS for i in range(GAPS)]
            sums = b.add(sums, b.shuffle_vector(sums, ir.Constant(wide, None), ir.Constant(wide, lanes)))
        places = b.add(sums, splat(b, b.trunc(minor, I32), GAPS))
        b.store(places, b.bitcast(element_pointer(context, b, minors, minors_, at), wide.as_pointer())).align = 4
        last = b.zext(b.extract_element(places, ir.Constant(I32, GAPS - 1)), I64)
        return b.select(b.icmp_unsigned("==", escapes, ir.Constant(ir.IntType(GAPS), 0)), last, ir.Constant(I64, -1))

    return types.int64(gaps, types.int64, types.int64, types.int64, minors, types.int64), codegen
