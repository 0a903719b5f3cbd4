"""A plane convolved with one kernel: a tile of outputs in registers, to which each row that is read adds all that it has to.

Rows are read where they are. Where a vector reaches over an edge, its lanes outside are not read, and zeros stand for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from ....emit.finish import factors_at, finished
from ....emit.intrinsic import cgutils, intrinsic, types
from ....emit.memory import pointer
from ....emit.vector import (
    F32,
    I32,
    I64,
    either,
    fma,
    lanes_below,
    load_vector,
    masked_load,
    masked_store,
    splat,
    splats_at,
    store_vector,
)
from ....emit.walk import F32_BYTES, loop

FACTS = H, W, OH, OW, TOP, LEFT, COLUMNS, ZEROS = range(8)
"""Numbers of a plane, int64: sizes of inputs and outputs; padding; columns of the kernel; the address of ``W`` zeros."""


@dataclass(frozen=True)
class Tile:
    """``rows`` x ``vectors`` of ``lanes`` outputs, ``down`` and ``across`` being the strides.

    They meet the input rows ``[first, last)``, counted from the one that the first row of a kernel of ``height`` rows meets.
    """

    down: int
    across: int
    height: int
    rows: int
    vectors: int
    first: int
    last: int
    lanes: int

    def met(self, row: int) -> list[tuple[int, int]]:
        """(row of outputs, row of the kernel) that an input row meets."""
        pairs = ((r, row - r * self.down) for r in range(self.rows))
        return [(r, k) for r, k in pairs if 0 <= k < self.height]


@intrinsic
def slide(
    typingctx: Any, tile: Any, added: Any, gate: Any, target: Any, residual: Any, source: Any, weights: Any, affine: Any,
    facts: Any,
) -> Any:  # fmt: skip
    """Write what becomes of the sums of a plane at ``source`` to one at ``target``; NaN stays NaN.

    ``tile`` are tuples as long as the numbers of a :class:`Tile`; ``weights`` are float32, column after column; ``affine`` are
    the addresses of scale, shift and bounds, behind which are the numbers of the ``gate``; the residual is read unless
    ``added`` is empty. All are addresses, see :data:`FACTS` for the last.
    """

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        target, residual, source, weights, affine, facts = arguments[3:]
        plane = _Plane(b, Tile(*map(len, tile)), source, weights, facts)
        factors = factors_at(b, affine, plane.tile.lanes, len(gate))
        outputs = _Outputs(b, plane, target, residual if len(added) else None, factors)
        plane.each_tile(lambda row, column: outputs.store(row, column, plane.sums(row, column)))
        return context.get_dummy_value()

    return types.void(tile, added, gate, *[types.intp] * 4, affine, types.intp), codegen


def _const(value: int) -> Any:
    return ir.Constant(I64, value)


class _Plane:
    """Emits the sums of a plane's tiles."""

    def __init__(self, b: Any, tile: Tile, source: Any, weights: Any, facts: Any) -> None:
        self.b, self.tile, self.source, self.weights = b, tile, source, pointer(b, weights)
        numbers = b.inttoptr(facts, I64.as_pointer())
        self.facts = [b.load(b.gep(numbers, [_const(number)])) for number in FACTS]
        self.vector, self.width = ir.VectorType(F32, tile.lanes), splat(b, b.trunc(self.facts[W], I32), tile.lanes)

    def each_tile(self, emit: Any) -> None:
        """Emit ``emit(first row, first column)`` for the tiles one after another."""
        b, t = self.b, self.tile
        with cgutils.for_range_slice(b, _const(0), self.facts[OH], _const(t.rows), I64) as (row, _):
            step = _const(t.vectors * t.lanes)
            with cgutils.for_range_slice(b, _const(0), self.facts[OW], step, I64) as (column, _):
                emit(row, column)

    def sums(self, row: Any, column: Any) -> list[Any]:
        """Those of the tile whose first output is at (row, column), row after row."""
        b, t = self.b, self.tile
        begin = b.sub(b.mul(column, _const(t.across)), self.facts[LEFT])
        end = b.add(begin, b.add(self.facts[COLUMNS], _const(t.across * t.vectors * t.lanes - 1)))
        inside = b.and_(b.icmp_signed(">=", begin, _const(0)), b.icmp_signed("<=", end, self.facts[W]))
        rows = [self._row(row, number, begin) for number in range(t.first, t.last)]
        return either(b, inside, lambda: self._summed(rows, None), lambda: self._summed(rows, begin))

    def _row(self, row: Any, number: int, begin: Any) -> Any:
        """Where the column ``begin`` of an input row is, or of zeros where that is padding."""
        b = self.b
        at = b.add(b.sub(b.mul(row, _const(self.tile.down)), self.facts[TOP]), _const(number))
        place = b.add(self.source, b.mul(at, b.mul(self.facts[W], _const(F32_BYTES))))
        place = b.select(b.icmp_unsigned("<", at, self.facts[H]), place, self.facts[ZEROS])
        return b.gep(pointer(b, place), [begin])

    def _summed(self, rows: list[Any], begin: Any) -> list[Any]:
        """The sums over the columns of the kernel, as many at a time as there are between two outputs. ``begin`` is ``None``
        where no vector reaches over an edge."""
        t, at = self.tile, _const(0)
        sums: list[Any] = [ir.Constant(self.vector, None)] * (t.rows * t.vectors)
        for together in range(t.across, 0, -1):

            def columns(k: Any, sums: list[Any], together: int = together) -> list[Any]:
                return self._add_columns(k, together, rows, begin, sums)

            at, sums = loop(self.b, at, self.facts[COLUMNS], together, columns, sums)
        return sums

    def _add_columns(self, k: Any, together: int, rows: list[Any], begin: Any, sums: list[Any]) -> list[Any]:
        """``sums`` and the products with ``together`` columns of the kernel from ``k`` on."""
        b, t, sums = self.b, self.tile, list(sums)
        first = b.gep(self.weights, [b.mul(k, _const(t.height))])
        weights = splats_at(b, [b.gep(first, [_const(i)]) for i in range(together * t.height)], t.lanes)
        places = [b.add(k, _const(number * t.lanes)) for number in range(t.vectors * t.across)]
        masks = [None if begin is None else self._mask(b.add(begin, place)) for place in places]
        for number, row in zip(range(t.first, t.last), rows, strict=True):
            read = [self._read(b.gep(row, [place]), mask) for place, mask in zip(places, masks, strict=True)]
            for v in range(t.vectors):
                for column, value in enumerate(self._apart(read[v * t.across : (v + 1) * t.across])[:together]):
                    for r, kh in t.met(number):
                        at = r * t.vectors + v
                        sums[at] = fma(b, weights[column * t.height + kh], value, sums[at])
        return sums

    def _mask(self, column: Any) -> Any:
        """The lanes of a vector, from ``column`` on, that are columns of the inputs."""
        first = splat(self.b, self.b.trunc(column, I32), self.tile.lanes)
        numbers = self.b.add(first, ir.Constant(first.type, list(range(self.tile.lanes))))
        return self.b.icmp_unsigned("<", numbers, self.width)

    def _read(self, place: Any, mask: Any) -> Any:
        return load_vector(self.b, place, self.vector) if mask is None else masked_load(self.b, place, mask, self.vector)

    def _apart(self, vectors: list[Any]) -> list[Any]:
        """The even and the odd elements of two vectors; one as it is."""
        if len(vectors) == 1:
            return vectors
        orders = [list(range(2 * self.tile.lanes))[part::2] for part in range(2)]
        return [self.b.shuffle_vector(*vectors, ir.Constant(ir.VectorType(I32, self.tile.lanes), o)) for o in orders]


