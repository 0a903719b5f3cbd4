"""The mixer's arithmetic on eight lanes at once, written as vectors because Numba does not make vectors of unrolled code.

Callers keep every index inside its array: nothing is checked here. Integers throughout, so that all processors agree.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...format_spec.mixing import CONTEXTS, COUNT_LIMIT, INPUTS
from ..kernels._deferred import cgutils, intrinsic, types

I32, I64 = ir.IntType(32), ir.IntType(64)
LANES = ir.VectorType(I32, INPUTS)
WIDE = ir.VectorType(I64, INPUTS)


def _constant(vector: ir.VectorType, value: int) -> Any:
    return ir.Constant(vector, [value] * INPUTS)


def _at(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _load(builder: Any, pointer: Any) -> Any:
    vector = builder.load(builder.bitcast(pointer, LANES.as_pointer()))
    vector.align = 4
    return vector


def _store(builder: Any, vector: Any, pointer: Any) -> None:
    builder.store(vector, builder.bitcast(pointer, LANES.as_pointer())).align = 4


def _splat(builder: Any, scalar: Any) -> Any:
    undefined = ir.Constant(LANES, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(LANES, [0] * INPUTS))


def _bounded(builder: Any, vector: Any, low: int, high: int) -> Any:
    for sign, bound in (("<", _constant(LANES, low)), (">", _constant(LANES, high))):
        vector = builder.select(builder.icmp_signed(sign, vector, bound), bound, vector)
    return vector


def _gather(builder: Any, pointers: list[Any]) -> Any:
    vector = ir.Constant(LANES, ir.Undefined)
    for lane, pointer in enumerate(pointers):
        vector = builder.insert_element(vector, builder.load(pointer), ir.Constant(I32, lane))
    return vector


def _look_up(context: Any, builder: Any, kind: Any, table: Any, indices: Any) -> Any:
    base = context.make_array(kind)(context, builder, table).data
    lanes = [builder.extract_element(indices, ir.Constant(I32, lane)) for lane in range(INPUTS)]
    return _gather(builder, [builder.gep(base, [builder.zext(index, I64)]) for index in lanes])


def _counters(context: Any, builder: Any, kinds: Any, values: Any) -> list[Any]:
    """Pointers to the inputs' counters; ``values`` are counters, base and contexts."""
    found = []
    for lane in range(INPUTS):
        one = builder.load(_at(context, builder, kinds[2], values[2], ir.Constant(I64, lane)))
        at = builder.add(builder.add(values[1], ir.Constant(I64, lane * CONTEXTS)), one)
        found.append(_at(context, builder, kinds[0], values[0], at))
    return found


def _dot(builder: Any, stretched: Any, weights: Any) -> Any:
    """Sum over the lanes of products that need 64 bits."""
    products = builder.mul(builder.sext(stretched, WIDE), builder.sext(weights, WIDE))
    kind = ir.FunctionType(I64, [WIDE])
    return builder.call(
        cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.add.v{INPUTS}i64"), [products]
    )


def _predict(
    typing_context: Any, counters: Any, base: Any, contexts: Any, stretch: Any, weights: Any, one: Any, two: Any, lanes: Any
) -> Any:
    """Stretch one counter for each input and weigh them with both weight sets: two sums, in 65536ths of a stretched value.

    ``counters`` uint32, of which input ``j`` takes ``base + 256 j + contexts[j]``; ``contexts`` int64 (8,); ``stretch`` int32
    (4096,); ``weights`` int32, whose sets begin at elements ``one`` and ``two``. ``lanes`` int32 (16,) takes the stretched
    values, then the counters.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = signature.args
        zero = ir.Constant(I64, 0)
        found = _gather(builder, _counters(context, builder, kinds[:3], values[:3]))
        stretched = _look_up(context, builder, kinds[3], values[3], builder.lshr(found, _constant(LANES, 20)))
        _store(builder, stretched, _at(context, builder, kinds[7], values[7], zero))
        _store(builder, found, _at(context, builder, kinds[7], values[7], ir.Constant(I64, INPUTS)))
        sums = [_dot(builder, stretched, _load(builder, _at(context, builder, kinds[4], values[4], at))) for at in values[5:7]]
        return context.make_tuple(builder, signature.return_type, sums)

    result = types.UniTuple(types.int64, 2)
    return result(counters, types.int64, contexts, stretch, weights, types.int64, types.int64, lanes), generate


def _train(
    typing_context: Any, target: Any, miss: Any, miss2: Any, counters: Any, base: Any, contexts: Any, rates: Any,
    weights: Any, one: Any, two: Any, lanes: Any,
) -> Any:  # fmt: skip
    """Move weights and counters towards ``target`` (0 or 65535), after :func:`predict` with the same contexts and sets.

    ``miss`` and ``miss2``: how far each mixer was off, times its learning rate.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = signature.args
        stretched = _load(builder, _at(context, builder, kinds[10], values[10], ir.Constant(I64, 0)))
        for off, at in zip(values[1:3], values[8:10], strict=True):
            step = builder.mul(stretched, _splat(builder, builder.trunc(off, I32)))
            step = builder.ashr(builder.add(step, _constant(LANES, 2048)), _constant(LANES, 12))
            pointer = _at(context, builder, kinds[7], values[7], at)
            _store(builder, builder.add(_load(builder, pointer), step), pointer)
        found = _load(builder, _at(context, builder, kinds[10], values[10], ir.Constant(I64, INPUTS)))
        count = builder.and_(found, _constant(LANES, 1023))
        p = builder.lshr(found, _constant(LANES, 10))
        aim = _splat(builder, builder.shl(builder.trunc(values[0], I32), ir.Constant(I32, 6)))
        step = builder.mul(
            builder.ashr(builder.sub(aim, p), _constant(LANES, 3)), _look_up(context, builder, kinds[6], values[6], count)
        )
        p = _bounded(builder, builder.add(p, builder.ashr(step, _constant(LANES, 9))), 64, (1 << 22) - 64)
        count = _bounded(builder, builder.add(count, _constant(LANES, 1)), 0, COUNT_LIMIT)
        found = builder.or_(builder.shl(p, _constant(LANES, 10)), count)
        for lane, pointer in enumerate(_counters(context, builder, kinds[3:6], values[3:6])):
            builder.store(builder.extract_element(found, ir.Constant(I32, lane)), pointer)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(whole, whole, whole, counters, whole, contexts, rates, weights, whole, whole, lanes), generate


predict: Any = intrinsic(_predict)
train: Any = intrinsic(_train)
