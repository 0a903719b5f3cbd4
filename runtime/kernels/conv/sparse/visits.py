"""The function that makes visits: a tile of sums walks the weights of its channels in one block of inputs, and is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from llvmlite import ir

from ....emit.finish import gate_in
from ....emit.intrinsic import cgutils, intrinsic, types
from ....emit.vector import F32, I8, I32, I64, lanes_below, prefetch_line
from ....jit.jitted import jit
from ....orders.atomic import emitted
from ...tiles.tile import Affine, Tile, Weights

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
of words, codebook, start, channels, flags, shifts and bounds (low, high), behind which the numbers of a gate lie.
"""


def emit_visits(b: Any, task: Any, tile: Tile, *, coded: bool, means: bool) -> None:
    """Emit the loop over the visits that a task lists, whose outputs are stored, or their ``means``."""
    visit = _Visit(b, b.inttoptr(task, I64.as_pointer()), tile, coded=coded, means=means)
    with cgutils.for_range_slice(b, visit.field(BEGIN), visit.field(END), ir.Constant(I64, 1), I64) as (number, _):
        visit.emit(number)


class _Visit:
    """Emits one visit."""

    def __init__(self, b: Any, task: Any, tile: Tile, *, coded: bool, means: bool) -> None:
        self.b, self.task, self.tile, self.means = b, task, tile, means
        self.inputs, self.sums, self.scale, self.outputs, self.residual = (self.field(i, F32) for i in range(INPUTS, PLANE))
        self.plane, self.pitch, self.mode = (self.field(i) for i in (PLANE, PITCH, MODE))
        self.start, self.channels, self.flags = self.field(START, I32), self.field(CHANNELS, I32), self.field(FLAGS, I8)
        self.shift, self.bounds = self.field(SHIFT, F32), self.field(BOUNDS, F32)
        self.weights = Weights(b, self.field(WORDS, I32), self.field(CODEBOOK, F32) if coded else None)
        self.left = self.field(LANES_LEFT)
        self.whole, self.partial = self._masks()

    def field(self, index: int, kind: Any = None) -> Any:
        """A number of the task, or the pointer to a ``kind`` that it is."""
        value = self.b.load(self.b.gep(self.task, [ir.Constant(I64, index)]))
        return value if kind is None else self.b.inttoptr(value, kind.as_pointer())

    def _masks(self) -> tuple[list[Any], list[Any]]:
        """The lanes of each vector of a tile that reaches over no edge, ``None`` for all of them, and of one that does."""
        b, R, V = self.b, self.tile.rows, self.tile.lanes
        fewer, vectors_left = self.field(FEWER), self.field(VECTORS_LEFT)
        whole = [lanes_below(b, self.left, V) if self.tile.shifts > 1 else None] * R
        counts = [b.sub(self.left, b.mul(fewer, ir.Constant(I64, r))) for r in range(R)]
        inside = [b.icmp_signed("<", ir.Constant(I64, r), vectors_left) for r in range(R)]
        return whole, [lanes_below(b, b.select(*pair, ir.Constant(I64, 0)), V) for pair in zip(inside, counts, strict=True)]

    def emit(self, number: Any) -> None:
        """Make visit ``number``."""
        b, tile, lists = self.b, self.tile, self.tile.shifts * len(self.tile.lists)
        own = b.zext(b.load(b.gep(self.flags, [number])), I64)
        last, here = self._flag(own, LAST), self._channels(number, 0)
        self._ask_ahead(number, last)
        kept = [self._kept(m) for m in here]
        first = b.gep(self.start, [b.mul(number, ir.Constant(I64, lists))])
        cuts = [b.zext(b.load(b.gep(first, [ir.Constant(I64, k)])), I64) for k in range(lists + 1)]
        total = tile.visit(kept, self._flag(own, FIRST), self.inputs, cuts, self.weights)
        with b.if_else(last) as (final, unfinished):
            with final:
                self._finish(total, here, b.lshr(own, ir.Constant(I64, PRESENT)))
            with unfinished:
                tile.keep(total, kept)

    def _flag(self, bits: Any, bit: int) -> Any:
        return self.b.icmp_unsigned("!=", self.b.and_(bits, ir.Constant(I64, bit)), ir.Constant(I64, 0))

    def _channels(self, number: Any, later: int) -> list[Any]:
        """The output channels of the visit that is so many ``later`` than number ``number``."""
        b, T = self.b, self.tile.channels
        here = b.mul(number, ir.Constant(I64, T))
        places = [b.add(here, ir.Constant(I64, later * T + t)) for t in range(T)]
        return [b.zext(b.load(b.gep(self.channels, [place])), I64) for place in places]

    def _kept(self, m: Any) -> Any:
        """Where the sums of channel ``m`` are kept."""
        return self.b.gep(self.sums, [self.b.mul(m, ir.Constant(I64, self.tile.rows * self.tile.lanes))])

    def _ask_ahead(self, number: Any, last: Any) -> None:
        """Ask for what later visits will write, and add."""
        b, V = self.b, self.tile.lanes
        following, later = self._channels(number, 1), self._channels(number, AHEAD)
        with b.if_else(last) as (final, unfinished):
            with final:
                self._ask_for(self.outputs, later, write=True)
                with b.if_then(b.icmp_unsigned("!=", self.outputs, self.residual)):
                    self._ask_for(self.residual, later, write=False)
            with unfinished:
                for m in following:
                    base = self._kept(m)
                    for r in range(self.tile.rows):
                        prefetch_line(b, b.gep(base, [ir.Constant(I64, r * V)]), write=True)

    def _ask_for(self, place: Any, channels: list[Any], *, write: bool) -> None:
        for m in channels:
            base = self.b.gep(place, [self.b.mul(m, self.plane)])
            for r in range(1 if self.means else self.tile.rows):
                prefetch_line(self.b, self.b.gep(base, [self.b.mul(self.pitch, ir.Constant(I64, r))]), write=write)

    def _finish(self, total: list[list[Any]], channels: list[Any], present: Any) -> None:
        """Write the outputs of the channels that are ``present``, or their means."""
        b = self.b
        if self.means:
            self._each(total, channels, present, self._average)
            return
        with b.if_else(self._flag(self.mode, PARTIAL)) as choices:
            for choice, masks in zip(choices, (self.partial, self.whole), strict=True):
                with choice, b.if_else(self._flag(self.mode, RESIDUAL)) as others:
                    for other, added in zip(others, (True, False), strict=True):
                        with other:
                            self._each(total, channels, present, partial(self._store, masks=masks, added=added))

    def _each(
        self, total: list[list[Any]], channels: list[Any], present: Any, finish: Callable[[list[Any], Any, Affine], None]
    ) -> None:
        """``finish`` the sums of each channel that is present, given where its outputs begin and its factors."""
        for t, m in enumerate(channels):
            with self.b.if_then(self.b.icmp_unsigned(">", present, ir.Constant(I64, t))):
                finish(total[t], self.b.mul(m, self.plane), self.tile.affine(self.scale, self.shift, self.bounds, m))

    def _store(self, sums: list[Any], at: Any, affine: Affine, *, masks: Sequence[Any], added: bool) -> None:
        other = self.b.gep(self.residual, [at]) if added else None
        self.tile.store(sums, self.b.gep(self.outputs, [at]), other, self.pitch, affine, masks)

    def _average(self, sums: list[Any], at: Any, affine: Affine) -> None:
        self.b.store(self.tile.mean(sums, self.left, affine, self.partial), self.b.gep(self.outputs, [at]))


