"""Unaligned loads and stores of several bytes at once. Callers keep the index inside the array: nothing is checked here."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ..kernels._deferred import cgutils, intrinsic, types

_64 = ir.IntType(64)


def _swap(builder: Any, value: Any) -> Any:
    kind = ir.FunctionType(_64, [_64])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.bswap.i64"), [value])


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, target: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), target.as_pointer())


def _load_big_endian(typing_context: Any, array: Any, index: Any) -> Any:
    """The uint64 whose bytes are ``array[index : index + 8]``, most significant first; ``array`` is uint8."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        value = builder.load(_pointer(context, builder, signature.args[0], values[0], values[1], _64))
        value.align = 1
        return _swap(builder, value)

    return types.uint64(array, types.int64), generate


def _store_big_endian(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the uint64 ``value`` to ``array[index : index + 8]``, most significant byte first; ``array`` is uint8."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        stored = builder.store(
            _swap(builder, values[2]), _pointer(context, builder, signature.args[0], values[0], values[1], _64)
        )
        stored.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), generate


def _store_quad(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the uint32 ``value`` to ``array[index : index + 4]``, low byte first; ``array`` is uint8."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _pointer(context, builder, signature.args[0], values[0], values[1], ir.IntType(32))
        stored = builder.store(values[2], place)
        stored.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint32), generate


def _trailing_zeros(typing_context: Any, value: Any) -> Any:
    """Zeros below the lowest one of the uint64 ``value``, which has a one: uint64."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


load_big_endian: Any = intrinsic(_load_big_endian)
trailing_zeros: Any = intrinsic(_trailing_zeros)
store_big_endian: Any = intrinsic(_store_big_endian)
store_quad: Any = intrinsic(_store_quad)


def _store_word(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the uint64 ``value`` to ``array[index : index + 8]``, low byte first; ``array`` is uint8."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        stored = builder.store(values[2], _pointer(context, builder, signature.args[0], values[0], values[1], _64))
        stored.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), generate


def _store_sums(typing_context: Any, places: Any, row: Any, base: Any, array: Any, index: Any) -> Any:
    """Write ``base + places[row + i]``, i < 8, to ``array[index : index + 8]``; ``places`` is uint8, ``array`` uint32."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        eight_bytes, eight = ir.VectorType(ir.IntType(8), 8), ir.VectorType(ir.IntType(32), 8)
        narrow = builder.load(_pointer(context, builder, signature.args[0], values[0], values[1], eight_bytes))
        narrow.align = 1
        lanes = ir.Constant(eight, ir.Undefined)
        first = builder.insert_element(lanes, builder.trunc(values[2], ir.IntType(32)), ir.Constant(ir.IntType(32), 0))
        splat = builder.shuffle_vector(first, lanes, ir.Constant(eight, [0] * 8))
        sums = builder.add(builder.zext(narrow, eight), splat)
        stored = builder.store(sums, _pointer(context, builder, signature.args[3], values[3], values[4], eight))
        stored.align = 1
        return context.get_dummy_value()

    return types.void(places, types.int64, types.int64, array, types.int64), generate


store_word: Any = intrinsic(_store_word)
store_sums: Any = intrinsic(_store_sums)
