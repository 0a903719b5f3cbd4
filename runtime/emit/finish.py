"""What becomes of sums: ``clip(sum * scale + shift + residual, low, high)``, a vector at a time. Places are addresses.

Instead of being kept within bounds, a result ``v`` may pass a *gate*, which makes
``v * clip(v * slope + offset, low, high) + added`` of it: hard swish is such a function, and so are leaky rectifiers, whose
slope is as steep as can be. Whether a kernel is compiled for one is told by the length of a tuple: how many numbers the gate
has beside the bounds, behind which they lie in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from ..jit.jitted import jit
from .intrinsic import cgutils, intrinsic, types
from .memory import clip, pointer
from .vector import (
    F32,
    I64,
    fma,
    lanes_below,
    load_vector,
    masked_load,
    masked_store,
    prefetch_line,
    splat,
    splats_at,
    store_vector,
)

LANES = 16
"""Floats that are finished at a time, and that sums, scales and shifts are padded to a multiple of."""

AHEAD = 256
"""Bytes by which outputs are asked for ahead of time."""


def gate_of(bounds: np.ndarray) -> tuple[tuple[()], ...]:
    """The gate whose numbers, three or none, are behind two ``bounds``, as kernels are told it."""
    return ((),) * (len(bounds) - 2)


def lanes_of(V: int, bounds: np.ndarray) -> tuple[tuple[tuple[()], ...], ...]:
    """Vectors of ``V`` results, as kernels are told them: a tuple as long, of gates."""
    return (gate_of(bounds),) * V


def gate_in(lanes: Any) -> int:
    """How many numbers the gate has in the type of what :func:`lanes_of` gives."""
    return len(lanes.dtype)


def passed(b: Any, value: Any, numbers: Sequence[Any]) -> Any:
    """``value`` within bounds, or what a gate makes of it, all of one type; ``numbers`` are (low, high) and the gate's. NaN
    stays NaN."""
    low, high, *gate = numbers
    if not gate:
        return clip(b, value, low, high)
    slope, offset, added = gate
    return fma(b, value, clip(b, fma(b, value, slope, offset), low, high), added)


@intrinsic
def passed_one(typingctx: Any, gate: Any, value: Any, numbers: Any) -> Any:
    """As :func:`passed`, of one float32; ``numbers`` is the address of bounds and of what is behind them."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        place = pointer(b, arguments[2])
        return passed(b, arguments[1], [b.load(b.gep(place, [ir.Constant(I64, k)])) for k in range(2 + len(gate))])

    return types.float32(gate, types.float32, types.intp), codegen


@intrinsic
def _finish_vector(
    typingctx: Any, gate: Any, y: Any, sums: Any, parts: Any, pitch: Any, count: Any, scale: Any, shift: Any, bounds: Any,
    residual: Any,
) -> Any:  # fmt: skip
    """Finish ``count`` sums, see :func:`finish_line`; a whole vector when there are more."""
    signature = types.void(gate, *[types.intp] * 9)
    vector = ir.VectorType(F32, LANES)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, y, sums, parts, pitch, count, scale, shift, bounds, residual = arguments

        def load(address: Any) -> Any:
            return load_vector(b, pointer(b, address), vector)

        total = cgutils.alloca_once_value(b, load(sums))
        with cgutils.for_range_slice(b, ir.Constant(I64, 1), parts, ir.Constant(I64, 1), I64) as (part, _):
            b.store(b.fadd(b.load(total), load(b.add(sums, b.mul(part, pitch)))), total)
        numbers = [splat(b, b.load(b.gep(pointer(b, bounds), [ir.Constant(I64, i)])), LANES) for i in range(2 + len(gate))]
        scaled = fma(b, b.load(total), load(scale), load(shift))
        kept = cgutils.alloca_once_value(b, scaled)
        whole, added = b.icmp_signed(">=", count, ir.Constant(I64, LANES)), b.icmp_signed("!=", residual, ir.Constant(I64, 0))
        prefetch_line(b, pointer(b, b.add(y, ir.Constant(I64, AHEAD))), write=True)
        with b.if_else(whole) as (all_lanes, some_lanes):
            with all_lanes:
                with b.if_then(added):
                    b.store(b.fadd(scaled, load(residual)), kept)
                store_vector(b, passed(b, b.load(kept), numbers), pointer(b, y))
            with some_lanes:
                mask = lanes_below(b, count, LANES)
                with b.if_then(added):
                    b.store(b.fadd(scaled, masked_load(b, pointer(b, residual), mask, vector)), kept)
                masked_store(b, passed(b, b.load(kept), numbers), pointer(b, y), mask)
        return context.get_dummy_value()

    return signature, codegen


