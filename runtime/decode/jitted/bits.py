"""Unaligned loads and stores of several bytes at once. Callers keep the index inside the array: nothing is checked here."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...emit.intrinsic import intrinsic, types
from ...emit.vector import I8, I32, I64, call, element_pointer, splat

EIGHT = 8
"""Numbers that are written at once."""


def _load(b: Any, place: Any, kind: Any) -> Any:
    value = b.load(b.bitcast(place, kind.as_pointer()))
    value.align = 1
    return value


def _store(b: Any, value: Any, place: Any) -> None:
    b.store(value, b.bitcast(place, value.type.as_pointer())).align = 1


def _swapped(b: Any, value: Any) -> Any:
    return call(b, "llvm.bswap.i64", I64, [value])


@intrinsic
def load_big_endian(typingctx: Any, array: Any, index: Any) -> Any:
    """The uint64 whose bytes are ``array[index : index + 8]``, most significant first; ``array`` is uint8."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return _swapped(b, _load(b, element_pointer(context, b, array, *arguments), I64))

    return types.uint64(array, types.int64), codegen


@intrinsic
def store_big_endian(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the uint64 ``value`` to ``array[index : index + 8]``, most significant byte first; ``array`` is uint8."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _store(b, _swapped(b, arguments[2]), element_pointer(context, b, array, *arguments[:2]))
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), codegen


@intrinsic
def store_quad(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the uint32 ``value`` to ``array[index : index + 4]``, low byte first; ``array`` is uint8."""
    return _store_number(array, types.uint32)


@intrinsic
def store_word(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the uint64 ``value`` to ``array[index : index + 8]``, low byte first; ``array`` is uint8."""
    return _store_number(array, types.uint64)


def _store_number(array: Any, kind: Any) -> Any:
    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _store(b, arguments[2], element_pointer(context, b, array, *arguments[:2]))
        return context.get_dummy_value()

    return types.void(array, types.int64, kind), codegen


@intrinsic
def trailing_zeros(typingctx: Any, value: Any) -> Any:
    """Zeros below the lowest one of the uint64 ``value``, which has a one: uint64."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen


@intrinsic
def store_sums(typingctx: Any, places: Any, row: Any, base: Any, array: Any, index: Any) -> Any:
    """Write ``base + places[row + i]``, i < 8, to ``array[index : index + 8]``; ``places`` is uint8, ``array`` uint32."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        places_, row, base, array_, index = arguments
        narrow = _load(b, element_pointer(context, b, places, places_, row), ir.VectorType(I8, EIGHT))
        sums = b.add(b.zext(narrow, ir.VectorType(I32, EIGHT)), splat(b, b.trunc(base, I32), EIGHT))
        _store(b, sums, element_pointer(context, b, array, array_, index))
        return context.get_dummy_value()

    return types.void(places, types.int64, types.int64, array, types.int64), codegen
