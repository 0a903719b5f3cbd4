"""The function that makes visits: a tile of sums walks the weights of its channels in one block of inputs, and is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from ._deferred import cgutils, intrinsic, types
from ._jit import jit
from ._vector import F32, I64, lanes_below, prefetch_line
from .tile import Affine, Tile, Weights

FIRST, LAST, RESIDUAL, PARTIAL = 1, 2, 4, 8
"""Flags of a visit: the sums start from zero; they are final, and go to the output (else to scratch memory); a residual is
added; the tile reaches over an edge, and only some lanes are stored."""

PRESENT = 4
"""From this bit on, the flags of a visit hold how many of the ``T`` channels there are."""

AHEAD = 4
"""Visits by which the outputs of one are asked for ahead of time: they may be in a cache that all cores share, or in memory.
Sums, in the second-level cache, are asked for one visit ahead."""

INPUTS, SUMS, SCALE, OUTPUTS, OTHER, PLANE, PITCH, MODE, BEGIN, END, LANES_LEFT, FEWER, VECTORS_LEFT = range(13)
WORDS, CODEBOOK, START, CHANNELS, FLAGS, SHIFT, BOUNDS, TASK = range(13, 21)
"""Numbers of a task, int64, what the tile's code reads, and its length.

Addresses of inputs (offsets count vectors from there), sums, scales, outputs and residual (of channel 0), then elements
between the outputs of two channels and between the vectors of one; flags that a last visit gets; first and last visit. Three
numbers say what is left of a partial tile, or of any whose sums are shifted: lanes of its first vector, how many fewer each
next vector has, and vectors that have any. From :data:`WORDS` on, the same in every run, unless weights are streamed: addresses
of words, codebook, start, channels, flags, shifts and bounds (low, high).
"""

I32, I8 = ir.IntType(32), ir.IntType(8)


def emit_visits(b: Any, task: Any, tile: Tile, *, coded: bool, means: bool) -> None:
    """Emit the loop over the visits that a task lists, whose outputs are stored, or their ``means``."""
    T, R, V, lists = tile.channels, tile.rows, tile.lanes, tile.shifts * len(tile.lists)
    fields = b.inttoptr(task, I64.as_pointer())

    def field(index: int, kind: Any = None) -> Any:
        value = b.load(b.gep(fields, [ir.Constant(I64, index)]))
        return value if kind is None else b.inttoptr(value, kind.as_pointer())

    inputs, sums, scale, outputs, residual = (field(i, F32) for i in (INPUTS, SUMS, SCALE, OUTPUTS, OTHER))
    plane, pitch, mode, first_visit, last_visit = (field(i) for i in (PLANE, PITCH, MODE, BEGIN, END))
    lanes_left, fewer, vectors_left = (field(i) for i in (LANES_LEFT, FEWER, VECTORS_LEFT))
    start, channels_of, flags_of = field(START, I32), field(CHANNELS, I32), field(FLAGS, I8)
    shift, bounds = field(SHIFT, F32), field(BOUNDS, F32)
    whole = [lanes_below(b, lanes_left, V) if tile.shifts > 1 else None] * R
    counts = [b.sub(lanes_left, b.mul(fewer, ir.Constant(I64, r))) for r in range(R)]
    inside = [b.icmp_signed("<", ir.Constant(I64, r), vectors_left) for r in range(R)]
    partial = [lanes_below(b, b.select(*pair, ir.Constant(I64, 0)), V) for pair in zip(inside, counts, strict=True)]
    weights = Weights(b, field(WORDS, I32), field(CODEBOOK, F32) if coded else None)

    one = ir.Constant(I64, 1)
    with cgutils.for_range_slice(b, first_visit, last_visit, one, I64) as (number, _):
        own = b.zext(b.load(b.gep(flags_of, [number])), I64)

        def flag(bits: Any, bit: int) -> Any:
            return b.icmp_unsigned("!=", b.and_(bits, ir.Constant(I64, bit)), ir.Constant(I64, 0))

        last = flag(own, LAST)
        here = b.mul(number, ir.Constant(I64, T))
        channels, following, later = (
            [b.zext(b.load(b.gep(channels_of, [b.add(here, ir.Constant(I64, t))])), I64) for t in range(begin, begin + T)]
            for begin in (0, T, AHEAD * T)
        )

        def ask_for(place: Any, *, write: bool) -> None:
            for m in later:
                base = b.gep(place, [b.mul(m, plane)])
                for r in range(1 if means else R):
                    prefetch_line(b, b.gep(base, [b.mul(pitch, ir.Constant(I64, r))]), write=write)

        with b.if_else(last) as (final, unfinished):
            with final:
                ask_for(outputs, write=True)
                with b.if_then(b.icmp_unsigned("!=", outputs, residual)):
                    ask_for(residual, write=False)
            with unfinished:
                for m in following:
                    base = b.gep(sums, [b.mul(m, ir.Constant(I64, R * V))])
                    for r in range(R):
                        prefetch_line(b, b.gep(base, [ir.Constant(I64, r * V)]), write=True)
        kept = [b.gep(sums, [b.mul(m, ir.Constant(I64, R * V))]) for m in channels]
        first = b.gep(start, [b.mul(number, ir.Constant(I64, lists))])
        cuts = [b.zext(b.load(b.gep(first, [ir.Constant(I64, k)])), I64) for k in range(lists + 1)]
        total = tile.visit(kept, flag(own, FIRST), inputs, cuts, weights)

        present = b.lshr(own, ir.Constant(I64, PRESENT))

        def each(finish: Callable[[list[Any], Any, Affine], None]) -> None:
            for t, m in enumerate(channels):
                with b.if_then(b.icmp_unsigned(">", present, ir.Constant(I64, t))):
                    finish(total[t], b.mul(m, plane), tile.affine(scale, shift, bounds, m))

        def store(masks: Sequence[Any], *, added: bool) -> None:
            def finish(sums: list[Any], at: Any, affine: Affine) -> None:
                other = b.gep(residual, [at]) if added else None
                tile.store(sums, b.gep(outputs, [at]), other, pitch, affine, masks)

            each(finish)

        def average(sums: list[Any], at: Any, affine: Affine) -> None:
            b.store(tile.mean(sums, lanes_left, affine, partial), b.gep(outputs, [at]))

        with b.if_else(last) as (final, unfinished):
            with final:
                if means:
                    each(average)
                else:
                    with b.if_else(flag(mode, PARTIAL)) as choices:
                        for choice, masks in zip(choices, (partial, whole), strict=True):
                            with choice, b.if_else(flag(mode, RESIDUAL)) as (with_residual, alone):
                                with with_residual:
                                    store(masks, added=True)
                                with alone:
                                    store(masks, added=False)
            with unfinished:
                tile.keep(total, kept)


@intrinsic
def _address(typingctx: Any, channels: Any, rows: Any, lanes: Any, shifts: Any, coded: Any, means: Any) -> Any:
    """The address of the function that makes visits."""
    T, R, V, S = len(channels), len(rows), len(lanes), len(shifts)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [I64])
        function = ir.Function(builder.module, kind, f"tersor_visits_{T}_{R}_{V}_{S}_{len(coded)}_{len(means)}")
        function.linkage = "internal"
        inside = ir.IRBuilder(function.append_basic_block("entry"))
        kinds = {"coded": bool(len(coded)), "means": bool(len(means))}
        emit_visits(inside, function.args[0], Tile(inside, T, R, V, S), **kinds)
        inside.ret_void()
        return builder.ptrtoint(function, I64)

    return types.intp(channels, rows, lanes, shifts, coded, means), codegen


@jit
def visits(channels, rows, lanes, shifts, coded, means):
    """Address of a function that makes the visits of a task, given by its address: ``len(channels)`` output channels from the
    given one on, for ``len(rows)`` vectors of ``len(lanes)`` outputs.

    Sums are shifted between the entries of each two of ``len(shifts)`` kernel columns, where there is more than one. ``coded``
    is empty where weights are in the words themselves, ``means`` where all outputs are stored, and not the mean of a channel's,
    which have to be one tile. The address is good as long as the process.
    """
    return _address(channels, rows, lanes, shifts, coded, means)
