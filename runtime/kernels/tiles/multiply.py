"""The register tile of dense products: sums for ``T`` output channels and ``R`` vectors, over inputs that lie row after row."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...emit.finish import finished, gate_in, places_of
from ...emit.intrinsic import cgutils, intrinsic, types
from ...emit.memory import opaque
from ...emit.vector import (
    F32,
    I8,
    I32,
    I64,
    either,
    fma,
    load_vector,
    load_vectors,
    prefetch_line,
    splat,
    splats_at,
    store_vectors,
    vector_pointer,
)
from ...jit.jitted import jit
from ...orders.atomic import emitted
from .tile import Tile

INPUTS, WEIGHTS, SUMS, STEP, ROWS, PITCH, UNITS, UNIT, FIRST, CODEBOOK = range(10)
OUTPUTS, RESIDUAL, SCALE, SHIFT, BOUNDS, PLANE, CHANNELS = range(10, 17)
"""Numbers of a task, int64: addresses of inputs, weights and sums; elements from one row of inputs to the next, or, where rows
are listed, the address of the bytes, int64, from the inputs to each; how many rows there are; elements from the sums of one
output channel to those of the next; units of ``T`` output channels; elements from the weights of one unit, (rows, T), to those
of the next; whether sums start from zero (else from what they are); the address of the codebook that weights are codes of 8
bits for, where they are.

Where sums become outputs: addresses of these (0 when sums are kept instead), of a residual (0 when there is none), of scales,
shifts and (low, high); elements from the outputs of one channel to those of the next; how many channels there are."""

AHEAD, TASK = 17, 18
"""An address, where tasks ask for memory: the next cache line from there on is asked for with each row of each unit. And the
length of a task."""

LINE = 64
"""Bytes of a cache line."""


class _Outputs:
    """Emits how sums become outputs."""

    def __init__(self, builder: Any, fields: Any, tile: Tile) -> None:
        self.b, self.tile = builder, tile
        numbers = [builder.load(builder.gep(fields, [ir.Constant(I64, i)])) for i in range(OUTPUTS, AHEAD)]
        self.wanted, self.added = (builder.icmp_signed("!=", number, ir.Constant(I64, 0)) for number in numbers[:2])
        self.outputs, self.residual, *self.affine = (builder.inttoptr(number, F32.as_pointer()) for number in numbers[:5])
        self.plane, self.channels = numbers[5:]

    def ask_for(self, m: Any) -> None:
        """Ask for the cache lines of the channels from ``m`` on."""
        with self.b.if_then(self.wanted):
            self._prefetch(self.outputs, m, write=True)
            with self.b.if_then(self.added):
                self._prefetch(self.residual, m, write=False)

    def store(self, m: Any, totals: list[list[Any]]) -> None:
        """Write the outputs of the channels from ``m`` on that there are."""
        with self.b.if_else(self.added) as choices:
            for choice, added in zip(choices, (True, False), strict=True):
                with choice:
                    for t, sums in enumerate(totals):
                        self._store(self.b.add(m, ir.Constant(I64, t)), sums, added=added)

    def _store(self, m: Any, sums: list[Any], *, added: bool) -> None:
        b, (scale, shift, bounds) = self.b, self.affine
        with b.if_then(b.icmp_signed("<", m, self.channels)):
            at = b.mul(m, self.plane)
            residual = b.gep(self.residual, [at]) if added else None
            affine, pitch = self.tile.affine(scale, shift, bounds, m), ir.Constant(I64, self.tile.lanes)
            self.tile.store(sums, b.gep(self.outputs, [at]), residual, pitch, affine)

    def store_lone(self, m: Any, sums: list[Any]) -> None:
        """Write the outputs behind the tile's vectors: of each a vector of sums for the channels from ``m`` on."""
        b, T, (scale, shift, bounds) = self.b, self.tile.channels, self.affine
        for number, value in enumerate(sums):
            of_channels = [load_vector(b, b.gep(place, [m]), value.type) for place in (scale, shift)]
            factors = [*of_channels, *splats_at(b, places_of(b, bounds, self.tile.gate), T)]
            first = ir.Constant(I64, self.tile.rows * self.tile.lanes + number)
            places = [b.add(b.mul(b.add(m, ir.Constant(I64, t)), self.plane), first) for t in range(T)]
            with b.if_else(self.added) as choices:
                for choice, added in zip(choices, (True, False), strict=True):
                    with choice:
                        residual = self._gathered(places, value.type) if added else None
                        output = finished(b, value, factors, residual)
                        for t, place in enumerate(places):
                            b.store(b.extract_element(output, ir.Constant(I32, t)), b.gep(self.outputs, [place]))

    def _gathered(self, places: list[Any], vector: Any) -> Any:
        """The residual at some places."""
        found = ir.Constant(vector, ir.Undefined)
        for t, place in enumerate(places):
            found = self.b.insert_element(found, self.b.load(self.b.gep(self.residual, [place])), ir.Constant(I32, t))
        return found

    def _prefetch(self, base: Any, m: Any, *, write: bool) -> None:
        for t in range(self.tile.channels):
            plane = self.b.gep(base, [self.b.mul(self.b.add(m, ir.Constant(I64, t)), self.plane)])
            for r in range(self.tile.rows):
                prefetch_line(self.b, self.b.gep(plane, [ir.Constant(I64, r * self.tile.lanes)]), write=write)


