"""The register tile of a sparse convolution: sums of ``T`` output channels, ``R`` vectors of ``V`` lanes each.

A *visit* walks the nonzero weights of the tile's channels in one block of inputs. Inputs lie so that the vectors which one
weight meets are ``R`` consecutive, aligned vectors: a weight is an offset and a codebook index, and costs ``R`` fused
multiply-adds whatever the kernel, stride, dilation or padding. With ``T = 2`` the inputs that both channels need are loaded
once for both: loads, not multiplications, are what a core runs out of. ``T``, ``R`` and ``V`` are compile-time constants
carried by the lengths of tuples.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ._deferred import cgutils, intrinsic, types
from ._jit import jit
from ._memory import clip
from ._vector import F32, I64, call, prefetch_line, splat, vector_pointer

FIRST, LAST, PAIRED, STORED, RESIDUAL = 1, 2, 4, 8, 16
"""Flags of a visit: the sums start from zero; they are final; the second channel exists; final sums go straight to the
output, in whole vectors (else they stay in scratch memory); a residual is added."""

TASK = 17
"""Length of a task, int64: what the tile's code reads.

Addresses of inputs (offsets count vectors from there), sums, scales, outputs and residual (of channel 0), then elements
between the outputs of two channels and between the vectors of one; flags that a last visit gets; first and last visit. From 10
on, the same in every run: addresses of words, codebook, start, channel, flags, shifts and bounds (low, high).
"""

I32, I16, I8 = ir.IntType(32), ir.IntType(16), ir.IntType(8)


class _Tile:
    """Emits the code of one visit."""

    def __init__(self, builder: Any, channels: int, rows: int, lanes: int) -> None:
        self.b, self.channels, self.rows, self.lanes = builder, channels, rows, lanes
        self.vector = ir.VectorType(F32, lanes)

    def start(self, sums: Any, first: Any) -> list[list[Any]]:
        """Zeros when ``first``, else the sums of the blocks before."""
        b = self.b
        entry, load, ready = b.block, b.append_basic_block("load"), b.append_basic_block("ready")
        b.cbranch(first, ready, load)
        b.position_at_end(load)
        loaded = [self._load(sums, self._place(t, r)) for t in range(self.channels) for r in range(self.rows)]
        b.branch(ready)
        b.position_at_end(ready)
        zero = ir.Constant(self.vector, None)
        joined = [self._join([(zero, entry), (value, load)]) for value in loaded]
        return [joined[t * self.rows : (t + 1) * self.rows] for t in range(self.channels)]

    def walk(self, sums: list[list[Any]], inputs: Any, words: Any, codebook: Any, begin: Any, end: Any) -> list[list[Any]]:
        """Add weight times input to every channel of ``sums`` for the entries in the words ``[begin, end)``."""
        b = self.b
        before, loop, done = b.block, b.append_basic_block("walk"), b.append_basic_block("walked")
        b.cbranch(b.icmp_signed("<", begin, end), loop, done)
        b.position_at_end(loop)
        i = b.phi(I64)
        i.add_incoming(begin, before)
        phis = [[b.phi(self.vector) for _ in channel] for channel in sums]
        offset, weights, size = self._entry(words, codebook, i, len(sums))
        source = b.gep(inputs, [b.mul(offset, ir.Constant(I64, self.lanes))])
        added = [[] for _ in sums]
        for r in range(self.rows):
            value = self._load(source, r * self.lanes)
            for t, weight in enumerate(weights):
                added[t].append(call(b, f"llvm.fma.v{self.lanes}f32", self.vector, [weight, value, phis[t][r]]))
        following = b.add(i, ir.Constant(I64, size))
        i.add_incoming(following, loop)
        b.cbranch(b.icmp_signed("<", following, end), loop, done)
        b.position_at_end(done)
        result = []
        for phi, start, value in zip(phis, sums, added, strict=True):
            for p, s, v in zip(phi, start, value, strict=True):
                p.add_incoming(s, before)
                p.add_incoming(v, loop)
            result.append([self._join([(s, before), (v, loop)]) for s, v in zip(start, value, strict=True)])
        return result

    def _entry(self, words: Any, codebook: Any, i: Any, channels: int) -> tuple[Any, list[Any], int]:
        """(vector offset, a splat weight a channel, words) of the entry at word ``i``."""
        b = self.b
        word = b.load(b.gep(words, [i]))
        if codebook is None:
            places = [b.gep(words, [b.add(i, ir.Constant(I64, 1 + t))]) for t in range(channels)]
            scalars = [b.load(b.bitcast(place, F32.as_pointer())) for place in places]
            return b.zext(word, I64), [splat(b, s, self.lanes) for s in scalars], 1 + channels
        codes = [b.zext(b.trunc(b.lshr(word, ir.Constant(I32, 16 + 8 * t)), I8), I64) for t in range(channels)]
        scalars = [b.load(b.gep(codebook, [code])) for code in codes]
        return b.zext(b.trunc(word, I16), I64), [splat(b, s, self.lanes) for s in scalars], 1

    def keep(self, sums: list[list[Any]], kept: Any) -> None:
        """Write the sums to scratch memory."""
        for t, channel in enumerate(sums):
            for r, value in enumerate(channel):
                target = vector_pointer(self.b, kept, ir.Constant(I64, self._place(t, r)), self.vector)
                self.b.store(value, target).align = 4 * self.lanes

    def store(self, sums: list[Any], target: Any, residual: Any, pitch: Any, affine: tuple[Any, ...]) -> None:
        """Write ``clip(sum * scale + shift + residual, low, high)`` of one channel; NaN stays NaN."""
        b = self.b
        scale, shift, low, high = (splat(b, factor, self.lanes) for factor in affine)
        for r, value in enumerate(sums):
            at = b.mul(pitch, ir.Constant(I64, r))
            value = call(b, f"llvm.fma.v{self.lanes}f32", self.vector, [value, scale, shift])
            if residual is not None:
                other = b.load(vector_pointer(b, residual, at, self.vector))
                other.align = 4
                value = b.fadd(value, other)
            b.store(clip(b, value, low, high), vector_pointer(b, target, at, self.vector)).align = 4

    def _place(self, t: int, r: int) -> int:
        return (t * self.rows + r) * self.lanes

    def _load(self, base: Any, at: int) -> Any:
        value = self.b.load(vector_pointer(self.b, base, ir.Constant(I64, at), self.vector))
        value.align = 4 * self.lanes
        return value

    def _join(self, incoming: list[tuple[Any, Any]]) -> Any:
        phi = self.b.phi(self.vector)
        for value, block in incoming:
            phi.add_incoming(value, block)
        return phi


def _emit_visits(b: Any, task: Any, tile: _Tile, *, coded: bool) -> None:
    """Emit the loop over the visits that a task lists."""
    T, R, V = tile.channels, tile.rows, tile.lanes
    members = [(0, 1), (0,), (1,)] if T == 2 else [(0,)]
    fields = b.inttoptr(task, I64.as_pointer())

    def field(index: int, kind: Any = None) -> Any:
        value = b.load(b.gep(fields, [ir.Constant(I64, index)]))
        return value if kind is None else b.inttoptr(value, kind.as_pointer())

    inputs, sums, scale, outputs, residual = (field(i, F32) for i in range(5))
    plane, pitch, mode, first_visit, last_visit = (field(i) for i in range(5, 10))
    words, start, channels_of, flags_of = field(10, I32), field(12, I64), field(13, I64), field(14, I8)
    codebook = field(11, F32) if coded else None
    shift, bounds = field(15, F32), field(16, F32)
    limits = [b.load(b.gep(bounds, [ir.Constant(I64, k)])) for k in range(2)]

    with cgutils.for_range_slice(b, first_visit, last_visit, ir.Constant(I64, 1), I64) as (number, _):
        own = b.zext(b.load(b.gep(flags_of, [number])), I64)
        last = b.icmp_unsigned("!=", b.and_(own, ir.Constant(I64, LAST)), ir.Constant(I64, 0))
        flags = b.or_(own, b.select(last, mode, ir.Constant(I64, 0)))

        def flag(bit: int) -> Any:
            return b.icmp_unsigned("!=", b.and_(flags, ir.Constant(I64, bit)), ir.Constant(I64, 0))

        channel = b.load(b.gep(channels_of, [number]))
        following = b.load(b.gep(channels_of, [b.add(number, ir.Constant(I64, 1))]))
        with b.if_else(flag(STORED)) as (stored, unfinished):
            with stored:
                for place in [outputs, residual]:
                    for t in range(T):
                        base = b.gep(place, [b.mul(b.add(following, ir.Constant(I64, t)), plane)])
                        for r in range(R):
                            prefetch_line(b, b.gep(base, [b.mul(pitch, ir.Constant(I64, r))]), write=place is outputs)
            with unfinished:
                base = b.gep(sums, [b.mul(following, ir.Constant(I64, R * V))])
                for r in range(T * R):
                    prefetch_line(b, b.gep(base, [ir.Constant(I64, r * V)]), write=True)
        kept = b.gep(sums, [b.mul(channel, ir.Constant(I64, R * V))])
        first = b.gep(start, [b.mul(number, ir.Constant(I64, len(members)))])
        cuts = [b.load(b.gep(first, [ir.Constant(I64, k)])) for k in range(len(members) + 1)]
        total = tile.start(kept, flag(FIRST))
        for which, begin, end in zip(members, cuts, cuts[1:], strict=False):
            walked = tile.walk([total[t] for t in which], inputs, words, codebook, begin, end)
            for t, sums_of_channel in zip(which, walked, strict=True):
                total[t] = sums_of_channel

        def store(t: int, *, added: bool) -> None:
            m = b.add(channel, ir.Constant(I64, t))
            at = b.mul(m, plane)
            affine = (b.load(b.gep(scale, [m])), b.load(b.gep(shift, [m])), *limits)
            tile.store(total[t], b.gep(outputs, [at]), b.gep(residual, [at]) if added else None, pitch, affine)

        with b.if_else(flag(STORED)) as (stored, unfinished):
            with stored, b.if_else(flag(RESIDUAL)) as choices:
                for block, added in zip(choices, (True, False), strict=True):
                    with block:
                        store(0, added=added)
                        if T == 2:
                            with b.if_then(flag(PAIRED)):
                                store(1, added=added)
            with unfinished:
                tile.keep(total, kept)


@intrinsic
def _address(typingctx: Any, channels: Any, rows: Any, lanes: Any, coded: Any) -> Any:
    """The address of the function that makes visits."""
    T, R, V = len(channels), len(rows), len(lanes)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [I64])
        function = ir.Function(builder.module, kind, f"tersor_visits_{T}_{R}_{V}_{len(coded)}")
        function.linkage = "internal"
        inside = ir.IRBuilder(function.append_basic_block("entry"))
        _emit_visits(inside, function.args[0], _Tile(inside, T, R, V), coded=bool(len(coded)))
        inside.ret_void()
        return builder.ptrtoint(function, I64)

    return types.intp(channels, rows, lanes, coded), codegen


@jit
def visits(channels, rows, lanes, coded):
    """Address of a function that makes the visits of a task, given by its address: ``len(channels)`` output channels from the
    given one on, for ``len(rows)`` vectors of ``len(lanes)`` outputs.

    ``coded`` is empty where weights are in the words themselves. The address is good as long as the process.
    """
    return _address(channels, rows, lanes, coded)


@intrinsic
def call_visits(typingctx: Any, function: Any, task: Any) -> Any:
    """Call the function at an address from :func:`visits` on the task at address ``task``."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [I64])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [arguments[1]])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen
