"""Vectors folded in registers: the larger of each two, or their sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import inf
from typing import Any, TypeAlias

from llvmlite import ir

from .intrinsic import cgutils
from .vector import F32, I32, I64, lanes_below, load_vector, masked_load, masked_store, prefetch_line, splat, store_vector

AHEAD = 2048
"""Elements by which rows are asked for ahead of time: what fetches them by itself ends with each page of memory."""

USUAL = (2, 3)
"""Rows and columns of most windows."""

Load: TypeAlias = "Callable[[Any], Any]"
"""Emits the vector with a number."""

Over: TypeAlias = "Callable[[Load], Any]"
"""Emits a fold."""


class Fold:
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
            emit(lambda load, numbers=numbers: self.all([load(number) for number in numbers]))
            b.branch(done)
        b.position_at_end(others)
        emit(lambda load: self._loop(count, load))
        b.branch(done)
        b.position_at_end(done)

    def all(self, values: list[Any]) -> Any:
        """The fold of some vectors, the first one first."""
        return reduce(self._both, values)

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

    def load(self, place: Any) -> Any:
        """The vector at ``place``."""
        return load_vector(self.b, place, self.vector)

    def load_ahead(self, place: Any, row: Any) -> Any:
        """A whole vector of a row of a window, the next ones being asked for: a number that is not constant is any row's."""
        if isinstance(row, ir.Constant) and row.constant > 0:  # the first row of three has mostly been the last before
            prefetch_line(self.b, self.b.gep(place, [ir.Constant(I64, AHEAD)]))
        return self.load(place)

    def lanes(self, first: Any, second: Any, which: Sequence[int]) -> Any:
        """The lanes with these numbers of two vectors, one after the other."""
        return self.b.shuffle_vector(first, second, ir.Constant(ir.VectorType(I32, self.width), list(which)))

    def phases(self, vectors: list[Any]) -> list[Any]:
        """Of a line of some vectors, every element that is as many further as they are: from the first on, the second, and so
        on."""
        count = len(vectors)
        if count == 3:
            return [self._third(vectors, phase) for phase in range(count)]
        while count > 1:  # elements that were apart come together, until each vector is a phase
            pairs = [(vectors[k], vectors[k + 1]) for k in range(0, len(vectors), 2)]
            vectors = [self.lanes(*pair, range(odd, 2 * self.width, 2)) for odd in (0, 1) for pair in pairs]
            count //= 2
        return vectors

    def _third(self, vectors: list[Any], phase: int) -> Any:
        """Every third element of three vectors."""
        places = range(phase, 3 * self.width, 3)
        both = [place for place in places if place < 2 * self.width]
        begun = self.lanes(vectors[0], vectors[1], [*both, *[0] * (self.width - len(both))])
        rest = [place - self.width for place in places[len(both) :]]
        return self.lanes(begun, vectors[2], [*range(len(both)), *rest])

    def divided(self, value: Any, factor: Any, divisors: Any, count: Any) -> Any:
        """A sum by ``factor`` times the first ``count`` lanes at ``divisors``; a maximum as it is."""
        b, V = self.b, self.width
        if not self.adds:
            return value
        ones = ir.Constant(self.vector, [1.0] * V)
        return b.fdiv(value, b.fmul(splat(b, factor, V), masked_load(b, divisors, lanes_below(b, count, V), self.vector, ones)))

    def store(self, value: Any, target: Any, left: Any) -> None:
        """Write a vector, or the first ``left`` lanes."""
        b = self.b
        if left is None:
            store_vector(b, value, target)
        else:
            masked_store(b, value, target, lanes_below(b, left, self.width))
