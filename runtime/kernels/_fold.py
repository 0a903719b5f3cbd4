"""Vectors folded in registers: the larger of each two, or their sum, over rows of a plane or over places of a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import inf
from typing import Any

from llvmlite import ir

from ._deferred import cgutils, intrinsic, types
from ._memory import gather, pointer
from ._vector import F32, I32, I64, lanes_below, masked_load, masked_store, splat

USUAL = (2, 3)
"""Rows and columns of most windows."""


class _Fold:
    """Emits folds into a vector of ``width`` lanes: sums where ``adds``, else maxima."""

    def __init__(self, builder: Any, width: int, *, adds: bool) -> None:
        self.b, self.width, self.adds = builder, width, adds
        self.vector = ir.VectorType(F32, width)
        self.neutral = ir.Constant(self.vector, [0.0 if adds else -inf] * width)

    def over(self, count: Any, load: Callable[[Any], Any]) -> Any:
        """Fold ``load(i)`` for ``i`` below ``count``: without a loop where that is one of the :data:`USUAL`."""
        b, others, done = self.b, self.b.append_basic_block("fold"), self.b.append_basic_block("folded")
        choice, folded = b.switch(count, others), []
        for usual in USUAL:
            block = b.append_basic_block(f"fold_{usual}")
            choice.add_case(ir.Constant(I64, usual), block)
            b.position_at_end(block)
            folded.append((reduce(self._both, [load(ir.Constant(I64, i)) for i in range(usual)]), b.block))
            b.branch(done)
        b.position_at_end(others)
        total = cgutils.alloca_once(b, self.vector)
        b.store(self.neutral, total)
        with cgutils.for_range(b, count, intp=I64) as loop:
            value = load(loop.index)
            b.store(self._both(b.load(total), value), total)
        folded.append((b.load(total), b.block))
        b.branch(done)
        b.position_at_end(done)
        result = b.phi(self.vector)
        for value, block in folded:
            result.add_incoming(value, block)
        return result

    def _both(self, had: Any, value: Any) -> Any:
        b = self.b
        return b.fadd(had, value) if self.adds else b.select(b.fcmp_ordered(">", value, had), value, had)

    def load(self, place: Any, index: int = 0) -> Any:
        """Vector number ``index`` from ``place`` on."""
        b = self.b
        value = b.load(b.bitcast(b.gep(place, [ir.Constant(I64, index * self.width)]), self.vector.as_pointer()))
        value.align = 4
        return value

    def spaced(self, place: Any, kind: int, stride: Any, count: Any) -> Any:
        """Elements from ``place`` on that are ``stride`` apart, ``count`` of which matter; ``kind`` is the stride, or 3."""
        if kind == 1:
            return self.load(place)
        if kind == 2:
            evens = ir.Constant(ir.VectorType(I32, self.width), list(range(0, 2 * self.width, 2)))
            return self.b.shuffle_vector(self.load(place), self.load(place, 1), evens)
        return gather(self.b, self.width, place, stride, ir.Constant(I64, 0), self.b.mul(stride, count))

    def store(self, value: Any, target: Any, count: Any) -> None:
        """Write the first ``count`` lanes."""
        b = self.b
        with b.if_else(b.icmp_signed(">=", count, ir.Constant(I64, self.width))) as (whole, part):
            with whole:
                b.store(value, b.bitcast(target, self.vector.as_pointer())).align = 4
            with part:
                masked_store(b, value, target, lanes_below(b, count, self.width))


@intrinsic
def fold_rows(typingctx: Any, lanes: Any, adds: Any, target: Any, source: Any, step: Any, rows: Any, count: Any) -> Any:
    """Fold a vector of each of ``rows`` rows, ``step`` bytes apart, into the ``V`` elements at ``target``.

    Only the first ``count`` lanes are read where there are fewer; others become what nothing folds to.
    """
    width = len(lanes)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, target, source, step, rows, count = arguments
        fold = _Fold(b, width, adds=bool(len(adds)))
        first, mask = pointer(b, source), lanes_below(b, count, width)

        def row(i: Any) -> Any:
            return b.gep(b.bitcast(first, ir.IntType(8).as_pointer()), [b.mul(i, step)])

        def at(i: Any) -> Any:
            return b.bitcast(row(i), first.type)

        place = b.bitcast(pointer(b, target), fold.vector.as_pointer())
        with b.if_else(b.icmp_signed(">=", count, ir.Constant(I64, width))) as (whole, part):
            with whole:
                b.store(fold.over(rows, lambda i: fold.load(at(i))), place).align = 4
            with part:
                b.store(fold.over(rows, lambda i: masked_load(b, at(i), mask, fold.vector, fold.neutral)), place).align = 4
        return context.get_dummy_value()

    return types.void(lanes, adds, *[types.intp] * 5), codegen


@intrinsic
def fold_columns(
    typingctx: Any, lanes: Any, adds: Any, kind: Any, target: Any, source: Any, stride: Any, step: Any, taps: Any, count: Any,
    factor: Any, divisors: Any,
) -> Any:  # fmt: skip
    """Fold elements that are ``stride`` apart for each of ``taps`` starts, ``step`` elements apart, into the first ``count``
    of ``V`` elements at ``target``; sums are divided by ``factor`` times the float32 at the address ``divisors``.

    ``kind`` is as long as the stride up to 2, or 3. Whole vectors are read; with a longer stride, nothing after the elements
    that count.
    """
    width, apart = len(lanes), len(kind)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, _, target, source, stride, step, taps, count, factor, divisors = arguments
        fold = _Fold(b, width, adds=bool(len(adds)))
        first = pointer(b, source)
        value = fold.over(taps, lambda i: fold.spaced(b.gep(first, [b.mul(i, step)]), apart, stride, count))
        if fold.adds:
            ones = ir.Constant(fold.vector, [1.0] * width)
            by_column = masked_load(b, pointer(b, divisors), lanes_below(b, count, width), fold.vector, ones)
            value = b.fdiv(value, b.fmul(splat(b, factor, width), by_column))
        fold.store(value, pointer(b, target), count)
        return context.get_dummy_value()

    return types.void(lanes, adds, kind, *[types.intp] * 6, types.float32, types.intp), codegen
