"""Vectors folded in registers: the larger of each two, or their sum, over rows of a plane or over places of a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import inf
from typing import Any, TypeAlias

from llvmlite import ir

from ._deferred import cgutils, intrinsic, types
from ._memory import gather, pointer
from ._vector import F32, I32, I64, lanes_below, masked_load, masked_store, prefetch_line, splat

AHEAD = 512
"""Elements by which rows are asked for ahead of time: what fetches them by itself ends with each page of memory."""

USUAL = (2, 3)
"""Rows and columns of most windows."""

Load: TypeAlias = "Callable[[Any], Any]"
"""Emits the vector with a number."""

Over: TypeAlias = "Callable[[Load], Any]"
"""Emits a fold."""


class _Fold:
    """Emits folds into vectors of ``width`` lanes: sums where ``adds``, else maxima."""

    def __init__(self, builder: Any, width: int, *, adds: bool) -> None:
        self.b, self.width, self.adds = builder, width, adds
        self.vector = ir.VectorType(F32, width)
        self.neutral = ir.Constant(self.vector, [0.0 if adds else -inf] * width)

    def by_count(self, count: Any, emit: Callable[[Over], None]) -> None:
        """Emit code for each of the :data:`USUAL` counts, and for others: what it is given folds ``load(i)`` for ``i`` below
        ``count``, without a loop where that is usual."""
        b, others, done = self.b, self.b.append_basic_block("others"), self.b.append_basic_block("folded")
        choice = b.switch(count, others)
        for usual in USUAL:
            block = b.append_basic_block(f"fold_{usual}")
            choice.add_case(ir.Constant(I64, usual), block)
            b.position_at_end(block)
            numbers = [ir.Constant(I64, i) for i in range(usual)]
            emit(lambda load, numbers=numbers: reduce(self._both, map(load, numbers)))
            b.branch(done)
        b.position_at_end(others)
        emit(lambda load: self._loop(count, load))
        b.branch(done)
        b.position_at_end(done)

    def _loop(self, count: Any, load: Load) -> Any:
        b = self.b
        total = cgutils.alloca_once(b, self.vector)
        b.store(self.neutral, total)
        with cgutils.for_range(b, count, intp=I64) as loop:
            value = load(loop.index)
            b.store(self._both(b.load(total), value), total)
        return b.load(total)

    def _both(self, had: Any, value: Any) -> Any:
        b = self.b
        return b.fadd(had, value) if self.adds else b.select(b.fcmp_ordered(">", value, had), value, had)

    def along(self, count: Any, emit: Callable[[Any, Any], None]) -> None:
        """Emit a loop over the vectors of a line of ``count`` elements, and what is done with those that are left over:
        ``emit(first, left)``, ``left`` being ``None`` for whole vectors."""
        b, lanes = self.b, ir.Constant(I64, self.width)
        whole = b.and_(count, ir.Constant(I64, -self.width))
        with cgutils.for_range_slice(b, ir.Constant(I64, 0), whole, lanes, I64) as (first, _):
            emit(first, None)
        with b.if_then(b.icmp_signed("<", whole, count)):
            emit(whole, b.sub(count, whole))

    def load(self, place: Any, index: int = 0) -> Any:
        """Vector number ``index`` from ``place`` on."""
        b = self.b
        value = b.load(b.bitcast(b.gep(place, [ir.Constant(I64, index * self.width)]), self.vector.as_pointer()))
        value.align = 4
        return value

    def halved(self, place: Any, first: int) -> Any:
        """Every second element from number ``first``, below ``width``, after ``place`` on: of loads that all numbers share,
        since those that cross a cache line take twice as long. Two vectors are read, or three."""
        skipped, phase = divmod(first, 2)
        elements = range(phase, 2 * self.width, 2)
        near = self._lanes(self.load(place), self.load(place, 1), elements)
        if skipped == 0:
            return near
        third = self.load(place, 2)
        return self._lanes(near, self._lanes(third, third, elements), range(skipped, skipped + self.width))

    def _lanes(self, first: Any, second: Any, which: range) -> Any:
        return self.b.shuffle_vector(first, second, ir.Constant(ir.VectorType(I32, self.width), list(which)))

    def spaced(self, place: Any, kind: int, stride: Any, count: Any) -> Any:
        """Elements from ``place`` on that are ``stride`` apart, ``count`` of which matter; ``kind`` is the stride, or 3."""
        if kind == 1:
            return self.load(place)
        if kind == 2:
            return self.halved(place, 0)
        return gather(self.b, self.width, place, stride, ir.Constant(I64, 0), self.b.mul(stride, count))

    def store(self, value: Any, target: Any, left: Any) -> None:
        """Write a vector, or the first ``left`` lanes."""
        b = self.b
        if left is None:
            b.store(value, b.bitcast(target, self.vector.as_pointer())).align = 4
        else:
            masked_store(b, value, target, lanes_below(b, left, self.width))


@intrinsic
def fold_rows(typingctx: Any, lanes: Any, adds: Any, target: Any, source: Any, step: Any, rows: Any, width: Any) -> Any:
    """Fold ``rows`` rows of ``width`` elements, ``step`` bytes apart, into a line at ``target``.

    Whole vectors are written: what is behind the line becomes what nothing folds to.
    """
    V = len(lanes)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, target, source, step, rows, width = arguments
        fold = _Fold(b, V, adds=bool(len(adds)))
        line, first = pointer(b, target), pointer(b, source)

        def emit(over: Over) -> None:
            def vector(at: Any, left: Any) -> None:
                def row(i: Any) -> Any:
                    place = b.gep(b.bitcast(b.gep(first, [at]), ir.IntType(8).as_pointer()), [b.mul(i, step)])
                    source = b.bitcast(place, first.type)
                    if left is not None:
                        return masked_load(b, source, lanes_below(b, left, V), fold.vector, fold.neutral)
                    if isinstance(i, ir.Constant) and i.constant > 0:  # the first row of three has mostly been the last before
                        prefetch_line(b, b.gep(source, [ir.Constant(I64, AHEAD)]))
                    return fold.load(source)

                fold.store(over(row), b.gep(line, [at]), None)

            fold.along(width, vector)

        fold.by_count(rows, emit)
        return context.get_dummy_value()

    return types.void(lanes, adds, *[types.intp] * 5), codegen


@intrinsic
def fold_columns(
    typingctx: Any, lanes: Any, adds: Any, kind: Any, target: Any, source: Any, stride: Any, step: Any, taps: Any, outputs: Any,
    factor: Any, divisors: Any,
) -> Any:  # fmt: skip
    """Fold elements of a line, ``taps`` of them ``step`` apart for each of the ``outputs`` at ``target``, ``stride`` apart from
    output to output; sums are divided by ``factor`` times the float32 at the address ``divisors``, one for each output.

    ``kind`` is as long as :func:`~tersor.runtime.kernels.pool.spacing` says; with 2 a ``step`` is 1. Whole vectors are read,
    and with 2 one more than those that outputs begin in; with 3 nothing after the elements that count.
    """
    V, apart = len(lanes), len(kind)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, _, target, source, stride, step, taps, outputs, factor, divisors = arguments
        fold = _Fold(b, V, adds=bool(len(adds)))
        pooled, line, by_column = (pointer(b, place) for place in (target, source, divisors))

        def emit(over: Over) -> None:
            def vector(at: Any, left: Any) -> None:
                first, count = b.gep(line, [b.mul(at, stride)]), ir.Constant(I64, V) if left is None else left

                def tap(i: Any) -> Any:
                    if apart == 2 and isinstance(i, ir.Constant):
                        return fold.halved(first, i.constant)
                    return fold.spaced(b.gep(first, [b.mul(i, step)]), apart, stride, count)

                value = over(tap)
                if fold.adds:
                    ones = ir.Constant(fold.vector, [1.0] * V)
                    divisor = masked_load(b, b.gep(by_column, [at]), lanes_below(b, count, V), fold.vector, ones)
                    value = b.fdiv(value, b.fmul(splat(b, factor, V), divisor))
                fold.store(value, b.gep(pooled, [at]), left)

            fold.along(outputs, vector)

        fold.by_count(taps, emit)
        return context.get_dummy_value()

    return types.void(lanes, adds, kind, *[types.intp] * 6, types.float32, types.intp), codegen
