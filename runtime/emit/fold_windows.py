"""Windows of few neighbouring columns folded in registers: rows by whole vectors, whose lanes are then those of the columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .fold import Fold, Over
from .intrinsic import cgutils, intrinsic, types
from .memory import pointer
from .vector import I8, I64, either, lanes_below, masked_load


class _Columns:
    """Emits vectors of the columns of folded rows, ``stride`` of which lie between two outputs."""

    def __init__(self, fold: Fold, over: Over, stride: int, place: Callable[[Any, Any], Any], width: Any) -> None:
        """``place(row, column)`` emits where an element is; there are ``width`` columns."""
        self.fold, self.over, self.stride, self.place, self.width = fold, over, stride, place, width

    def from_(self, column: Any) -> list[Any]:
        """Those that the outputs of a vector begin at, the first being ``column``, then those one further, and so on: a vector
        for each column up to the next output's."""
        b, fold = self.fold.b, self.fold
        end = b.add(column, ir.Constant(I64, self.stride * fold.width))
        inside = b.and_(b.icmp_signed(">=", column, ir.Constant(I64, 0)), b.icmp_signed("<=", end, self.width))

        def at_an_edge() -> list[Any]:
            some = b.icmp_signed("<", column, self.width)
            return either(b, some, lambda: self._folded(column, self._some), lambda: [fold.neutral] * self.stride)

        return fold.phases(either(b, inside, lambda: self._folded(column, self._all), at_an_edge))

    def _folded(self, column: Any, load: Callable[[Any, Any], Any]) -> list[Any]:
        b, V = self.fold.b, self.fold.width
        columns = [b.add(column, ir.Constant(I64, k * V)) for k in range(self.stride)]
        return [self.over(lambda row, at=at: load(row, at)) for at in columns]

    def _all(self, row: Any, column: Any) -> Any:
        return self.fold.load_ahead(self.place(row, column), row)

    def _some(self, row: Any, column: Any) -> Any:
        """The lanes that are columns."""
        b, V = self.fold.b, self.fold.width
        before, after = b.sub(ir.Constant(I64, 0), column), b.sub(self.width, column)
        mask = b.and_(lanes_below(b, after, V), b.not_(lanes_below(b, before, V)))
        return masked_load(b, self.place(row, column), mask, self.fold.vector, self.fold.neutral)


@intrinsic
def fold_windows(
    typingctx: Any, lanes: Any, adds: Any, stride: Any, taps: Any, target: Any, source: Any, step: Any, rows: Any, width: Any,
    left: Any, outputs: Any, factor: Any, divisors: Any,
) -> Any:  # fmt: skip
    """Fold windows of ``rows`` rows, ``step`` bytes apart and ``width`` elements long, and of ``len(taps)`` neighbouring
    columns, ``len(stride)``, at most 4, from window to window: the first begins ``left`` columns before the rows do.

    ``outputs`` are written at ``target``, sums divided by ``factor`` times the float32 at the address ``divisors``, one for
    each. Only elements of the rows are read.
    """
    V, apart, count = len(lanes), len(stride), len(taps)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        target, source, step, rows, width, left, outputs, factor, divisors = arguments[4:]
        fold = Fold(b, V, adds=bool(len(adds)))
        pooled, plane, by_column = (pointer(b, place) for place in (target, source, divisors))
        whole = ir.Constant(I64, V)
        kept = [cgutils.alloca_once(b, fold.vector) for _ in range(apart)]

        def place(row: Any, column: Any) -> Any:
            line = b.gep(b.bitcast(plane, I8.as_pointer()), [b.mul(row, step)])
            return b.gep(b.bitcast(line, plane.type), [column])

        def keep(vectors: list[Any]) -> None:
            for value, where in zip(vectors, kept, strict=True):
                b.store(value, where)

        def emit(over: Over) -> None:
            columns = _Columns(fold, over, apart, place, width)
            keep(columns.from_(b.sub(ir.Constant(I64, 0), left)))

            def vector(at: Any, some: Any) -> None:
                here = [b.load(where) for where in kept]
                following = columns.from_(b.sub(b.mul(b.add(at, whole), ir.Constant(I64, apart)), left))
                keep(following)
                places = [divmod(tap, apart) for tap in range(count)]
                elements = [fold.lanes(here[k], following[k], range(further, further + V)) for further, k in places]
                there_are = whole if some is None else some
                value = fold.divided(fold.all(elements), factor, b.gep(by_column, [at]), there_are)
                fold.store(value, b.gep(pooled, [at]), some)

            fold.along(outputs, vector)

        fold.by_count(rows, emit)
        return context.get_dummy_value()

    return types.void(lanes, adds, stride, taps, *[types.intp] * 7, types.float32, types.intp), codegen
