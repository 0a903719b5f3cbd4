"""Sparse convolution: a register tile of outputs walks the stream of an output channel's nonzero weights.

A *tile* is ``R`` vectors of ``V`` lanes of outputs, held in registers. Inputs are packed, per block of channels, so that the
vectors which one weight meets are ``R`` consecutive, aligned vectors: a weight is then a 16-bit offset and a codebook index,
and costs ``R`` fused multiply-adds whatever the kernel, stride, dilation or padding. ``R`` and ``V`` are compile-time
constants carried by the lengths of two tuples. Everything that the kernel inlines is in this file, see
:func:`~tersor.runtime.kernels._jit.jit`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as typed_intrinsic

from ._jit import jit

FIRST, LAST = 1, 2
"""Flags of a visit: the channel's sums start from zero; they are finished and stored."""

PREFETCHED = 24
"""Vectors, at least, by which the packing loop asks for its inputs ahead of time (in whole channels)."""

RESIDUAL, WHOLE = 4, 8
"""Flags of a tile: a residual is added; every lane is an output and nothing is added."""

intrinsic: Any = typed_intrinsic
"""Calls of an intrinsic have one argument less than its definition, which a type checker cannot know."""

I64, I32, F32 = ir.IntType(64), ir.IntType(32), ir.FloatType()


