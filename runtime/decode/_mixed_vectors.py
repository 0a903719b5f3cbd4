"""What the mixer learns from a decision, on four lanes at once: Numba does not make vectors of unrolled code.

Callers keep every index inside its array: nothing is checked here. Integers throughout, so that all processors agree.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...format_spec.mixing import COUNT_LIMIT, INPUTS, LEAST_WEIGHT, MOST_WEIGHT, SURE
from ..kernels._deferred import cgutils, intrinsic, types

I16, I32, I64, F32 = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
LANES, SHORTS, FLOATS = (ir.VectorType(kind, INPUTS) for kind in (I32, I16, F32))

RATE_SCALE, RATE_STEP, RATE_START = 40960, 10, 21
"""A counter's rate is ``RATE_SCALE // (RATE_STEP * count + RATE_START)``."""


def _constant(vector: ir.VectorType, value: float) -> Any:
    return ir.Constant(vector, [value] * INPUTS)


def _at(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _vector(builder: Any, scalars: Any, vector: ir.VectorType) -> Any:
    made = ir.Constant(vector, ir.Undefined)
    for lane, scalar in enumerate(scalars):
        made = builder.insert_element(made, builder.trunc(scalar, vector.element), ir.Constant(I32, lane))
    return made


def _bounded(builder: Any, vector: Any, low: int, high: int) -> Any:
    for sign, bound in (("<", _constant(LANES, low)), (">", _constant(LANES, high))):
        vector = builder.select(builder.icmp_signed(sign, vector, bound), bound, vector)
    return vector


def _rates(builder: Any, count: Any) -> Any:
    """Counters' rates. Single precision divides such small numbers well enough that rounding down gives the exact quotient."""
    uses = builder.fmul(builder.sitofp(count, FLOATS), _constant(FLOATS, RATE_STEP))
    quotient = builder.fdiv(_constant(FLOATS, RATE_SCALE), builder.fadd(uses, _constant(FLOATS, RATE_START)))
    return builder.fptosi(quotient, LANES)


def _train_weights(typing_context: Any, miss: Any, stretched: Any, weights: Any, first: Any) -> Any:
    """Move a set of weights, int16 from element ``first`` on, by ``miss`` times the four ``stretched`` values.

    ``miss``: how far the mixer was off, times its learning rate. It and the stretched values fit int16.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        inputs = _vector(builder, cgutils.unpack_tuple(builder, values[1]), SHORTS)
        off = _vector(builder, [values[0]] * INPUTS, SHORTS)
        step = builder.mul(builder.sext(inputs, LANES), builder.sext(off, LANES))
        step = builder.ashr(builder.add(step, _constant(LANES, 2048)), _constant(LANES, 12))
        pointer = builder.bitcast(_at(context, builder, signature.args[2], values[2], values[3]), SHORTS.as_pointer())
        before = builder.load(pointer)
        moved = _bounded(builder, builder.add(builder.sext(before, LANES), step), LEAST_WEIGHT, MOST_WEIGHT)
        before.align = builder.store(builder.trunc(moved, SHORTS), pointer).align = I16.width // 8
        return context.get_dummy_value()

    at = types.int64
    return types.void(at, types.UniTuple(at, INPUTS), weights, at), generate


def _train_counters(typing_context: Any, bit: Any, found: Any, counters: Any, places: Any) -> Any:
    """Move four counters, uint32 at ``places``, whose values are ``found``, towards ``bit`` (0 or 1)."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        before = _vector(builder, cgutils.unpack_tuple(builder, values[1]), LANES)
        count = builder.and_(before, _constant(LANES, 1023))
        sure = builder.and_(builder.neg(builder.trunc(values[0], I32)), ir.Constant(I32, SURE))
        mask = _vector(builder, [builder.zext(sure, I64)] * INPUTS, LANES)
        p = builder.xor(builder.lshr(before, _constant(LANES, 10)), mask)
        change = builder.mul(builder.lshr(p, _constant(LANES, 3)), _rates(builder, count))
        p = builder.xor(builder.sub(p, builder.lshr(change, _constant(LANES, 9))), mask)
        count = _bounded(builder, builder.add(count, _constant(LANES, 1)), 0, COUNT_LIMIT)
        after = builder.or_(builder.shl(p, _constant(LANES, 10)), count)
        for lane, place in enumerate(cgutils.unpack_tuple(builder, values[3])):
            one = builder.extract_element(after, ir.Constant(I32, lane))
            builder.store(one, _at(context, builder, signature.args[2], values[2], place))
        return context.get_dummy_value()

    four = types.UniTuple(types.int64, INPUTS)
    return types.void(types.int64, four, counters, four), generate


def _settled(typing_context: Any, value: Any) -> Any:
    """``value``, in a way that keeps the branch around it a branch: no instruction, but the compiler cannot see through it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        opaque = ir.InlineAsm(ir.FunctionType(I64, [I64]), "", "=r,0", side_effect=True)
        return builder.call(opaque, [values[0]])

    return types.int64(types.int64), generate


train_weights: Any = intrinsic(_train_weights)
train_counters: Any = intrinsic(_train_counters)
settled: Any = intrinsic(_settled)