def emit_units(
    b: Any, task: Any, tile: Tile, *, coded: bool, finishes: bool, listed: bool, lone: int = 0, asks: bool = False
) -> None:
    """Emit the loop over the units of a task. So many ``lone`` elements behind the vectors of a row are multiplied by float32
    weights, too, for as many output channels as there are: their sums start from zero, and become outputs. Where it ``asks``,
    it does for the memory at :data:`AHEAD`."""
    T, R, V = tile.channels, tile.rows, tile.lanes
    fields = b.inttoptr(task, I64.as_pointer())
    inputs, weights, sums, step, rows, pitch, units, unit, first, codebook = (
        b.load(b.gep(fields, [ir.Constant(I64, i)])) for i in range(OUTPUTS)
    )
    made = _Outputs(b, fields, tile) if finishes else None
    inputs, sums, codebook = (b.inttoptr(place, F32.as_pointer()) for place in (inputs, sums, codebook))
    weights = b.inttoptr(weights, (I8 if coded else F32).as_pointer())
    vector, together = ir.VectorType(F32, V), ir.Constant(I64, T)
    ahead = b.load(b.gep(fields, [ir.Constant(I64, AHEAD)])) if asks else None
    with cgutils.for_range(b, units, intp=I64) as loop:
        m = b.mul(loop.index, together)
        target = b.gep(sums, [b.mul(m, pitch)])
        channels = [b.gep(target, [b.mul(ir.Constant(I64, t), pitch)]) for t in range(T)]
        if made is not None:
            made.ask_for(m)
        fresh, zeros = b.icmp_signed("!=", first, ir.Constant(I64, 0)), [ir.Constant(vector, None)] * (T * R)
        start = either(b, fresh, lambda: zeros, lambda: [v for place in channels for v in load_vectors(b, place, R, vector)])
        source, of_unit = _Rows(b, inputs, step, listed=listed), b.gep(weights, [b.mul(loop.index, unit)])
        begun = [start[t * R : (t + 1) * R] for t in range(T)]
        after = b.add(ahead, b.mul(b.mul(loop.index, rows), ir.Constant(I64, LINE))) if asks else None
        totals, alone = _walk(b, source, of_unit, codebook if coded else None, rows, begun, lone, after)
        if made is None:
            _keep(b, channels, totals)
        else:
            with b.if_else(made.wanted) as (wanted, unfinished):
                with wanted:
                    made.store(m, totals)
                    made.store_lone(m, alone)
                with unfinished:
                    _keep(b, channels, totals)


def _keep(b: Any, channels: list[Any], totals: list[list[Any]]) -> None:
    """Write sums where they are kept."""
    for place, values in zip(channels, totals, strict=True):
        store_vectors(b, values, place)


class _Rows:
    """Emits where rows of inputs are: ``step`` elements apart, and aligned as vectors are, or where a list says, ``listed``."""

    def __init__(self, b: Any, inputs: Any, step: Any, *, listed: bool) -> None:
        self.b, self.inputs, self.step, self.listed = b, inputs, step, listed

    def row(self, number: Any) -> Any:
        """Where a row begins."""
        b = self.b
        if not self.listed:
            return b.gep(self.inputs, [b.mul(number, self.step)])
        offset = b.load(b.gep(b.inttoptr(self.step, I64.as_pointer()), [number]))
        return opaque(b, b.inttoptr(b.add(b.ptrtoint(self.inputs, I64), offset), F32.as_pointer()))

    def load(self, source: Any, number: int, vector: Any) -> Any:
        """Vector ``number`` of the row at ``source``."""
        value = self.b.load(vector_pointer(self.b, source, ir.Constant(I64, number * vector.count), vector))
        value.align = 4 if self.listed else 4 * vector.count
        return value


