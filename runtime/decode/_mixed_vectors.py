"""The mixer's arithmetic on four lanes at once, written as vectors because Numba does not make vectors of unrolled code.

Callers keep every index inside its array: nothing is checked here. Integers throughout, so that all processors agree.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...format_spec.mixing import COUNT_LIMIT, INPUTS, MOST_WEIGHT, SURE
from ..kernels._deferred import cgutils, intrinsic, types

I16, I32, I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
LANES, SHORTS = ir.VectorType(I32, INPUTS), ir.VectorType(I16, INPUTS)


def _constant(vector: ir.VectorType, value: int) -> Any:
    return ir.Constant(vector, [value] * INPUTS)


def _at(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _load(builder: Any, pointer: Any, vector: ir.VectorType) -> Any:
    """A vector that is aligned as its elements are."""
    loaded = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    loaded.align = vector.element.width // 8
    return loaded


def _store(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = value.type.element.width // 8


def _splat(builder: Any, scalar: Any) -> Any:
    vector = ir.VectorType(scalar.type, INPUTS)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(LANES, [0] * INPUTS))


def _bounded(builder: Any, vector: Any, low: int, high: int) -> Any:
    for sign, bound in (("<", _constant(LANES, low)), (">", _constant(LANES, high))):
        vector = builder.select(builder.icmp_signed(sign, vector, bound), bound, vector)
    return vector


def _gather(builder: Any, pointers: list[Any]) -> Any:
    vector = ir.Constant(ir.VectorType(pointers[0].type.pointee, INPUTS), ir.Undefined)
    for lane, pointer in enumerate(pointers):
        vector = builder.insert_element(vector, builder.load(pointer), ir.Constant(I32, lane))
    return vector


def _look_up(context: Any, builder: Any, kind: Any, table: Any, indices: Any) -> Any:
    base = context.make_array(kind)(context, builder, table).data
    lanes = [builder.extract_element(indices, ir.Constant(I32, lane)) for lane in range(INPUTS)]
    return _gather(builder, [builder.gep(base, [builder.zext(index, I64)]) for index in lanes])


def _behind(builder: Any, memory: Any) -> Any:
    """Where the stretched values are, behind the counters at ``memory``."""
    return builder.bitcast(builder.gep(memory, [ir.Constant(I64, INPUTS)]), I16.as_pointer())


def _predict(
    typing_context: Any, counters: Any, a0: Any, a1: Any, a2: Any, a3: Any, stretch: Any, weights: Any, first: Any, lanes: Any,
    lane: Any,
) -> Any:  # fmt: skip
    """Stretch a counter for each input and weigh them: their sum, in 16384ths of a stretched value.

    ``counters`` uint32, read at ``a0`` to ``a3``; ``stretch`` int16 (4096,); ``weights`` int16, whose set begins at element
    ``first``. ``lanes`` int32, from ``lane`` on, takes the counters, then the stretched values, for :func:`_train`: 6 elements.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = signature.args
        found = _gather(builder, [_at(context, builder, kinds[0], values[0], at) for at in values[1:5]])
        stretched = _look_up(context, builder, kinds[5], values[5], builder.lshr(found, _constant(LANES, 20)))
        memory = _at(context, builder, kinds[8], values[8], values[9])
        _store(builder, found, memory)
        _store(builder, stretched, _behind(builder, memory))
        weighing = _load(builder, _at(context, builder, kinds[6], values[6], values[7]), SHORTS)
        products = builder.mul(builder.sext(stretched, LANES), builder.sext(weighing, LANES))
        kind = ir.FunctionType(I32, [LANES])
        name = f"llvm.vector.reduce.add.v{INPUTS}i32"
        return builder.sext(builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [products]), I64)

    at = types.int64
    return at(counters, at, at, at, at, stretch, weights, at, lanes, at), generate


def _train(
    typing_context: Any, bit: Any, miss: Any, counters: Any, a0: Any, a1: Any, a2: Any, a3: Any, rates: Any, weights: Any,
    first: Any, lanes: Any, lane: Any,
) -> Any:  # fmt: skip
    """Move weights and counters towards ``bit`` (0 or 1), after :func:`_predict` with the same places and lanes.

    ``miss``: how far the mixer was off, times its learning rate; it fits int16. ``rates`` int16 (256,).
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = signature.args
        memory = _at(context, builder, kinds[10], values[10], values[11])
        stretched = builder.sext(_load(builder, _behind(builder, memory), SHORTS), LANES)
        off = builder.sext(_splat(builder, builder.trunc(values[1], I16)), LANES)
        step = builder.ashr(builder.add(builder.mul(stretched, off), _constant(LANES, 2048)), _constant(LANES, 12))
        pointer = _at(context, builder, kinds[8], values[8], values[9])
        weighing = builder.add(builder.sext(_load(builder, pointer, SHORTS), LANES), step)
        _store(builder, builder.trunc(_bounded(builder, weighing, -MOST_WEIGHT, MOST_WEIGHT), SHORTS), pointer)
        found = _load(builder, memory, LANES)
        count = builder.and_(found, _constant(LANES, 1023))
        mask = _splat(builder, builder.and_(builder.neg(builder.trunc(values[0], I32)), ir.Constant(I32, SURE)))
        p = builder.xor(builder.lshr(found, _constant(LANES, 10)), mask)
        rate = builder.zext(_look_up(context, builder, kinds[7], values[7], count), LANES)
        change = builder.lshr(builder.mul(builder.lshr(p, _constant(LANES, 3)), rate), _constant(LANES, 9))
        p = builder.xor(builder.sub(p, change), mask)
        count = _bounded(builder, builder.add(count, _constant(LANES, 1)), 0, COUNT_LIMIT)
        found = builder.or_(builder.shl(p, _constant(LANES, 10)), count)
        for lane, at in enumerate(values[3:7]):
            one = builder.extract_element(found, ir.Constant(I32, lane))
            builder.store(one, _at(context, builder, kinds[2], values[2], at))
        return context.get_dummy_value()

    at = types.int64
    return types.void(at, at, counters, at, at, at, at, rates, weights, at, lanes, at), generate


def _settled(typing_context: Any, value: Any) -> Any:
    """``value``, in a way that keeps the branch around it a branch: no instruction, but the compiler cannot see through it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        opaque = ir.InlineAsm(ir.FunctionType(I64, [I64]), "", "=r,0", side_effect=True)
        return builder.call(opaque, [values[0]])

    return types.int64(types.int64), generate


predict: Any = intrinsic(_predict)
train: Any = intrinsic(_train)
settled: Any = intrinsic(_settled)
