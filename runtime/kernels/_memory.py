"""Vectors of float32 moved between addresses: cheap to compile and to call where arrays, as arguments, are neither.

An address is an integer, in bytes. ``V`` is the length of the tuple ``lanes``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from llvmlite import ir

from ._deferred import intrinsic, types
from ._vector import (
    F32,
    I32,
    I64,
    call,
    element_pointer,
    lanes_below,
    masked_load,
    prefetch_line,
    splat,
    vector_pointer,
)

F32_POINTER = F32.as_pointer()


@intrinsic
def address(typingctx: Any, array: Any) -> Any:
    """Where the elements of ``array`` begin. (``array.ctypes.data`` is unsigned: sums with signed numbers are float64.)"""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(element_pointer(context, builder, signature.args[0], arguments[0], ir.Constant(I64, 0)), I64)

    return types.intp(array), codegen


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, F32_POINTER)


def _mover(lanes: Any, others: int, emit: Callable[..., Any]) -> Any:
    """An intrinsic's answer: addresses and numbers in, ``emit(builder, target, source, *numbers)`` the vector to store."""
    signature = types.void(lanes, types.intp, types.intp, *[types.intp] * others)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, target, source, *numbers = arguments
        value = emit(builder, _pointer(builder, source), *numbers)
        builder.store(value, builder.bitcast(_pointer(builder, target), value.type.as_pointer())).align = 4
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_vector(typingctx: Any, lanes: Any, target: Any, source: Any) -> Any:
    """Copy ``V`` elements."""
    vector = ir.VectorType(F32, len(lanes))

    def emit(builder: Any, source: Any) -> Any:
        value = builder.load(builder.bitcast(source, vector.as_pointer()))
        value.align = 4
        return value

    return _mover(lanes, 0, emit)


@intrinsic
def copy_lanes(typingctx: Any, lanes: Any, target: Any, source: Any, low: Any, high: Any) -> Any:
    """Copy the elements whose numbers are in ``[low, high)``, the only ones that are read; write zeros for the others."""
    count = len(lanes)

    def emit(builder: Any, source: Any, low: Any, high: Any) -> Any:
        mask = builder.and_(lanes_below(builder, high, count), builder.not_(lanes_below(builder, low, count)))
        return masked_load(builder, source, mask, ir.VectorType(F32, count))

    return _mover(lanes, 2, emit)


def _copy_every(lanes: Any, step: int) -> Any:
    """An intrinsic's answer: copy every ``step``-th of ``step * V`` elements, ``step`` a power of two."""
    count = len(lanes)
    evens = ir.Constant(ir.VectorType(I32, count), list(range(0, 2 * count, 2)))

    def emit(builder: Any, source: Any, low: Any, high: Any) -> Any:
        parts = []
        for k in range(step):
            begin = ir.Constant(I64, k * count)
            below_low, below_high = (lanes_below(builder, builder.sub(bound, begin), count) for bound in (low, high))
            mask = builder.and_(below_high, builder.not_(below_low))
            parts.append(masked_load(builder, builder.gep(source, [begin]), mask, ir.VectorType(F32, count)))
        while len(parts) > 1:
            parts = [builder.shuffle_vector(*pair, evens) for pair in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    return _mover(lanes, 2, emit)


@intrinsic
def copy_every_second(typingctx: Any, lanes: Any, target: Any, source: Any, low: Any, high: Any) -> Any:
    """Copy every second of ``2 * V`` elements; those whose numbers are not in ``[low, high)`` are zeros, and not read."""
    return _copy_every(lanes, 2)


@intrinsic
def copy_every_fourth(typingctx: Any, lanes: Any, target: Any, source: Any, low: Any, high: Any) -> Any:
    """Copy every fourth of ``4 * V`` elements; those whose numbers are not in ``[low, high)`` are zeros, and not read."""
    return _copy_every(lanes, 4)


@intrinsic
def copy_strided(typingctx: Any, lanes: Any, target: Any, source: Any, stride: Any, low: Any, high: Any) -> Any:
    """Copy every ``stride``-th of ``V`` elements; those whose numbers are not in ``[low, high)`` are zeros, and not read."""
    return _mover(lanes, 3, lambda builder, *rest: _gather(builder, len(lanes), *rest))


def _gather(builder: Any, count: int, source: Any, stride: Any, low: Any, high: Any) -> Any:
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


def _fold(lanes: Any, adds: Any, numbers: int, load: Callable[..., Any]) -> Any:
    """An intrinsic's answer: ``V`` elements at ``target`` become their maxima with those that ``load(builder, source,
    *numbers)`` reads, or sums where ``adds`` is not empty."""
    vector = ir.VectorType(F32, len(lanes))

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, target, source, *rest = arguments
        place = b.bitcast(_pointer(b, target), vector.as_pointer())
        had = b.load(place)
        had.align = 4
        value = load(b, _pointer(b, source), *rest)
        folded = b.fadd(had, value) if len(adds) else b.select(b.fcmp_ordered(">", value, had), value, had)
        b.store(folded, place).align = 4
        return context.get_dummy_value()

    return types.void(lanes, adds, types.intp, types.intp, *[types.intp] * numbers), codegen


@intrinsic
def fold_lanes(typingctx: Any, lanes: Any, adds: Any, target: Any, source: Any, count: Any) -> Any:
    """Fold ``count`` elements, at most ``V``, into as many: the larger of both, or the sum where ``adds`` is not empty."""
    vector = ir.VectorType(F32, len(lanes))
    neutral = ir.Constant(vector, [0.0 if len(adds) else -inf] * len(lanes))

    def load(b: Any, source: Any, count: Any) -> Any:
        return masked_load(b, source, lanes_below(b, count, len(lanes)), vector, neutral)

    return _fold(lanes, adds, 1, load)


@intrinsic
def fold_every_second(typingctx: Any, lanes: Any, adds: Any, target: Any, source: Any) -> Any:
    """Fold every second of ``2 * V`` elements into ``V``, as :func:`fold_lanes`."""
    width = len(lanes)

    def load(b: Any, source: Any) -> Any:
        halves = [b.load(vector_pointer(b, source, ir.Constant(I64, k * width), ir.VectorType(F32, width))) for k in range(2)]
        for half in halves:
            half.align = 4
        return b.shuffle_vector(*halves, ir.Constant(ir.VectorType(I32, width), list(range(0, 2 * width, 2))))

    return _fold(lanes, adds, 0, load)


@intrinsic
def fold_strided(typingctx: Any, lanes: Any, adds: Any, target: Any, source: Any, stride: Any, count: Any) -> Any:
    """Fold ``count`` elements, ``stride`` apart, into ``V``, as :func:`fold_lanes`; what the others become means nothing."""

    def load(b: Any, source: Any, stride: Any, count: Any) -> Any:
        return _gather(b, len(lanes), source, stride, ir.Constant(I64, 0), b.mul(stride, count))

    return _fold(lanes, adds, 2, load)


def clip(builder: Any, value: Any, low: Any, high: Any) -> Any:
    """``value`` between ``low`` and ``high``, all vectors; NaN stays NaN."""
    value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
    return builder.select(builder.fcmp_ordered(">", value, high), high, value)


@intrinsic
def prefetch_address(typingctx: Any, address: Any) -> Any:
    """Ask for the cache line at ``address``, which need not exist."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        prefetch_line(builder, _pointer(builder, arguments[0]))
        return context.get_dummy_value()

    return types.void(types.intp), codegen
