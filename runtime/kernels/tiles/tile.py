"""The register tile of a sparse convolution: sums of ``T`` output channels, ``R`` vectors of ``V`` lanes each.

A *visit* walks the nonzero weights of the tile's channels in one block of inputs. Inputs lie so that the vectors which one
weight meets are ``R`` consecutive ones, aligned where they are packed: a weight is an offset and a codebook index, and costs
``R`` fused multiply-adds whatever the kernel, stride, dilation or padding. Inputs are packed for each kernel column, or once
for several: then sums are shifted by a lane between one column's weights and the next one's. With ``T = 2`` the inputs that
both channels need are loaded once for both, which pays where a core runs out of loads before multiply-adds. ``T``, ``R`` and
``V`` are compile-time constants carried by the lengths of tuples.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise, zip_longest
from typing import Any, TypeAlias

from llvmlite import ir

from ...emit.finish import finished, places_of
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
    masked_load,
    masked_store,
    splat,
    splats_at,
    store_vector,
    store_vectors,
)

OFFSET = 16
"""From this bit on, the word of an entry with codes is its offset in vectors."""

Entry: TypeAlias = "tuple[Any, list[Any]]"
"""Bytes from the first inputs to those of an entry, and a weight for each channel."""

Affine: TypeAlias = "tuple[Any, ...]"
"""Scale, shift, low and high, and the numbers of a gate: vectors that hold one number."""


class Tile:
    """Emits the code of one visit."""

    def __init__(self, builder: Any, channels: int, rows: int, lanes: int, shifts: int = 1, gate: int = 0) -> None:
        """Sums are shifted between the entries of each two of ``shifts`` kernel columns, where there is more than one. The gate
        that results pass has so many numbers, see :mod:`~tersor.runtime.emit.finish`."""
        self.b, self.channels, self.rows, self.lanes, self.shifts, self.gate = builder, channels, rows, lanes, shifts, gate
        self.vector = ir.VectorType(F32, lanes)
        self.lists = [(0, 1), (0,), (1,)] if channels == 2 else [(0,)]
        """The channels that the entries of each list of a kernel column are for."""

    def visit(self, kept: Sequence[Any], first: Any, inputs: Any, cuts: Sequence[Any], weights: Weights) -> list[list[Any]]:
        """The sums after a visit, whose lists of entries lie between the ``cuts``: from zero when ``first``, else from those
        ``kept`` at a place for each channel."""
        total, bounds = self.zeros() if self.shifts > 1 else self.start(kept, first), pairwise(cuts)
        for number in range(self.shifts):
            if number > 0:
                total = self.shifted(total)
                if number == self.shifts - 1:
                    total = self.start(kept, first, total)
            for which, (begin, end) in zip(self.lists, bounds, strict=False):
                walked = self.walk([total[t] for t in which], inputs, begin, end, weights)
                for t, sums in zip(which, walked, strict=True):
                    total[t] = sums
        return total

    def zeros(self) -> list[list[Any]]:
        """Sums of nothing."""
        return [[ir.Constant(self.vector, None)] * self.rows for _ in range(self.channels)]

    def start(self, kept: Sequence[Any], first: Any, sums: list[list[Any]] | None = None) -> list[list[Any]]:
        """``sums``, or zeros, when ``first``, else with those of the blocks before, which are ``kept``."""
        b, given = self.b, sums or self.zeros()
        flat = [value for channel in given for value in channel]

        def loaded() -> list[Any]:
            found = [value for place in kept for value in load_vectors(b, place, self.rows, self.vector)]
            return found if sums is None else [b.fadd(*both) for both in zip(flat, found, strict=True)]

        started, R = either(b, first, lambda: flat, loaded), self.rows
        return [started[t * R : (t + 1) * R] for t in range(self.channels)]

    def shifted(self, sums: list[list[Any]]) -> list[list[Any]]:
        """Each lane's sums in the lane before; what the last lane holds does not matter."""
        order = ir.Constant(ir.VectorType(I32, self.lanes), [*range(1, self.lanes), 0])
        return [[self.b.shuffle_vector(value, value, order) for value in channel] for channel in sums]

    def walk(self, sums: list[list[Any]], inputs: Any, begin: Any, end: Any, weights: Weights) -> list[list[Any]]:
        """Add weight times input to every channel of ``sums`` for the entries in the words ``[begin, end)``."""
        b = self.b
        before, loop, done = b.block, b.append_basic_block("walk"), b.append_basic_block("walked")
        b.cbranch(b.icmp_signed("<", begin, end), loop, done)
        b.position_at_end(loop)
        i = b.phi(I64)
        i.add_incoming(begin, before)
        phis = [[b.phi(self.vector) for _ in channel] for channel in sums]
        offset, factors = weights.read(i, len(sums), 4 * self.lanes)
        source = opaque(b, b.inttoptr(b.add(b.ptrtoint(inputs, I64), offset), F32.as_pointer()))
        added = [[] for _ in sums]
        for r in range(self.rows):
            value = self._load(source, r * self.lanes)
            for t, weight in enumerate(factors):
                added[t].append(fma(b, splat(b, weight, self.lanes), value, phis[t][r]))
        following = b.add(i, ir.Constant(I64, weights.size(len(sums))))
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

    def keep(self, sums: list[list[Any]], kept: Sequence[Any]) -> None:
        """Write the sums to scratch memory."""
        for place, channel in zip(kept, sums, strict=True):
            store_vectors(self.b, channel, place)

    def store(self, sums: list[Any], target: Any, residual: Any, pitch: Any, affine: Affine, masks: Sequence[Any] = ()) -> None:
        """Write what becomes of the sums of one channel, all lanes or those of the vectors' masks, if they have any; NaN stays
        NaN."""
        b = self.b
        for r, (value, mask) in enumerate(zip_longest(sums, masks)):
            at = b.mul(pitch, ir.Constant(I64, r))
            other = None if residual is None else self._other(b.gep(residual, [at]), mask)
            output = finished(b, value, affine, other)
            if mask is None:
                store_vector(b, output, b.gep(target, [at]))
            else:
                masked_store(b, output, b.gep(target, [at]), mask)

    def mean(self, sums: list[Any], count: Any, affine: Affine, masks: Sequence[Any]) -> Any:
        """The mean, a float32, of what becomes of the sums in the ``count`` lanes of the masks."""
        b, zero = self.b, ir.Constant(self.vector, None)
        parts = [b.select(mask, finished(b, v, affine), zero) for v, mask in zip(sums, masks, strict=True)]
        total = reduce(b.fadd, parts)
        for half in (self.lanes >> n for n in range(1, self.lanes.bit_length())):  # each half added to the other
            order = ir.Constant(ir.VectorType(I32, self.lanes), [(lane + half) % self.lanes for lane in range(self.lanes)])
            total = b.fadd(total, b.shuffle_vector(total, total, order))
        return b.fdiv(b.extract_element(total, ir.Constant(I32, 0)), b.sitofp(count, F32))

    def affine(self, scale: Any, shift: Any, bounds: Any, m: Any) -> Affine:
        """Those of channel ``m``, of arrays of scales, of shifts, and of (low, high) and the gate's numbers, loaded where they
        are used."""
        b = self.b
        places = b.gep(scale, [m]), b.gep(shift, [m]), *places_of(b, bounds, self.gate)
        return tuple(splats_at(b, places, self.lanes))

    def _other(self, residual: Any, mask: Any) -> Any:
        if mask is not None:
            return masked_load(self.b, residual, mask, self.vector)
        return self._load(residual, 0)

    def _load(self, base: Any, at: int) -> Any:
        return load_vector(self.b, self.b.gep(base, [ir.Constant(I64, at)]), self.vector)

    def _join(self, incoming: list[tuple[Any, Any]]) -> Any:
        phi = self.b.phi(self.vector)
        for value, block in incoming:
            phi.add_incoming(value, block)
        return phi


