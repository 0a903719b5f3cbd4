"""Windows folded by way of a line in memory: their rows into it, then its elements."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .fold import Fold, Over
from .intrinsic import intrinsic, types
from .memory import gather, pointer
from .vector import I8, I64, lanes_below, masked_load


@intrinsic
def fold_rows(typingctx: Any, lanes: Any, adds: Any, target: Any, source: Any, step: Any, rows: Any, width: Any) -> Any:
    """Fold ``rows`` rows of ``width`` elements, ``step`` bytes apart, into a line at ``target``.

    Whole vectors are written: what is behind the line becomes what nothing folds to.
    """
    V = len(lanes)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, target, source, step, rows, width = arguments
        fold = Fold(b, V, adds=bool(len(adds)))
        line, first = pointer(b, target), pointer(b, source)

        def emit(over: Over) -> None:
            def vector(at: Any, left: Any) -> None:
                def row(i: Any) -> Any:
                    place = b.gep(b.bitcast(b.gep(first, [at]), I8.as_pointer()), [b.mul(i, step)])
                    source = b.bitcast(place, first.type)
                    if left is not None:
                        return masked_load(b, source, lanes_below(b, left, V), fold.vector, fold.neutral)
                    return fold.load_ahead(source, i)

                fold.store(over(row), b.gep(line, [at]), None)

            fold.along(width, vector)

        fold.by_count(rows, emit)
        return context.get_dummy_value()

    return types.void(lanes, adds, *[types.intp] * 5), codegen


@intrinsic
def fold_columns(
    typingctx: Any, lanes: Any, adds: Any, apart: Any, target: Any, source: Any, stride: Any, step: Any, taps: Any,
    outputs: Any, factor: Any, divisors: Any,
) -> Any:  # fmt: skip
    """Fold elements of a line, ``taps`` of them ``step`` apart for each of the ``outputs`` at ``target``, ``stride`` apart from
    output to output; sums are divided by ``factor`` times the float32 at the address ``divisors``, one for each output.

    Where ``apart`` is empty, the stride is 1, and whole vectors are read; else nothing after the elements that count.
    """
    V = len(lanes)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, _, target, source, stride, step, taps, outputs, factor, divisors = arguments
        fold = Fold(b, V, adds=bool(len(adds)))
        pooled, line, by_column = (pointer(b, place) for place in (target, source, divisors))

        def emit(over: Over) -> None:
            def vector(at: Any, left: Any) -> None:
                first, count = b.gep(line, [b.mul(at, stride)]), ir.Constant(I64, V) if left is None else left

                def tap(i: Any) -> Any:
                    place = b.gep(first, [b.mul(i, step)])
                    if len(apart):
                        return gather(b, V, place, stride, ir.Constant(I64, 0), b.mul(stride, count))
                    return fold.load(place)

                value = fold.divided(over(tap), factor, b.gep(by_column, [at]), count)
                fold.store(value, b.gep(pooled, [at]), left)

            fold.along(outputs, vector)

        fold.by_count(taps, emit)
        return context.get_dummy_value()

    return types.void(lanes, adds, apart, *[types.intp] * 6, types.float32, types.intp), codegen
