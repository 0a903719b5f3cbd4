"""The largest of some elements, a few vectors at a time."""

from __future__ import annotations

from functools import reduce
from math import inf, nan
from typing import Any

from llvmlite import ir

from .intrinsic import intrinsic, types
from .memory import pointer
from .vector import F32, I32, I64, lanes_below, load_vector, masked_load
from .walk import loop

TOGETHER = 4
"""Vectors that are compared with as many others: an instruction need not wait for the one before."""


@intrinsic
def largest(typingctx: Any, lanes: Any, place: Any, count: Any) -> Any:
    """The largest of ``count`` float32 at the address ``place``; NaN where one of them is."""
    V = len(lanes)
    vector, bits = ir.VectorType(F32, V), ir.VectorType(ir.IntType(1), V)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, place, count = arguments
        first, least = pointer(b, place), ir.Constant(vector, [-inf] * V)

        def load(at: Any, number: int) -> Any:
            return load_vector(b, b.gep(first, [b.add(at, ir.Constant(I64, number * V))]), vector)

        def both(had: Any, value: Any) -> Any:
            return b.select(b.fcmp_ordered(">", value, had), value, had)

        def compare(at: Any, carried: list[Any]) -> list[Any]:
            values, strange = [load(at, number) for number in range(TOGETHER)], carried[-1]
            for pair in zip(values[::2], values[1::2], strict=True):
                strange = b.or_(strange, b.fcmp_unordered("uno", *pair))
            return [*map(both, carried, values), strange]

        def one(at: Any, carried: list[Any]) -> list[Any]:
            value = load(at, 0)
            return [both(carried[0], value), b.or_(carried[1], b.fcmp_unordered("uno", value, value))]

        start = [*[least] * TOGETHER, ir.Constant(bits, [0] * V)]
        at, (*found, strange) = loop(b, ir.Constant(I64, 0), count, TOGETHER * V, compare, start)
        at, (found, strange) = loop(b, at, count, V, one, [reduce(both, found), strange])
        value = masked_load(b, b.gep(first, [at]), lanes_below(b, b.sub(count, at), V), vector, least)
        found, strange = both(found, value), b.or_(strange, b.fcmp_unordered("uno", value, value))
        for half in (V >> n for n in range(1, V.bit_length())):  # each half compared with the other
            order = ir.Constant(ir.VectorType(I32, V), [(lane + half) % V for lane in range(V)])
            found = both(found, b.shuffle_vector(found, found, order))
        known = b.icmp_unsigned("==", b.bitcast(strange, ir.IntType(V)), ir.Constant(ir.IntType(V), 0))
        return b.select(known, b.extract_element(found, ir.Constant(I32, 0)), ir.Constant(F32, nan))

    return types.float32(lanes, types.intp, types.intp), codegen
