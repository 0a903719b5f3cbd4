"""Vectors of float32 moved between addresses: cheap to compile and to call where arrays, as arguments, are neither.

An address is an integer, in bytes. ``V`` is the length of the tuple ``lanes``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .intrinsic import arrayobj, cgutils, intrinsic, types
from .vector import (
    F32,
    I32,
    I64,
    call,
    element_pointer,
    lanes_below,
    load_vector,
    masked_load,
    prefetch_line,
    splat,
    store_vector,
)

F32_POINTER = F32.as_pointer()


@intrinsic
def address(typingctx: Any, array: Any) -> Any:
    """Where the elements of ``array`` begin. (``array.ctypes.data`` is unsigned: sums with signed numbers are float64.)"""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(element_pointer(context, builder, signature.args[0], arguments[0], ir.Constant(I64, 0)), I64)

    return types.intp(array), codegen


def pointer(builder: Any, address: Any) -> Any:
    """The pointer to float32 that an address is."""
    return builder.inttoptr(address, F32_POINTER)


def opaque(builder: Any, place: Any) -> Any:
    """The same pointer, as one number in a register: where an instruction adds up two, the processor makes two of it."""
    same = ir.InlineAsm(ir.FunctionType(I64, [I64]), "", "=r,0")
    return builder.inttoptr(builder.call(same, [builder.ptrtoint(place, I64)]), place.type)


def _mover(lanes: Any, others: int, emit: Callable[..., Any]) -> Any:
    """An intrinsic's answer: addresses and numbers in, ``emit(builder, target, source, *numbers)`` the vector to store."""
    signature = types.void(lanes, types.intp, types.intp, *[types.intp] * others)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, target, source, *numbers = arguments
        value = emit(builder, pointer(builder, source), *numbers)
        store_vector(builder, value, pointer(builder, target))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_vector(typingctx: Any, lanes: Any, target: Any, source: Any) -> Any:
    """Copy ``V`` elements."""
    vector = ir.VectorType(F32, len(lanes))

    def emit(builder: Any, source: Any) -> Any:
        return load_vector(builder, source, vector)

    return _mover(lanes, 0, emit)


@intrinsic
def copy_lanes(typingctx: Any, lanes: Any, target: Any, source: Any, low: Any, high: Any) -> Any:
    """Copy the elements whose numbers are in ``[low, high)``, the only ones that are read; write zeros for the others."""
    count = len(lanes)

    def emit(builder: Any, source: Any, low: Any, high: Any) -> Any:
        mask = builder.and_(lanes_below(builder, high, count), builder.not_(lanes_below(builder, low, count)))
        return masked_load(builder, source, mask, ir.VectorType(F32, count))

    return _mover(lanes, 2, emit)


def gather(builder: Any, count: int, source: Any, stride: Any, low: Any, high: Any) -> Any:
    """Elements ``0, stride, 2 * stride...`` of ``source``; zeros for those whose numbers are not in ``[low, high)``."""
    numbers = ir.Constant(ir.VectorType(I64, count), list(range(count)))
    places = builder.mul(numbers, splat(builder, stride, count))
    inside = [builder.icmp_signed(op, places, splat(builder, bound, count)) for op, bound in ((">=", low), ("<", high))]
    base = splat(builder, builder.ptrtoint(source, I64), count)
    addresses = builder.add(base, builder.mul(places, ir.Constant(places.type, [4] * count)))
    pointers = builder.inttoptr(addresses, ir.VectorType(F32_POINTER, count))
    vector = ir.VectorType(F32, count)
    arguments = [pointers, ir.Constant(I32, 4), builder.and_(*inside), ir.Constant(vector, None)]
    return call(builder, f"llvm.masked.gather.v{count}f32.v{count}p0", vector, arguments)


def clip(builder: Any, value: Any, low: Any, high: Any) -> Any:
    """``value`` between ``low`` and ``high``, all vectors; NaN stays NaN."""
    value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
    return builder.select(builder.fcmp_ordered(">", value, high), high, value)


@intrinsic
def float_at(typingctx: Any, address: Any) -> Any:
    """The float32 at ``address``."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(pointer(builder, arguments[0]))

    return types.float32(types.intp), codegen


def array_at(element: Any, *before: Any) -> Any:
    """An intrinsic's answer: address and count in, after arguments of the types ``before``; an array of ``element`` out."""
    kind = types.Array(element, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, (address, count) = context.make_array(kind)(context, builder), arguments[len(before) :]
        size = ir.Constant(I64, element.bitwidth // 8 if element != types.boolean else 1)
        place = builder.inttoptr(address, context.get_data_type(element).as_pointer())
        arrayobj.populate_array(array, place, [count], [size], size, None)
        return array._getvalue()

    return kind(*before, types.intp, types.intp), codegen


@intrinsic
def floats_at(typingctx: Any, address: Any, count: Any) -> Any:
    """The ``count`` float32 at ``address`` as an array."""
    return array_at(types.float32)


@intrinsic
def doubles_at(typingctx: Any, address: Any, count: Any) -> Any:
    """The ``count`` float64 at ``address`` as an array."""
    return array_at(types.float64)


@intrinsic
def put_float(typingctx: Any, target: Any, value: Any) -> Any:
    """Write a float32."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], pointer(builder, arguments[0]))
        return context.get_dummy_value()

    return types.void(types.intp, types.float32), codegen


@intrinsic
def place_at(typingctx: Any, address: Any, index: Any) -> Any:
    """The uint32 ``index`` places after ``address``, as an int64."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = builder.inttoptr(arguments[0], I32.as_pointer())
        return builder.zext(builder.load(builder.gep(places, [arguments[1]])), I64)

    return types.intp(types.intp, types.intp), codegen


def _asker(*, write: bool) -> Any:
    """An intrinsic's answer: what asks for the lines of rows, see :func:`prefetch_rows`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, (row, pitch, length, count) = builder, arguments
        size, line = b.mul(length, ir.Constant(I64, 4)), ir.Constant(I64, 64)
        with cgutils.for_range(b, count, intp=I64) as outer:
            place = b.add(row, b.mul(outer.index, pitch))
            with cgutils.for_range_slice(b, ir.Constant(I64, 0), size, line, I64) as (offset, _):
                prefetch_line(b, pointer(b, b.add(place, offset)), write=write)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), codegen


@intrinsic
def prefetch_rows(typingctx: Any, row: Any, pitch: Any, length: Any, count: Any) -> Any:
    """Ask for the cache lines of ``length`` elements from each of ``count`` rows that are ``pitch`` bytes apart."""
    return _asker(write=False)


@intrinsic
def prefetch_written(typingctx: Any, row: Any, pitch: Any, length: Any, count: Any) -> Any:
    """As :func:`prefetch_rows`, for lines that will be written: another core that has them gives them up at once, and need not
    be asked a second time."""
    return _asker(write=True)


@intrinsic
def prefetch_address(typingctx: Any, address: Any) -> Any:
    """Ask for the cache line at ``address``, which need not exist."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        prefetch_line(builder, pointer(builder, arguments[0]))
        return context.get_dummy_value()

    return types.void(types.intp), codegen
