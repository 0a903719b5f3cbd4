"""Columns and rows of vectors, copied by functions of machine code that a kernel has once, however often it calls them.

Places are addresses in bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .intrinsic import cgutils, intrinsic, types
from .memory import gather, pointer
from .vector import F32, I32, I64, lanes_below, load_vector, masked_load, prefetch_line, store_vector

ZERO = ir.Constant(I64, 0)

TOGETHER = 2
"""Vectors of a line that are copied in one turn."""


@intrinsic
def copy_column(
    typingctx: Any, lanes: Any, target: Any, step: Any, row: Any, pitch: Any, stride: Any, low: Any, high: Any, count: Any
) -> Any:
    """Copy one vector from each of ``count`` rows that are ``pitch`` bytes apart: every ``stride``-th element. The vectors are
    written ``step`` bytes apart.

    Of the elements that a vector stretches over, only those whose numbers are in ``[low, high)`` are read; zeros stand for the
    others. Returns where the next vector would be written.
    """

    return types.intp(lanes, *[types.intp] * 8), _called("column", len(lanes), 8, _emit_column)


@intrinsic
def copy_band(typingctx: Any, lanes: Any, target: Any, row: Any, pitch: Any, length: Any, count: Any) -> Any:
    """Copy ``length`` elements from each of ``count`` rows that are ``pitch`` bytes apart, one behind the other.

    There is one of each at least. Whole vectors are read and written: up to ``V - 1`` elements after the last one get any
    value. Returns where the last one ends.
    """
    return types.intp(lanes, *[types.intp] * 5), _called("band", len(lanes), 5, _emit_band)


@intrinsic
def copy_line(typingctx: Any, lanes: Any, target: Any, line: Any, ahead: Any, count: Any) -> Any:
    """Copy ``count`` consecutive vectors, and ask for those that lie ``ahead`` bytes behind each. Returns where they end."""
    return types.intp(lanes, *[types.intp] * 4), _called("line", len(lanes), 4, _emit_line)


def _called(name: str, V: int, count: int, emit: Callable[[Any, ir.Function, int], None]) -> Callable[..., Any]:
    """What calls a function of ``count`` numbers that returns one, made by ``emit`` where a module has none yet."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        module, label = builder.module, f"tersor_copy_{name}_{V}"
        if label not in module.globals:
            function = ir.Function(module, ir.FunctionType(I64, [I64] * count), label)
            function.linkage = "linkonce_odr"  # parts of a kernel are modules until they are linked
            function.attributes.add("noinline")
            emit(ir.IRBuilder(function.append_basic_block("entry")), function, V)
        return builder.call(module.globals[label], arguments[1:])

    return codegen


def _emit_band(b: Any, function: Any, V: int) -> None:
    target, row, pitch, length, count = function.args
    size, read = b.mul(length, ir.Constant(I64, 4)), _every(b, V, 1)
    for most in (V // 2, V):  # fewer of smaller vectors lie in two cache lines
        with b.if_then(b.icmp_signed("<=", length, ir.Constant(I64, most))):
            b.ret(_each_row(b, target, size, row, pitch, count, _every(b, most, 1)))
    with cgutils.for_range(b, count, intp=I64) as rows:
        to, at = b.add(target, b.mul(rows.index, size)), b.add(row, b.mul(rows.index, pitch))
        with cgutils.for_range_slice(b, ZERO, size, ir.Constant(I64, 4 * V), I64) as (offset, _):
            value = read(pointer(b, b.add(at, offset)))
            store_vector(b, value, pointer(b, b.add(to, offset)))
    b.ret(b.add(target, b.mul(count, size)))


def _emit_line(b: Any, function: Any, V: int) -> None:
    target, line, ahead, count = function.args
    vector, size = ir.VectorType(F32, V), 4 * V
    end = b.mul(count, ir.Constant(I64, size))
    together = b.and_(end, ir.Constant(I64, -size * TOGETHER))
    for begin, stop, number in ((ZERO, together, TOGETHER), (together, end, 1)):
        with cgutils.for_range_slice(b, begin, stop, ir.Constant(I64, size * number), I64) as (offset, _):
            for k in range(number):
                at = b.add(offset, ir.Constant(I64, size * k))
                source, to = b.add(line, at), pointer(b, b.add(target, at))
                prefetch_line(b, pointer(b, b.add(source, ahead)))
                store_vector(b, load_vector(b, pointer(b, source), vector), to)
    b.ret(b.add(target, end))


def _emit_column(b: Any, function: Any, V: int) -> None:
    target, step, row, pitch, stride, low, high, count = function.args
    whole = b.and_(b.icmp_signed("==", low, ZERO), b.icmp_signed("==", high, b.mul(stride, ir.Constant(I64, V))))
    some = b.icmp_signed(">", count, ZERO)
    nothing = function.append_basic_block("nothing")
    for apart in (1, 2, 4):  # by shuffles: processors gather slowly. Whole vectors need no masks
        chosen, other = function.append_basic_block("chosen"), function.append_basic_block("other")
        b.cbranch(b.icmp_signed("==", stride, ir.Constant(I64, apart)), chosen, other)
        b.position_at_end(chosen)
        with b.if_then(b.and_(some, whole)):
            b.ret(_each_row(b, target, step, row, pitch, count, _every(b, V, apart)))
        with b.if_then(some):
            b.ret(_each_row(b, target, step, row, pitch, count, _every(b, V, apart, low, high)))
        b.branch(nothing)
        b.position_at_end(other)

    def gathered(source: Any) -> Any:
        return gather(b, V, source, stride, low, high)

    with b.if_then(some):
        b.ret(_each_row(b, target, step, row, pitch, count, gathered))
    b.branch(nothing)
    b.position_at_end(nothing)
    b.ret(target)


def _each_row(b: Any, target: Any, step: Any, row: Any, pitch: Any, count: Any, read: Callable[[Any], Any]) -> Any:
    """Write what ``read`` makes of each row; there is one at least."""
    before, loop, done = b.block, b.append_basic_block("row"), b.append_basic_block("rows")
    b.branch(loop)
    b.position_at_end(loop)
    to, at, left = b.phi(I64), b.phi(I64), b.phi(I64)
    value = read(pointer(b, at))
    store_vector(b, value, pointer(b, to))
    after = b.add(to, step), b.add(at, pitch), b.sub(left, ir.Constant(I64, 1))
    for phi, first, following in zip((to, at, left), (target, row, count), after, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(following, loop)
    b.cbranch(b.icmp_signed(">", after[2], ZERO), loop, done)
    b.position_at_end(done)
    return after[0]


def _every(b: Any, V: int, apart: int, *bounds: Any) -> Callable[[Any], Any]:
    """What reads every ``apart``-th element, a power of two, of ``apart * V``: those within ``bounds`` (low, high), or all."""
    vector, evens = ir.VectorType(F32, V), ir.Constant(ir.VectorType(I32, V), list(range(0, 2 * V, 2)))
    begins = [ir.Constant(I64, k * V) for k in range(apart)]
    masks = []
    for begin in begins if bounds else ():
        below_low, below_high = (lanes_below(b, b.sub(bound, begin), V) for bound in bounds)
        masks.append(b.and_(below_high, b.not_(below_low)))

    def load(source: Any, k: int) -> Any:
        if masks:
            return masked_load(b, b.gep(source, [begins[k]]), masks[k], vector)
        return load_vector(b, b.gep(source, [begins[k]]), vector)

    def read(source: Any) -> Any:
        parts = [load(source, k) for k in range(apart)]
        while len(parts) > 1:
            parts = [b.shuffle_vector(*pair, evens) for pair in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    return read
