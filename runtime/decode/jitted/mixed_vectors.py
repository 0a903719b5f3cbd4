"""What the mixer learns from a decision, on four lanes at once: Numba does not make vectors of unrolled code.

Callers keep every index inside its array: nothing is checked here. Integers throughout, so that all processors agree.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ....format_spec.mixing import COUNT_LIMIT, INPUTS, LEAST_WEIGHT, MOST_WEIGHT, SURE
from ...emit.intrinsic import cgutils, intrinsic, types
from ...emit.vector import F32, I32, I64, element_pointer

I16 = ir.IntType(16)
LANES, SHORTS, FLOATS = (ir.VectorType(kind, INPUTS) for kind in (I32, I16, F32))

RATE_SCALE, RATE_STEP, RATE_START = 40960, 10, 21
"""A counter's rate is ``RATE_SCALE // (RATE_STEP * count + RATE_START)``."""


def _constant(vector: ir.VectorType, value: float) -> Any:
    return ir.Constant(vector, [value] * INPUTS)


def _vector(b: Any, scalars: Any, vector: ir.VectorType) -> Any:
    made = ir.Constant(vector, ir.Undefined)
    for lane, scalar in enumerate(scalars):
        made = b.insert_element(made, b.trunc(scalar, vector.element), ir.Constant(I32, lane))
    return made


def _bounded(b: Any, vector: Any, low: int, high: int) -> Any:
    for sign, bound in (("<", _constant(LANES, low)), (">", _constant(LANES, high))):
        vector = b.select(b.icmp_signed(sign, vector, bound), bound, vector)
    return vector


def _rates(b: Any, count: Any) -> Any:
    """Counters' rates. Single precision divides such small numbers well enough that rounding down gives the exact quotient."""
    uses = b.fmul(b.sitofp(count, FLOATS), _constant(FLOATS, RATE_STEP))
    quotient = b.fdiv(_constant(FLOATS, RATE_SCALE), b.fadd(uses, _constant(FLOATS, RATE_START)))
    return b.fptosi(quotient, LANES)


@intrinsic
def train_weights(typingctx: Any, miss: Any, stretched: Any, weights: Any, first: Any) -> Any:
    """Move a set of weights, int16 from element ``first`` on, by ``miss`` times the four ``stretched`` values.

    ``miss``: how far the mixer was off, times its learning rate. It and the stretched values fit int16.
    """

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        inputs = _vector(b, cgutils.unpack_tuple(b, arguments[1]), SHORTS)
        off = _vector(b, [arguments[0]] * INPUTS, SHORTS)
        step = b.mul(b.sext(inputs, LANES), b.sext(off, LANES))
        step = b.ashr(b.add(step, _constant(LANES, 2048)), _constant(LANES, 12))
        pointer = b.bitcast(element_pointer(context, b, signature.args[2], arguments[2], arguments[3]), SHORTS.as_pointer())
        before = b.load(pointer)
        moved = _bounded(b, b.add(b.sext(before, LANES), step), LEAST_WEIGHT, MOST_WEIGHT)
        before.align = b.store(b.trunc(moved, SHORTS), pointer).align = I16.width // 8
        return context.get_dummy_value()

    at = types.int64
    return types.void(at, types.UniTuple(at, INPUTS), weights, at), codegen


@intrinsic
def train_counters(typingctx: Any, bit: Any, found: Any, counters: Any, places: Any) -> Any:
    """Move four counters, uint32 at ``places``, whose values are ``found``, towards ``bit`` (0 or 1)."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        before = _vector(b, cgutils.unpack_tuple(b, arguments[1]), LANES)
        count = b.and_(before, _constant(LANES, 1023))
        sure = b.and_(b.neg(b.trunc(arguments[0], I32)), ir.Constant(I32, SURE))
        mask = _vector(b, [b.zext(sure, I64)] * INPUTS, LANES)
        p = b.xor(b.lshr(before, _constant(LANES, 10)), mask)
        change = b.mul(b.lshr(p, _constant(LANES, 3)), _rates(b, count))
        p = b.xor(b.sub(p, b.lshr(change, _constant(LANES, 9))), mask)
        count = _bounded(b, b.add(count, _constant(LANES, 1)), 0, COUNT_LIMIT)
        after = b.or_(b.shl(p, _constant(LANES, 10)), count)
        for lane, place in enumerate(cgutils.unpack_tuple(b, arguments[3])):
            one = b.extract_element(after, ir.Constant(I32, lane))
            b.store(one, element_pointer(context, b, signature.args[2], arguments[2], place))
        return context.get_dummy_value()

    four = types.UniTuple(types.int64, INPUTS)
    return types.void(types.int64, four, counters, four), codegen


@intrinsic
def settled(typingctx: Any, value: Any) -> Any:
    """``value``, in a way that keeps the branch around it a branch: no instruction, but the compiler cannot see through it."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        opaque = ir.InlineAsm(ir.FunctionType(I64, [I64]), "", "=r,0", side_effect=True)
        return b.call(opaque, [arguments[0]])

    return types.int64(types.int64), codegen
