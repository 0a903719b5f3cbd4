"""Sparse convolution: a register tile of outputs walks the stream of an output channel's nonzero weights.

A *tile* is ``R`` vectors of ``V`` lanes of outputs, held in registers. Inputs are packed, per block of channels, so that the
vectors which one weight meets are ``R`` consecutive, aligned vectors: a weight is then a 16-bit offset and a codebook index,
and costs ``R`` fused multiply-adds whatever the kernel, stride, dilation or padding. ``R`` and ``V`` are compile-time
constants carried by the lengths of two tuples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from ._deferred import types
from ._jit import jit
from ._vector import (
    F32,
    I64,
    call,
    copy_lanes,
    copy_vector,
    element_pointer,
    gather_lanes,
    intrinsic,
    lanes_below,
    masked_load,
    masked_store,
    prefetch,
    splat,
    vector_pointer,
)

FIRST, LAST = 1, 2
"""Flags of a visit: the channel's sums start from zero; they are finished and stored."""

PREFETCHED = 24
"""Vectors, at least, by which the packing loop asks for its inputs ahead of time (in whole channels)."""

RESIDUAL, WHOLE = 4, 8
"""Flags of a tile: a residual is added; every lane is an output and nothing is added."""

FIRST, LAST = 1, 2
"""Flags of a visit: the channel's sums start from zero; they are finished and stored."""

PREFETCHED = 24
"""Vectors, at least, by which the packing loop asks for its inputs ahead of time (in whole channels)."""

RESIDUAL, WHOLE = 4, 8
"""Flags of a tile: a residual is added; every lane is an output and nothing is added."""


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
            value = b.load(vector_pointer(b, sums, ir.Constant(I64, r * self.lanes), self.vector))
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
        weight = splat(b, self._weight(code, codebook, i), self.lanes)
        inputs = b.gep(packed, [where])
        added = []
        for r, phi in enumerate(sums):
            value = b.load(vector_pointer(b, inputs, ir.Constant(I64, r * self.lanes), self.vector))
            value.align = 4 * self.lanes
            added.append(call(b, f"llvm.fma.v{self.lanes}f32", self.vector, [weight, value, phi]))
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
            stored = b.store(value, vector_pointer(b, kept, ir.Constant(I64, r * self.lanes), self.vector))
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
        value = call(b, f"llvm.fma.v{self.lanes}f32", self.vector, [value, scale, shift])
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
        kept = element_pointer(context, b, kinds[3], sums, sums_at)
        stream = tuple(element_pointer(context, b, kinds[k], a, zero) for k, a in ((10, offset), (11, code), (12, codebook)))
        used, wide, tail = (b.extract_value(extent, k) for k in range(3))

        def flag(bit: int) -> Any:
            return b.icmp_unsigned("!=", b.and_(flags, ir.Constant(I64, bit)), zero)

        def store(r: int, value: Any) -> None:
            number = ir.Constant(I64, r)
            ending = b.select(b.icmp_signed("==", b.add(number, ir.Constant(I64, 1)), used), tail, wide)
            mask = lanes_below(b, b.select(b.icmp_signed("<", number, used), ending, zero), width)
            at = b.add(y_at, b.mul(pitch, number))
            other = b.and_(mask, splat(b, flag(RESIDUAL), width))
            added = masked_load(b, element_pointer(context, b, kinds[6], residual, at), other, tile.vector)
            masked_store(b, tile.epilogue(value, vectors, added), element_pointer(context, b, kinds[5], y, at), mask)

        def store_plainly(r: int, value: Any) -> None:
            at = b.add(y_at, b.mul(pitch, ir.Constant(I64, r)))
            target = vector_pointer(b, element_pointer(context, b, kinds[5], y, at), zero, tile.vector)
            b.store(tile.epilogue(value, vectors), target).align = 4

        start = tile.start(kept, flag(FIRST))
        source = element_pointer(context, b, kinds[2], packed, zero)
        done = tile.walk(start, source, stream, b.extract_value(span, 0), b.extract_value(span, 1))  # type: ignore[arg-type]
        vectors = tuple(splat(b, b.extract_value(affine, k), width) for k in range(4))
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
                            first = (plane + ih) * W
                            if iw >= 0 and iw + (V - 1) * stride_w < W:
                                gather_lanes(lanes, packed, at, x, first + iw, stride_w)
                            else:
                                for lane in range(V):
                                    w = iw + lane * stride_w
                                    packed[at + lane] = x[first + w] if 0 <= w < W else np.float32(0)
                        at += V
            for v in range(block_visits[b, work[2]], block_visits[b, work[3]]):
                m = channel[v]
                first = ((n * M + m) * OH + oh) * OW + ow
                visit(
                    rows, lanes, packed, sums, m * R * V, y, residual, first, pitch, extent, offset, code, codebook,
                    (start[v], start[v + 1]), flags[v] | mode, (scale[m], shift[m], bounds[0], bounds[1]),
                )  # fmt: skip
