"""Instructions for kernels: inputs of products put together, and sums finished. Places are addresses in bytes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ....emit.finish import factors_at, finished, gate_in
from ....emit.intrinsic import cgutils, intrinsic, types
from ....emit.memory import pointer
from ....emit.vector import I64, lanes_below, masked_load, masked_store
from ....emit.walk import F32_BYTES
from ..winograd.transforms import Vectors
from .terms import OUTPUTS, PRODUCTS, SUMS


@intrinsic
def transform_band(
    typingctx: Any, lanes: Any, taps: Any, targets: Any, source: Any, pitch: Any, length: Any, count: Any
) -> Any:
    """Write the inputs of the products of so many ``taps``, see :data:`.terms.PRODUCTS`: for
    ``length`` pairs of each of ``count`` rows, ``pitch`` bytes apart, one row behind the other.

    ``source`` is the address of the first pair's element 0, each pair's is two elements behind the last one's; ``targets`` are
    those for the four sums. Whole vectors are read and written: up to ``V - 1`` elements after the last one get any value.
    """

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, taps, targets, source, pitch, length, count = arguments
        v, size = Vectors(b, len(lanes)), b.mul(length, ir.Constant(I64, F32_BYTES))
        for number in PRODUCTS:
            with b.if_then(b.icmp_signed("==", taps, ir.Constant(I64, number))), cgutils.for_range(b, count, intp=I64) as rows:
                row, along = pointer(b, b.add(source, b.mul(rows.index, pitch))), b.mul(rows.index, size)
                to = [pointer(b, b.add(b.extract_value(targets, point), along)) for point in range(SUMS)]
                with cgutils.for_range_slice(b, ir.Constant(I64, 0), length, ir.Constant(I64, v.lanes), I64) as (pair, _):
                    _transform(v, number, row, to, pair)
        return context.get_dummy_value()

    return types.void(lanes, types.intp, targets, *[types.intp] * 4), codegen


def _transform(v: Vectors, taps: int, source: Any, targets: list[Any], pair: Any) -> None:
    """Write the inputs of the products of so many taps for the vector of pairs from number ``pair`` on."""
    elements: list[Any] = []
    for k in range(0, taps + 1, OUTPUTS):
        at = v.b.add(v.b.mul(pair, ir.Constant(I64, OUTPUTS)), ir.Constant(I64, k))
        elements += v.halved(v.load(source, at), v.load(source, v.b.add(at, ir.Constant(I64, v.lanes))))
    for point, i, factor, j, _ in PRODUCTS[taps]:
        value = elements[i]
        if factor:
            value = (v.b.fadd if factor > 0 else v.b.fsub)(value, elements[j])
        v.store(value, targets[point], pair)


@intrinsic
def finish_channel(
    typingctx: Any, lanes: Any, target: Any, sums: Any, step: Any, residual: Any, added: Any, count: Any, affine: Any
) -> Any:
    """Write ``count`` outputs of a channel, of which each vector of the four rows of ``sums``, ``step`` bytes apart, makes
    ``2 * V``; NaN stays NaN.

    ``affine`` are the addresses of scale, shift and bounds. The residual is read if ``added`` is not 0.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, (_, target, sums, step, residual, added, count, affine) = builder, arguments
        finish = _Finish(b, lanes, target, sums, step, residual, affine)
        with b.if_else(b.icmp_signed("!=", added, ir.Constant(I64, 0))) as choices:
            for choice, with_residual in zip(choices, (True, False), strict=True):
                with choice:
                    finish.vectors(count, added=with_residual)
        return context.get_dummy_value()

    return types.void(lanes, *[types.intp] * 6, affine), codegen


class _Finish:
    """Emits how sums become outputs."""

    def __init__(self, b: Any, lanes: Any, target: Any, sums: Any, step: Any, residual: Any, affine: Any) -> None:
        self.b, self.v = b, Vectors(b, len(lanes))
        self.target, self.residual = pointer(b, target), pointer(b, residual)
        self.sums = [pointer(b, b.add(sums, b.mul(step, ir.Constant(I64, k)))) for k in range(SUMS)]
        self.factors = factors_at(b, affine, len(lanes), gate_in(lanes))

    def vectors(self, count: Any, *, added: bool) -> None:
        """Whole vectors, and the rest of ``count`` outputs by masks."""
        b, both = self.b, ir.Constant(I64, OUTPUTS * self.v.lanes)
        rest = b.srem(count, both)
        whole = b.sub(count, rest)
        with cgutils.for_range_slice(b, ir.Constant(I64, 0), whole, both, I64) as (at, _):
            self._write(at, None, added=added)
        with b.if_then(b.icmp_signed(">", rest, ir.Constant(I64, 0))):
            self._write(whole, rest, added=added)

    def _write(self, at: Any, left: Any, *, added: bool) -> None:
        """The outputs from number ``at`` on, all that there are vectors for, or so many as are ``left``."""
        b, v = self.b, self.v
        half = b.sdiv(at, ir.Constant(I64, OUTPUTS))
        s = [v.load(place, half) for place in self.sums]
        values = v.alternated(b.fadd(b.fadd(s[0], s[1]), s[2]), b.fsub(b.fsub(s[1], s[2]), s[3]))
        for k, value in enumerate(values):
            first = ir.Constant(I64, k * v.lanes)
            place, mask = b.add(at, first), None if left is None else lanes_below(b, b.sub(left, first), v.lanes)
            residual = self._residual_at(place, mask) if added else None
            output = finished(b, value, self.factors, residual)
            if mask is None:
                v.store(output, self.target, place)
            else:
                masked_store(b, output, b.gep(self.target, [place]), mask)

    def _residual_at(self, place: Any, mask: Any) -> Any:
        if mask is None:
            return self.v.load(self.residual, place)
        return masked_load(self.b, self.b.gep(self.residual, [place]), mask, self.v.type)