def _walk(
    b: Any, inputs: _Rows, weights: Any, codebook: Any, rows: Any, start: list[list[Any]], lone: int, ahead: Any
) -> tuple[list[list[Any]], list[Any]]:
    """Emit the loop over rows of inputs, of which there is one at least; returns the sums, and those of ``lone`` elements, with
    output channels in the lanes. ``ahead`` is the address of the memory that is asked for meanwhile, if any is."""
    T, R, vector = len(start), len(start[0]), start[0][0].type
    before, walk, walked = b.block, b.append_basic_block("walk"), b.append_basic_block("walked")
    b.branch(walk)
    b.position_at_end(walk)
    number = b.phi(I64)
    number.add_incoming(ir.Constant(I64, 0), before)
    totals, channels = [[b.phi(vector) for _ in range(R)] for _ in range(T)], ir.VectorType(F32, T)
    alone = [b.phi(channels) for _ in range(lone)]
    source = inputs.row(number)
    if ahead is not None:
        place = b.add(ahead, b.mul(number, ir.Constant(I64, LINE)))
        prefetch_line(b, b.inttoptr(place, I8.as_pointer()), near=False)
    values = [inputs.load(source, r, vector) for r in range(R)]
    first = b.mul(number, ir.Constant(I64, T))
    for t in range(T):
        weight = b.load(b.gep(weights, [b.add(first, ir.Constant(I64, t))]))
        if codebook is not None:
            weight = b.load(b.gep(codebook, [b.zext(weight, I64)]))
        weight = splat(b, weight, vector.count)
        for r, phi in enumerate(totals[t]):
            totals[t][r] = fma(b, weight, values[r], phi)
            phi.add_incoming(start[t][r], before)
            phi.add_incoming(totals[t][r], walk)
    for element, phi in enumerate(alone):
        value = splat(b, b.load(b.gep(source, [ir.Constant(I64, R * vector.count + element)])), T)
        alone[element] = fma(b, load_vector(b, b.gep(weights, [first]), channels), value, phi)
        phi.add_incoming(ir.Constant(channels, None), before)
        phi.add_incoming(alone[element], walk)
    following = b.add(number, ir.Constant(I64, 1))
    number.add_incoming(following, walk)
    b.cbranch(b.icmp_signed("<", following, rows), walk, walked)
    b.position_at_end(walked)
    return totals, alone


@intrinsic
def _address(typingctx: Any, together: Any, rows: Any, lanes: Any, coded: Any, finishes: Any, listed: Any) -> Any:
    """The address of the function that carries out tasks."""
    T, R, V, gate = len(together), len(rows), len(lanes), gate_in(lanes)
    kinds = {"coded": bool(len(coded)), "finishes": bool(len(finishes)), "listed": bool(len(listed))}

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name = f"tersor_products_{T}_{R}_{V}_{len(coded)}_{len(finishes)}_{len(listed)}_{gate}"
        return emitted(builder, name, lambda b, task: emit_units(b, task, Tile(b, T, R, V, gate=gate), **kinds))

    return types.intp(together, rows, lanes, coded, finishes, listed), codegen


@intrinsic
def _lone_address(typingctx: Any, together: Any, rows: Any, lanes: Any, lone: Any) -> Any:
    """As :func:`_address`."""
    T, R, V = len(together), len(rows), len(lanes)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def emit(b: Any, task: Any) -> None:
            tile = Tile(b, T, R, V, gate=gate_in(lanes))
            emit_units(b, task, tile, coded=False, finishes=True, listed=False, lone=len(lone))

        return emitted(builder, f"tersor_products_{T}_{R}_{V}_and_{len(lone)}", emit)

    return types.intp(together, rows, lanes, lone), codegen


@intrinsic
def _asking_address(typingctx: Any, together: Any, rows: Any, lanes: Any) -> Any:
    """As :func:`_address`."""
    T, R, V = len(together), len(rows), len(lanes)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def emit(b: Any, task: Any) -> None:
            emit_units(b, task, Tile(b, T, R, V), coded=False, finishes=False, listed=False, asks=True)

        return emitted(builder, f"tersor_products_{T}_{R}_{V}_ahead", emit)

    return types.intp(together, rows, lanes), codegen


@jit
def asking_multiplier(together, rows, lanes):
    """As :func:`multiplier`, for float32 weights, rows that lie evenly, and sums that are kept: it asks for the memory that is
    read next."""
    return _asking_address(together, rows, lanes)


@jit
def lone_multiplier(together, rows, lanes, lone):
    """As :func:`multiplier`, for float32 weights and rows that lie evenly, where all inputs are one block, and ``len(lone)``
    elements are behind the vectors of a row: with output channels in the lanes, they take less time than another vector."""
    return _lone_address(together, rows, lanes, lone)


@jit
def multiplier(together, rows, lanes, coded, finishes, listed):
    """Address of a function that carries out a task, given by its address: for ``len(together)`` output channels at once and
    ``len(rows)`` vectors, ``lanes`` as :func:`~tersor.runtime.emit.finish.lanes_of` has them. ``coded`` is empty where weights
    are float32, ``finishes`` where all sums are kept, ``listed`` where rows of inputs lie evenly. The address is good as long
    as the process."""
    return _address(together, rows, lanes, coded, finishes, listed)
