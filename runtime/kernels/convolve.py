"""Sparse convolution: tiles of outputs, blocks of packed inputs, visits of output channels."""

from __future__ import annotations

import numpy as np

from ._jit import jit
from ._memory import address
from .pack import pack_flat, pack_image, pack_line, pack_rows
from .visits import PARTIAL, RESIDUAL, TASK, call_visits

ROWS, FLAT, DIRECT = 0, 1, 2
"""Shapes of a tile: ``R`` output rows of ``V`` columns; ``R * V`` positions of the flattened plane; the same, read in place."""


@jit
def convolve(lanes, tile, task, x, y, residual, scratch, geometry, row_input, block_channels, block_visits, work):
    """Compute the tiles ``[work[0], work[1])`` for the parts ``[work[2], work[3])`` of the output channels.

    ``x`` (N·C·H·W,), ``y`` and ``residual`` (N·M·OH·OW,; ``y`` when there is none) float32; ``scratch`` float32, 64-byte
    aligned: packed block, sums, image of one channel. ``geometry`` is int64, see
    :class:`~tersor.runtime.kernels.conv.Conv`, and most of the rest is of
    :class:`~tersor.runtime.kernels.stream.Stream`. Block ``b`` packs the input channels ``block_channels[b : b + 2]``; its
    visits for part ``p`` are ``block_visits[b, p : p + 2]``. ``tile`` is the address of the code that makes them, and ``task``
    what it reads the same in every run (see :mod:`~tersor.runtime.kernels.visits`).
    """
    V = len(lanes)
    C, H, W, M, OH, OW = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4], geometry[5]
    stride_h, top, image_pitch = geometry[6], geometry[8], geometry[19]
    shape, R, packed_size, with_residual = geometry[14], geometry[15], geometry[16], geometry[17] != 0
    plane, out = H * W, OH * OW
    columns = V if shape == ROWS else R * V
    strips = (OW + V - 1) // V if shape == ROWS else (out + columns - 1) // columns
    bands = (OH + R - 1) // R if shape == ROWS else 1
    pitch = OW if shape == ROWS else V
    inputs, outputs, others, packed = address(x), address(y), address(residual), address(scratch)
    sums, image = packed + 4 * packed_size, packed + 4 * (packed_size + geometry[18])
    own = np.empty(TASK, np.int64)
    for i in range(TASK):  # an assignment of arrays would take seconds to compile, for its error message
        own[i] = task[i]
    own[1] = sums
    for t in range(work[0], work[1]):
        n = t // (bands * strips)
        oh, ow = t // strips % bands * R, t % strips * columns
        first = oh * OW + ow
        inside = oh + R <= OH and ow + V <= OW if shape == ROWS else first + columns <= out
        place = 4 * (n * M * out + first)
        own[3], own[4] = outputs + place, others + place
        own[5], own[6] = out, pitch
        own[7] = (RESIDUAL if with_residual else 0) | (0 if inside else PARTIAL)
        own[10], own[11], own[12] = (OW - ow, 0, OH - oh) if shape == ROWS else (out - first, V, R)
        row, column, count = first // OW, first % OW, min(columns, out - first)
        rows = (column + count - 1) // OW * stride_h + (geometry[10] - 1) * geometry[12] + 1
        for b in range(len(block_channels) - 1):
            begin, end = block_visits[b, work[2]], block_visits[b, work[3]]
            if begin == end:
                continue
            source = inputs + 4 * (n * C + block_channels[b]) * plane
            target = packed
            if shape == ROWS:
                for c in range(block_channels[b + 1] - block_channels[b]):
                    target = pack_rows(lanes, target, source + 4 * c * plane, oh, ow, geometry, row_input)
            elif shape == FLAT:
                for c in range(block_channels[b + 1] - block_channels[b]):
                    channel_at = source + 4 * c * plane
                    if image_pitch == 0:
                        target = pack_line(lanes, target, channel_at + 4 * first, count, columns)
                    else:
                        pack_image(lanes, image, channel_at, row * stride_h - top, rows, image_pitch, geometry)
                        target = pack_flat(lanes, target, image, image_pitch, column, count, columns, geometry)
            own[0] = source + 4 * first if shape == DIRECT else packed
            own[8], own[9] = begin, end
            call_visits(tile, address(own))