class Weights:
    """Emits how the entries of a visit are read."""

    def __init__(self, builder: Any, words: Any, codebook: Any) -> None:
        """``codebook`` is ``None`` where weights are in the words themselves."""
        self.b, self.words, self.codebook = builder, words, codebook

    def size(self, channels: int) -> int:
        """Words of an entry for so many channels."""
        return 1 + channels if self.codebook is None else 1

    def read(self, i: Any, channels: int, vector: int) -> Entry:
        """The entry at word ``i``; ``vector`` is the bytes of one, a power of two from 8 on.

        Two codes reach into what becomes the offset's low bits, which are zero otherwise.
        """
        b = self.b
        word = b.load(b.gep(self.words, [i]))
        if self.codebook is None:
            places = [b.gep(self.words, [b.add(i, ir.Constant(I64, 1 + t))]) for t in range(channels)]
            offset = b.mul(b.zext(word, I64), ir.Constant(I64, vector))
            return offset, [b.load(b.bitcast(place, F32.as_pointer())) for place in places]
        offset = b.lshr(word, ir.Constant(I32, OFFSET - (vector.bit_length() - 1)))
        if channels > 1:
            offset = b.and_(offset, ir.Constant(I32, -vector))
        codes = [b.trunc(b.lshr(word, ir.Constant(I32, 8 * t)), I8) for t in range(channels)]
        return b.zext(offset, I64), [b.load(b.gep(self.codebook, [b.zext(code, I64)])) for code in codes]
