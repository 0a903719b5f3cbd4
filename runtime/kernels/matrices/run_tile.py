"""Sums of a row for ``R`` registers of 16 vectors, in registers while the row's nonzeros in a block of inputs are walked.

Inputs are packed so that the values of one column are ``R`` consecutive aligned registers: a weight is a column and a code, and
costs ``R`` fused multiply-adds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ...emit.intrinsic import cgutils, intrinsic, types
from ...emit.memory import opaque, pointer
from ...emit.vector import F32, I64, either, fma, load_vectors, prefetch_line, splat, store_vectors
from ...emit.walk import listed, loop, weights

LANES = 16
"""Vectors of the batch that one register holds."""

TOGETHER = 4
"""Entries whose columns are read as one word."""

I16 = ir.IntType(16)


class _Sums:
    """Emits what is done with the sums of one row."""

    def __init__(self, builder: Any, registers: int) -> None:
        self.b, self.registers = builder, registers
        self.vector = ir.VectorType(F32, LANES)

    def start(self, place: Any, fresh: Any) -> list[Any]:
        """Zeros where ``fresh``, else what is in memory."""
        zeros = [ir.Constant(self.vector, None)] * self.registers
        return either(self.b, fresh, lambda: zeros, lambda: load_vectors(self.b, place, self.registers, self.vector))

    def add(self, sums: list[Any], packed: Any, column: Any, weight: Any) -> list[Any]:
        """Add a weight's products."""
        b = self.b
        place = opaque(b, b.gep(packed, [b.mul(column, ir.Constant(I64, LANES * self.registers))]))
        inputs, factor = load_vectors(b, place, self.registers, self.vector), splat(b, weight, LANES)
        return [fma(b, factor, value, sum_) for value, sum_ in zip(inputs, sums, strict=True)]

    def ask_for(self, place: Any) -> None:
        """Ask for the cache lines of sums."""
        for r in range(self.registers):
            prefetch_line(self.b, self.b.gep(place, [ir.Constant(I64, r * LANES)]), write=True)


def _columns(b: Any, offsets: Any, i: Any, count: int) -> list[Any]:
    """The columns of entries ``i`` to ``i + count``, I64."""
    if count == 1:
        return [b.zext(b.load(b.gep(offsets, [i])), I64)]
    word = b.load(b.bitcast(b.gep(offsets, [i]), I64.as_pointer()))
    word.align = 2
    return [b.and_(b.lshr(word, ir.Constant(I64, 16 * n)), ir.Constant(I64, (1 << 16) - 1)) for n in range(count)]


@intrinsic
def add_runs(
    typingctx: Any, group: Any, code: Any, packed: Any, sums: Any, fresh: Any, row: Any, length: Any, first: Any, last: Any,
    offsets: Any, codes: Any, codebook: Any, entry: Any,
) -> Any:  # fmt: skip
    """Walk the runs ``[first, last)``, whose entries follow one another from ``entry`` on; returns where they end.

    ``group`` is as long as there are registers, ``code`` as in :mod:`~tersor.runtime.emit.walk`; all else is a number or an
    address, see :class:`~tersor.runtime.kernels.matrices.runs.Runs`. Sums start from zero where ``fresh`` is not 0.
    """
    registers = len(group)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, packed, sums, fresh, row, length, first, last, offsets, codes, codebook, entry = arguments
        rows, lengths, columns = (b.inttoptr(place, I16.as_pointer()) for place in (row, length, offsets))
        inputs, base = pointer(b, packed), pointer(b, sums)
        entries, values = listed(b, code, codes), pointer(b, codebook)
        tile, at = _Sums(b, registers), cgutils.alloca_once_value(b, entry)

        def place_of(number: Any) -> Any:
            step = ir.Constant(I64, registers * LANES)
            return b.gep(base, [b.mul(b.zext(b.load(b.gep(rows, [number])), I64), step)])

        def walk(count: int) -> Callable[[Any, list[Any]], list[Any]]:
            def body(i: Any, carried: list[Any]) -> list[Any]:
                for column, weight in zip(_columns(b, columns, i, count), weights(b, entries, values, i, count), strict=True):
                    carried = tile.add(carried, inputs, column, weight)
                return carried

            return body

        with cgutils.for_range_slice(b, first, last, ir.Constant(I64, 1), I64) as (number, _):
            tile.ask_for(place_of(b.add(number, ir.Constant(I64, 1))))
            place, begin = place_of(number), b.load(at)
            end = b.add(begin, b.zext(b.load(b.gep(lengths, [number])), I64))
            total = tile.start(place, b.icmp_signed("!=", fresh, ir.Constant(I64, 0)))
            rest, total = loop(b, begin, end, TOGETHER, walk(TOGETHER), total)
            _, total = loop(b, rest, end, 1, walk(1), total)
            store_vectors(b, total, place)
            b.store(end, at)
        return b.load(at)

    return types.intp(group, code, *[types.intp] * 11), codegen
