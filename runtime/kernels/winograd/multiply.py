"""The register tile of Winograd's products: sums over input channels, for ``T`` output channels and ``R`` vectors of tiles."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .._deferred import cgutils, intrinsic, types
from .._jit import jit
from .._vector import F32, I64, call, splat, vector_pointer

TASK = 8
"""Length of a task, int64: addresses of inputs, weights and sums; elements from the inputs of one channel to those of the next;
input channels; elements from the sums of one output channel to those of the next; units of ``T`` output channels; elements
from the weights of one unit, (channels, T), to those of the next."""


def emit_units(b: Any, task: Any, T: int, R: int, V: int) -> None:
    """Emit the loop over the units of a task."""
    fields = b.inttoptr(task, I64.as_pointer())
    inputs, weights, sums, step, channels, pitch, units, unit = (
        b.load(b.gep(fields, [ir.Constant(I64, i)])) for i in range(TASK)
    )
    inputs, weights, sums = (b.inttoptr(place, F32.as_pointer()) for place in (inputs, weights, sums))
    vector, together = ir.VectorType(F32, V), ir.Constant(I64, T)
    with cgutils.for_range(b, units, intp=I64) as loop:
        totals = _walk(b, inputs, b.gep(weights, [b.mul(loop.index, unit)]), step, channels, T, R, vector)
        target = b.gep(sums, [b.mul(b.mul(loop.index, together), pitch)])
        for t in range(T):
            row = b.gep(target, [b.mul(ir.Constant(I64, t), pitch)])
            for r in range(R):
                b.store(totals[t][r], vector_pointer(b, row, ir.Constant(I64, r * V), vector)).align = 4 * V


def _walk(b: Any, inputs: Any, weights: Any, step: Any, channels: Any, T: int, R: int, vector: Any) -> list[list[Any]]:
    """Emit the loop over input channels, of which there is one at least; returns the sums."""
    before, walk, walked = b.block, b.append_basic_block("walk"), b.append_basic_block("walked")
    b.branch(walk)
    b.position_at_end(walk)
    channel = b.phi(I64)
    channel.add_incoming(ir.Constant(I64, 0), before)
    totals = [[b.phi(vector) for _ in range(R)] for _ in range(T)]
    source = b.gep(inputs, [b.mul(channel, step)])
    values = [b.load(vector_pointer(b, source, ir.Constant(I64, r * vector.count), vector)) for r in range(R)]
    for value in values:
        value.align = 4 * vector.count
    first = b.mul(channel, ir.Constant(I64, T))
    for t in range(T):
        weight = splat(b, b.load(b.gep(weights, [b.add(first, ir.Constant(I64, t))])), vector.count)
        for r, phi in enumerate(totals[t]):
            totals[t][r] = call(b, f"llvm.fma.v{vector.count}f32", vector, [weight, values[r], phi])
            phi.add_incoming(ir.Constant(vector, None), before)
            phi.add_incoming(totals[t][r], walk)
    following = b.add(channel, ir.Constant(I64, 1))
    channel.add_incoming(following, walk)
    b.cbranch(b.icmp_signed("<", following, channels), walk, walked)
    b.position_at_end(walked)
    return totals


@intrinsic
def _address(typingctx: Any, together: Any, rows: Any, lanes: Any) -> Any:
    """The address of the function that carries out tasks."""
    T, R, V = len(together), len(rows), len(lanes)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [I64]), f"tersor_products_{T}_{R}_{V}")
        function.linkage = "internal"
        inside = ir.IRBuilder(function.append_basic_block("entry"))
        emit_units(inside, function.args[0], T, R, V)
        inside.ret_void()
        return builder.ptrtoint(function, I64)

    return types.intp(together, rows, lanes), codegen


@jit
def multiplier(together, rows, lanes):
    """Address of a function that carries out a task, given by its address: for ``len(together)`` output channels at once and
    ``len(rows)`` vectors of ``len(lanes)`` tiles. The address is good as long as the process."""
    return _address(together, rows, lanes)