@intrinsic
def _address(typingctx: Any, channels: Any, rows: Any, lanes: Any, shifts: Any, coded: Any, means: Any) -> Any:
    """The address of the function that makes visits."""
    T, R, V, S = len(channels), len(rows), len(lanes), len(shifts)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name = f"tersor_visits_{T}_{R}_{V}_{S}_{len(coded)}_{len(means)}_{gate_in(lanes)}"
        kinds = {"coded": bool(len(coded)), "means": bool(len(means))}
        return emitted(builder, name, lambda b, task: emit_visits(b, task, Tile(b, T, R, V, S, gate_in(lanes)), **kinds))

    return types.intp(channels, rows, lanes, shifts, coded, means), codegen


@jit
def visits(channels, rows, lanes, shifts, coded, means):
    """Address of a function that makes the visits of a task, given by its address: ``len(channels)`` output channels from the
    given one on, for ``len(rows)`` vectors of outputs, ``lanes`` of :func:`~tersor.runtime.emit.finish.lanes_of`.

    Sums are shifted between the entries of each two of ``len(shifts)`` kernel columns, where there is more than one. ``coded``
    is empty where weights are in the words themselves, ``means`` where all outputs are stored, and not the mean of a channel's,
    which have to be one tile. The address is good as long as the process.
    """
    return _address(channels, rows, lanes, shifts, coded, means)