def _data(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Pointer to an element of a one-dimensional array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _vectors_at(builder: Any, base: Any, index: Any, vector: ir.VectorType) -> Any:
    return builder.bitcast(builder.gep(base, [index]), vector.as_pointer())


def _splat(builder: Any, scalar: Any, lanes: int) -> Any:
    vector = ir.VectorType(scalar.type, lanes)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def _below(builder: Any, bound: Any, lanes: int) -> Any:
    """Mask of the lanes whose number is less than ``bound`` (an i64 between 0 and ``lanes``, or beyond)."""
    numbers = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    return builder.icmp_signed("<", numbers, _splat(builder, builder.trunc(bound, I32), lanes))


def _call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _masked_load(builder: Any, pointer: Any, mask: Any, vector: ir.VectorType) -> Any:
    zero = ir.Constant(vector, None)
    address = builder.bitcast(pointer, vector.as_pointer())
    return _call(builder, f"llvm.masked.load.v{vector.count}f32.p0", vector, [address, ir.Constant(I32, 4), mask, zero])


def _masked_store(builder: Any, value: Any, pointer: Any, mask: Any) -> None:
    address = builder.bitcast(pointer, value.type.as_pointer())
    name = f"llvm.masked.store.v{value.type.count}f32.p0"
    _call(builder, name, ir.VoidType(), [value, address, ir.Constant(I32, 4), mask])


@intrinsic
def copy_lanes(typingctx: Any, lanes: Any, packed: Any, at: Any, x: Any, first: Any, low: Any, high: Any) -> Any:
    """``packed[at : at + V] = x[first : first + V]`` where lane numbers are in ``[low, high)``, 0 elsewhere.

    ``at`` is aligned to ``V``. Only the lanes copied are read, so the others may lie outside ``x``.
    """
    signature = types.void(lanes, packed, types.intp, x, types.intp, types.intp, types.intp)
    count = len(lanes)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(F32, count)
        target = _data(context, builder, signature.args[1], arguments[1], arguments[2])
        source = _data(context, builder, signature.args[3], arguments[3], arguments[4])
        mask = builder.and_(_below(builder, arguments[6], count), builder.not_(_below(builder, arguments[5], count)))
        store = builder.store(_masked_load(builder, source, mask, vector), builder.bitcast(target, vector.as_pointer()))
        store.align = 4 * count
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_vector(typingctx: Any, lanes: Any, packed: Any, at: Any, x: Any, first: Any) -> Any:
    """``packed[at : at + V] = x[first : first + V]``, ``at`` aligned to ``V``."""
    signature = types.void(lanes, packed, types.intp, x, types.intp)
    count = len(lanes)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(F32, count)
        target = _data(context, builder, signature.args[1], arguments[1], arguments[2])
        source = _data(context, builder, signature.args[3], arguments[3], arguments[4])
        value = builder.load(builder.bitcast(source, vector.as_pointer()))
        value.align = 4
        store = builder.store(value, builder.bitcast(target, vector.as_pointer()))
        store.align = 4 * count
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of ``array[index]``, which need not exist."""
    signature = types.void(array, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _data(context, builder, signature.args[0], arguments[0], arguments[1])
        hints = [ir.Constant(I32, hint) for hint in (0, 3, 1)]
        _call(builder, "llvm.prefetch.p0", ir.VoidType(), [builder.bitcast(address, ir.IntType(8).as_pointer()), *hints])
        return context.get_dummy_value()

    return signature, codegen


class _Tile:
    """Emits the code of one visit of a tile to one output channel."""

    def __init__(self, context: Any, builder: Any, rows: int, lanes: int) -> None:
        self.context, self.b, self.rows, self.lanes = context, builder, rows, lanes
        self.vector = ir.VectorType(F32, lanes)

    def start(self, sums: Any, first: Any) -> list[Any]:
        """Zeros when ``first``, else the sums of the blocks before."""
        b = self.b
        entry, load, ready = b.block, b.append_basic_block("load"), b.append_basic_block("ready")
        b.cbranch(first, ready, load)
        b.position_at_end(load)
        loaded = []
        for r in range(self.rows):
            value = b.load(_vectors_at(b, sums, ir.Constant(I64, r * self.lanes), self.vector))
            value.align = 4 * self.lanes
            loaded.append(value)
        b.branch(ready)
        b.position_at_end(ready)
        return [self._join([(ir.Constant(self.vector, None), entry), (v, load)]) for v in loaded]

    def walk(self, start: list[Any], packed: Any, stream: tuple[Any, Any, Any], begin: Any, end: Any) -> list[Any]:
        """Add weight times input for the entries ``[begin, end)`` of the stream."""
        b = self.b
        before, loop, done = b.block, b.append_basic_block("walk"), b.append_basic_block("walked")
        b.cbranch(b.icmp_signed("<", begin, end), loop, done)
        b.position_at_end(loop)
        i = b.phi(I64)
        i.add_incoming(begin, before)
        sums = [b.phi(self.vector) for _ in start]
        for phi, value in zip(sums, start, strict=True):
            phi.add_incoming(value, before)
        offset, code, codebook = stream
        where = b.mul(b.zext(b.load(b.gep(offset, [i])), I64), ir.Constant(I64, self.lanes))
        weight = _splat(b, self._weight(code, codebook, i), self.lanes)
        inputs = b.gep(packed, [where])
        added = []
        for r, phi in enumerate(sums):
            value = b.load(_vectors_at(b, inputs, ir.Constant(I64, r * self.lanes), self.vector))
            value.align = 4 * self.lanes
            added.append(_call(b, f"llvm.fma.v{self.lanes}f32", self.vector, [weight, value, phi]))
        following = b.add(i, ir.Constant(I64, 1))
        i.add_incoming(following, loop)
        for phi, value in zip(sums, added, strict=True):
            phi.add_incoming(value, loop)
        b.cbranch(b.icmp_signed("<", following, end), loop, done)
        b.position_at_end(done)
        return [self._join([(v, before), (w, loop)]) for v, w in zip(start, added, strict=True)]

    def _weight(self, code: Any, codebook: Any, i: Any) -> Any:
        """The weight of entry ``i``: what its code stands for, or the entry itself when the stream holds values."""
        entry = self.b.load(self.b.gep(code, [i]))
        return entry if entry.type == F32 else self.b.load(self.b.gep(codebook, [self.b.zext(entry, I64)]))

    def finish(self, sums: list[Any], kept: Any, last: Any, plain: Any, store: Any, store_plainly: Any) -> None:
        """Store the finished outputs when ``last``, else keep the sums for the next block."""
        b = self.b
        names = ("final", "general", "plain", "keep", "done")
        final, general, whole, keep, done = (b.append_basic_block(name) for name in names)
        b.cbranch(last, final, keep)
        b.position_at_end(keep)
        for r, value in enumerate(sums):
            stored = b.store(value, _vectors_at(b, kept, ir.Constant(I64, r * self.lanes), self.vector))
            stored.align = 4 * self.lanes
        b.branch(done)
        b.position_at_end(final)
        b.cbranch(plain, whole, general)
        for block, write in ((whole, store_plainly), (general, store)):
            b.position_at_end(block)
            for r, value in enumerate(sums):
                write(r, value)
            b.branch(done)
        b.position_at_end(done)

    def epilogue(self, value: Any, affine: tuple[Any, ...], residual: Any = None) -> Any:
        """``clip(value * scale + shift + residual, low, high)``; NaN stays NaN."""
        b = self.b
        scale, shift, low, high = affine
        value = _call(b, f"llvm.fma.v{self.lanes}f32", self.vector, [value, scale, shift])
        value = value if residual is None else b.fadd(value, residual)
        value = b.select(b.fcmp_ordered("<", value, low), low, value)
        return b.select(b.fcmp_ordered(">", value, high), high, value)

    def _join(self, incoming: list[tuple[Any, Any]]) -> Any:
        phi = self.b.phi(self.vector)
        for value, block in incoming:
            phi.add_incoming(value, block)
        return phi


@intrinsic
def visit(
    typingctx: Any, rows: Any, lanes: Any, packed: Any, sums: Any, sums_at: Any, y: Any, residual: Any, y_at: Any,
    pitch: Any, extent: Any, offset: Any, code: Any, codebook: Any, span: Any, flags: Any, affine: Any,
) -> Any:  # fmt: skip
    """One channel's walk over one packed block, for a tile of ``len(rows)`` vectors of ``len(lanes)``.

    ``extent`` is (vectors in use, lanes in use, lanes in use of the last vector); output vector ``r`` starts at
    ``y_at + r * pitch``, and so does the residual's, which is read when ``flags & RESIDUAL`` but must be memory in any case
    (lanes that are masked out cost hundreds of cycles where there is none). ``span`` is (begin, end) in the stream; ``affine``
    is (scale, shift, low, high).
    """
    signature = types.void(
        rows, lanes, packed, sums, types.intp, y, residual, types.intp, types.intp, types.UniTuple(types.intp, 3),
        offset, code, codebook, types.UniTuple(types.intp, 2), types.intp, types.UniTuple(types.float32, 4),
    )  # fmt: skip
    height, width = len(rows), len(lanes)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, _, packed, sums, sums_at, y, residual, y_at, pitch, extent, offset, code, codebook, span, flags, affine = arguments
        kinds = signature.args
        zero = ir.Constant(I64, 0)
        tile = _Tile(context, b, height, width)
        kept = _data(context, b, kinds[3], sums, sums_at)
        stream = tuple(_data(context, b, kinds[k], a, zero) for k, a in ((10, offset), (11, code), (12, codebook)))
        used, wide, tail = (b.extract_value(extent, k) for k in range(3))

        def flag(bit: int) -> Any:
            return b.icmp_unsigned("!=", b.and_(flags, ir.Constant(I64, bit)), zero)

        def store(r: int, value: Any) -> None:
            number = ir.Constant(I64, r)
            ending = b.select(b.icmp_signed("==", b.add(number, ir.Constant(I64, 1)), used), tail, wide)
            mask = _below(b, b.select(b.icmp_signed("<", number, used), ending, zero), width)
            at = b.add(y_at, b.mul(pitch, number))
            other = b.and_(mask, _splat(b, flag(RESIDUAL), width))
            added = _masked_load(b, _data(context, b, kinds[6], residual, at), other, tile.vector)
            _masked_store(b, tile.epilogue(value, vectors, added), _data(context, b, kinds[5], y, at), mask)

        def store_plainly(r: int, value: Any) -> None:
            at = b.add(y_at, b.mul(pitch, ir.Constant(I64, r)))
            stored = b.store(
                tile.epilogue(value, vectors), _vectors_at(b, _data(context, b, kinds[5], y, at), zero, tile.vector)
            )
            stored.align = 4

        start = tile.start(kept, flag(FIRST))
        source = _data(context, b, kinds[2], packed, zero)
        done = tile.walk(start, source, stream, b.extract_value(span, 0), b.extract_value(span, 1))  # type: ignore[arg-type]
        vectors = tuple(_splat(b, b.extract_value(affine, k), width) for k in range(4))
        tile.finish(done, kept, flag(LAST), flag(WHOLE), store, store_plainly)
        return context.get_dummy_value()

    return signature, codegen


@jit
def convolve(
    rows, lanes, x, y, residual, scratch, geometry, row_input, row_shift, block_channels, block_visits,
    channel, flags, start, offset, code, codebook, scale, shift, bounds, work,
):  # fmt: skip
    """Compute the tiles ``[work[0], work[1])`` for the parts ``[work[2], work[3])`` of the output channels.

    ``x`` (N·C·H·W,), ``y`` and ``residual`` (N·M·OH·OW,; ``y`` when there is none) float32; ``scratch`` float32, 64-byte
    aligned: packed block, then sums. ``geometry`` is int64, see :class:`~tersor.runtime.kernels.conv.Conv`. Packed vector ``j``
    of a channel and kernel column comes from input row ``row_input[j]`` and output column ``row_shift[j]``, both relative to
    the tile. Block ``b`` packs the input channels ``block_channels[b : b + 2]``; its visits for part ``p`` are
    ``block_visits[b, p : p + 2]``: visit ``v`` adds the entries ``start[v : v + 2]`` to output ``channel[v]``.
    """
    V = len(lanes)
    R = len(rows)
    C, H, W, M, OH, OW = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4], geometry[5]
    stride_h, stride_w, top, left = geometry[6], geometry[7], geometry[8], geometry[9]
    kernel_w, dilation_w, along_columns, packed_size = geometry[10], geometry[11], geometry[12], geometry[13]
    with_residual = geometry[14] != 0
    columns = R * V if along_columns else V
    strips = (OW + columns - 1) // columns
    bands = 1 if along_columns else (OH + R - 1) // R
    pitch = V if along_columns else OW
    ahead = H * W * ((PREFETCHED + len(row_input) - 1) // len(row_input))
    packed, sums = scratch[:packed_size], scratch[packed_size:]
    for t in range(work[0], work[1]):
        n = t // (bands * strips)
        band = t // strips % bands
        ow = t % strips * columns
        oh = band * R
        if along_columns:
            tail = (min(OW - ow, columns) - 1) % V + 1
            extent = ((min(OW - ow, columns) + V - 1) // V, V, tail)
        else:
            extent = (min(R, OH - oh), min(V, OW - ow), min(V, OW - ow))
        mode = RESIDUAL if with_residual else (WHOLE if extent == (R, V, V) else 0)
        for b in range(len(block_channels) - 1):
            if block_visits[b, work[2]] == block_visits[b, work[3]]:
                continue
            at = 0
            for c in range(block_channels[b], block_channels[b + 1]):
                plane = (n * C + c) * H
                for kw in range(kernel_w):
                    for j in range(len(row_input)):
                        ih = oh * stride_h - top + row_input[j]
                        iw = (ow + row_shift[j]) * stride_w - left + kw * dilation_w
                        if ih < 0 or ih >= H:
                            copy_lanes(lanes, packed, at, x, 0, 0, 0)
                        elif stride_w == 1:
                            first = (plane + ih) * W + iw
                            if kw == 0:
                                prefetch(x, first + ahead)
                            if iw >= 0 and iw + V <= W:
                                copy_vector(lanes, packed, at, x, first)
                            else:
                                copy_lanes(lanes, packed, at, x, first, max(0, -iw), max(0, min(V, W - iw)))
                        else:
                            base = (plane + ih) * W
                            for lane in range(V):
                                w = iw + lane * stride_w
                                packed[at + lane] = x[base + w] if 0 <= w < W else np.float32(0)
                        at += V
            for v in range(block_visits[b, work[2]], block_visits[b, work[3]]):
                m = channel[v]
                first = ((n * M + m) * OH + oh) * OW + ow
                visit(
                    rows, lanes, packed, sums, m * R * V, y, residual, first, pitch, extent, offset, code, codebook,
                    (start[v], start[v + 1]), flags[v] | mode, (scale[m], shift[m], bounds[0], bounds[1]),
                )  # fmt: skip
