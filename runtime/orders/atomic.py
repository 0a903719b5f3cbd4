"""Numbers in memory that several threads read and change, and machine code by its address.

An address is an integer, in bytes, of an int64. What a thread wrote before it changed a number is seen by one that reads the
change.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ..emit.intrinsic import intrinsic, types
from ..emit.vector import I8, I32, I64, call
from .order import FAILED, TAKEN

PLACE = I64.as_pointer()


def _simple(count: int, emit: Any) -> Any:
    """An intrinsic's answer: a place and ``count - 1`` numbers in, the number ``emit(builder, place, *numbers)`` out."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, *numbers = arguments
        return emit(builder, builder.inttoptr(place, PLACE), *numbers)

    return types.intp(*[types.intp] * count), codegen


@intrinsic
def number_at(typingctx: Any, address: Any, index: Any) -> Any:
    """The int64 ``index`` places after ``address``, which nobody changes meanwhile."""
    return _simple(2, lambda b, place, index: b.load(b.gep(place, [index])))


@intrinsic
def byte_at(typingctx: Any, address: Any) -> Any:
    """The byte at ``address``, unsigned, which nobody changes meanwhile."""
    return _simple(1, lambda b, place: b.zext(b.load(b.bitcast(place, I8.as_pointer())), I64))


@intrinsic
def seen_at(typingctx: Any, address: Any) -> Any:
    """The number at ``address``."""
    return _simple(1, lambda b, place: b.load_atomic(place, "acquire", 8))


@intrinsic
def put_at(typingctx: Any, address: Any, value: Any) -> Any:
    """Write ``value``, without waiting until others can see it."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, value = arguments
        builder.store_atomic(value, builder.inttoptr(place, PLACE), "release", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def add_at(typingctx: Any, address: Any, value: Any) -> Any:
    """Add ``value``; returns the number before."""
    return _simple(2, lambda b, place, value: b.atomic_rmw("add", place, value, "acq_rel"))


@intrinsic
def swap_at(typingctx: Any, address: Any, value: Any) -> Any:
    """Write ``value``; returns the number before."""
    return _simple(2, lambda b, place, value: b.atomic_rmw("xchg", place, value, "acq_rel"))


@intrinsic
def replace_at(typingctx: Any, address: Any, expected: Any, value: Any) -> Any:
    """Write ``value`` where ``expected`` stands, else nothing; 1 when it was written."""

    def emit(b: Any, place: Any, expected: Any, value: Any) -> Any:
        pair = b.cmpxchg(place, expected, value, "acq_rel", "acquire")
        return b.zext(b.extract_value(pair, 1), I64)

    return _simple(3, emit)


@intrinsic
def call_at(typingctx: Any, function: Any, argument: Any) -> Any:
    """Call the machine code at the address ``function``, which takes an int64 and returns nothing."""

    return _caller(1)


@intrinsic
def call_for(typingctx: Any, function: Any, order: Any, member: Any) -> Any:
    """As :func:`call_at`, for code that carries out an order: it is told which one of several threads calls it."""
    return _caller(2)


def _caller(count: int) -> Any:
    """An intrinsic's answer: the address of code that takes ``count`` int64, and these."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [I64] * count)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.intp, *[types.intp] * count), codegen


@intrinsic
def code_of(typingctx: Any, lanes: Any, function: Any) -> Any:
    """The address of machine code that calls the kernel ``function(lanes, argument)`` or ``function(lanes, order, member)`` on
    its int64, good as long as the process.

    The first of a kernel that allocates is the address of an order. Nobody could catch what it raises: instead,
    :data:`~tersor.runtime.orders.order.FAILED` is set among the pieces taken.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        code = function.dispatcher.py_func.__code__
        numbers = code.co_argcount - 1
        kind = ir.FunctionType(ir.VoidType(), [I64] * numbers)
        made = ir.Function(builder.module, kind, f"tersor_{code.co_name}_{len(lanes)}")
        made.linkage = "internal"
        inside = ir.IRBuilder(made.append_basic_block("entry"))
        called = types.void(lanes, *[types.intp] * numbers)
        compiled = function.dispatcher.get_compile_result(called)
        context.active_code_library.add_linking_library(compiled.library)
        values = [context.get_constant_undef(lanes), *made.args]
        status, _ = context.call_internal_no_propagate(inside, compiled.fndesc, called, values)
        with inside.if_then(status.is_error, likely=False):
            _set_failed(inside, made.args[0])
        inside.ret_void()
        return builder.ptrtoint(made, I64)

    return types.intp(lanes, function), codegen


@intrinsic
def fail(typingctx: Any, order: Any) -> Any:
    """Set :data:`~tersor.runtime.orders.order.FAILED` in the order at an address: its code cannot go on."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _set_failed(builder, arguments[0])
        return context.get_dummy_value()

    return types.void(types.intp), codegen


def _set_failed(builder: Any, order: Any) -> None:
    taken = builder.inttoptr(builder.add(order, ir.Constant(I64, 8 * TAKEN)), PLACE)
    builder.atomic_rmw("or", taken, ir.Constant(I64, FAILED), "acq_rel")


def emitted(builder: Any, name: str, emit: Callable[[Any, Any], None]) -> Any:
    """The address, an i64, of the function of an address that ``emit(builder, address)`` emits; good as long as the process."""
    function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [I64]), name)
    function.linkage = "internal"
    inside = ir.IRBuilder(function.append_basic_block("entry"))
    emit(inside, function.args[0])
    inside.ret_void()
    return builder.ptrtoint(function, I64)


@intrinsic
def bits_set(typingctx: Any, value: Any) -> Any:
    """How many bits of a uint64 are set."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return call(builder, "llvm.ctpop.i64", I64, list(arguments))

    return types.intp(types.uint64), codegen


@intrinsic
def pause(typingctx: Any) -> Any:
    """Let the other hardware thread of a core have more of it, for some cycles: for loops that wait."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        processor = builder.module.triple.split("-")[0]
        if processor == "x86_64":
            call(builder, "llvm.x86.sse2.pause", ir.VoidType(), [])
        elif processor in ("aarch64", "arm64"):
            call(builder, "llvm.aarch64.hint", ir.VoidType(), [ir.Constant(I32, 1)])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def processor(typingctx: Any) -> Any:
    """The number of the processor that this thread runs on, where Linux tells; else -1."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if sys.platform != "linux":
            return ir.Constant(I64, -1)
        return builder.sext(call(builder, "sched_getcpu", I32, []), I64)

    return types.intp(), codegen


@intrinsic
def let_others_run(typingctx: Any) -> Any:
    """Give the processor to another thread, where POSIX says how."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if os.name == "posix":
            call(builder, "sched_yield", I32, [])
        return context.get_dummy_value()

    return types.void(), codegen