@jit
def finish_line(gate, y, sums, parts, pitch, count, scale, shift, bounds, residual):
    """Write ``count`` outputs to ``y``, of float32 sums, or of ``parts`` sums each, ``pitch`` bytes apart, which are added up.

    Whole vectors of sums, scales and shifts are read; ``y`` may be ``sums``. ``bounds`` are (low, high), and the numbers of
    the ``gate``; there is no residual where its address is 0.
    """
    for i in range(0, count, LANES):
        at = 4 * i
        other = residual + at if residual != 0 else residual
        _finish_vector(gate, y + at, sums + at, parts, pitch, count - i, scale + at, shift + at, bounds, other)


def factors_at(b: Any, affine: Any, V: int, gate: int = 0) -> list[Any]:
    """Scale, shift, low and high of a channel, and the numbers of a gate, vectors that hold one number: ``affine`` are the
    addresses of scale, shift and bounds."""
    scale, shift, bounds = (pointer(b, b.extract_value(affine, k)) for k in range(3))
    return splats_at(b, (scale, shift, *places_of(b, bounds, gate)), V)


def places_of(b: Any, bounds: Any, gate: int) -> list[Any]:
    """Pointers to low, high, and the numbers of a gate that has so many, from the one to ``bounds`` on."""
    return [bounds, *(b.gep(bounds, [ir.Constant(I64, k)]) for k in range(1, 2 + gate))]


def finished(b: Any, value: Any, factors: Sequence[Any], residual: Any = None) -> Any:
    """What becomes of a vector of sums, ``factors`` being as :func:`factors_at` has them."""
    scale, shift, *numbers = factors
    value = fma(b, value, scale, shift)
    return passed(b, value if residual is None else b.fadd(value, residual), numbers)


def each_vector(b: Any, count: Any, V: int, emit: Callable[[Any, Any], None]) -> None:
    """Emit a loop over the vectors of ``count`` elements, and what is done with the rest: ``emit(first, mask)``, the mask being
    ``None`` for whole vectors."""
    whole = b.and_(count, ir.Constant(I64, -V))
    with cgutils.for_range_slice(b, ir.Constant(I64, 0), whole, ir.Constant(I64, V), I64) as (first, _):
        emit(first, None)
    with b.if_then(b.icmp_signed("<", whole, count)):
        emit(whole, lanes_below(b, b.sub(count, whole), V))


@intrinsic
def finish_rows(
    typingctx: Any, lanes: Any, y: Any, width: Any, sums: Any, pitch: Any, residual: Any, added: Any, room: Any, affine: Any
) -> Any:
    """Write what becomes of (rows, columns) sums, ``room``; NaN stays NaN.

    Rows of sums are ``pitch`` elements apart, whole vectors of ``len(lanes)`` are read; rows of outputs and of the residual are
    ``width`` elements apart. ``affine`` are the addresses of scale, shift and bounds. The residual is read if ``added`` is not
    0.
    """
    V = len(lanes)
    vector = ir.VectorType(F32, V)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        y, width, sums, pitch, residual, added, room, affine = arguments[1:]
        rows, columns = (b.extract_value(room, k) for k in (0, 1))
        factors = factors_at(b, affine, V, gate_in(lanes))
        with_residual = b.icmp_signed("!=", added, ir.Constant(I64, 0))

        def load(base: Any, at: Any, mask: Any = None) -> Any:
            place = b.gep(pointer(b, base), [at])
            return load_vector(b, place, vector) if mask is None else masked_load(b, place, mask, vector)

        def finish(row: Any, column: Any, mask: Any) -> None:
            value, at = load(sums, b.add(b.mul(row, pitch), column)), b.add(b.mul(row, width), column)
            scaled, before = fma(b, value, *factors[:2]), b.block
            with b.if_then(with_residual):
                other, inside = b.fadd(scaled, load(residual, at, mask)), b.block
            total = b.phi(vector)
            total.add_incoming(scaled, before)
            total.add_incoming(other, inside)
            place, output = b.gep(pointer(b, y), [at]), passed(b, total, factors[2:])
            if mask is None:
                store_vector(b, output, place)
            else:
                masked_store(b, output, place, mask)

        def down(column: Any, mask: Any) -> None:
            with cgutils.for_range(b, rows, intp=I64) as loop:
                finish(loop.index, column, mask)

        each_vector(b, columns, V, down)
        return context.get_dummy_value()

    return types.void(lanes, *[types.intp] * 6, room, affine), codegen
