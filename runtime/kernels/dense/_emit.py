"""Instructions for kernels: sums finished. Places are addresses in bytes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .._deferred import intrinsic, types
from .._memory import clip, pointer
from .._vector import F32, I64, call, lanes_below, masked_load, masked_store, splat


@intrinsic
def finish_vector(
    typingctx: Any, lanes: Any, target: Any, sums: Any, residual: Any, added: Any, count: Any, affine: Any
) -> Any:
    """Write ``clip(sum * scale + shift + residual, low, high)`` of the first ``count`` of ``V`` sums; NaN stays NaN.

    ``affine`` are the addresses of scale, shift and bounds. The residual is read if ``added`` is not 0.
    """
    vector = ir.VectorType(F32, len(lanes))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, (_, target, sums, residual, added, count, affine) = builder, arguments
        scale, shift, low = (pointer(b, b.extract_value(affine, k)) for k in range(3))
        places = (scale, shift, low, b.gep(low, [ir.Constant(I64, 1)]))
        factors = [splat(b, b.load(place), vector.count) for place in places]
        mask, before = lanes_below(b, count, vector.count), b.block
        with b.if_then(b.icmp_signed("!=", added, ir.Constant(I64, 0))):
            loaded, inside = masked_load(b, pointer(b, residual), mask, vector), b.block
        other = b.phi(vector)
        other.add_incoming(ir.Constant(vector, None), before)
        other.add_incoming(loaded, inside)
        value = b.load(b.bitcast(pointer(b, sums), vector.as_pointer()))
        value.align = 4 * vector.count
        scaled = call(b, f"llvm.fma.v{vector.count}f32", vector, [value, *factors[:2]])
        masked_store(b, clip(b, b.fadd(scaled, other), *factors[2:]), pointer(b, target), mask)
        return context.get_dummy_value()

    return types.void(lanes, *[types.intp] * 5, affine), codegen