class _Outputs:
    """Emits how sums become outputs."""

    def __init__(self, b: Any, plane: _Plane, target: Any, residual: Any, factors: list[Any]) -> None:
        self.b, self.tile, self.vector, self.factors = b, plane.tile, plane.vector, factors
        self.rows, self.width = plane.facts[OH], plane.facts[OW]
        self.target, self.residual = pointer(b, target), None if residual is None else pointer(b, residual)

    def store(self, row: Any, column: Any, sums: list[Any]) -> None:
        """Write those of the tile from (row, column) on that there are."""
        b, t = self.b, self.tile
        left = b.sub(self.width, column)
        with b.if_else(b.icmp_signed(">=", left, _const(t.vectors * t.lanes))) as choices:
            for choice, whole in zip(choices, (True, False), strict=True):
                with choice:
                    bounds = [b.sub(left, _const(v * t.lanes)) for v in range(t.vectors)]
                    self._store_rows(row, column, sums, [None if whole else lanes_below(b, n, t.lanes) for n in bounds])

    def _store_rows(self, row: Any, column: Any, sums: list[Any], masks: list[Any]) -> None:
        b, t = self.b, self.tile
        for r in range(t.rows):
            at = b.add(row, _const(r))
            with b.if_then(b.icmp_signed("<", at, self.rows)):
                first = b.add(b.mul(at, self.width), column)
                for v, mask in enumerate(masks):
                    self._store_vector(b.add(first, _const(v * t.lanes)), sums[r * t.vectors + v], mask)

    def _store_vector(self, at: Any, value: Any, mask: Any) -> None:
        b, residual, place = self.b, None, self.b.gep(self.target, [at])
        if self.residual is not None:
            other = b.gep(self.residual, [at])
            residual = load_vector(b, other, self.vector) if mask is None else masked_load(b, other, mask, self.vector)
        output = finished(b, value, self.factors, residual)
        if mask is None:
            store_vector(b, output, place)
        else:
            masked_store(b, output, place, mask)
