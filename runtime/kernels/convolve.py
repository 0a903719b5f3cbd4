"""Sparse convolution: tiles of outputs, blocks of packed inputs, visits of output channels."""

from __future__ import annotations

import numpy as np

from . import pack
from ._atomic import add_at, call_at, code_of, number_at
from ._jit import jit
from ._memory import address
from .order import FACTS, NEXT, OTHER, PIECES, PLACES, SCRATCH, WORK, X, Y
from .pack import pack_rows
from .visits import PARTIAL, RESIDUAL, TASK

ROWS, FLAT, DIRECT = 0, 1, 2
"""Shapes of a tile: ``R`` output rows of ``V`` columns; ``R * V`` positions of the flattened plane; the same, read in place."""

GEOMETRY, SPANS, TILE, PREPARED, BLOCKS, BLOCK_CHANNELS, BLOCK_VISITS, PARTS, PACKER = range(FACTS, FACTS + 9)
"""Numbers of an order beside those of every one: addresses of geometry and ``spans``; the code of the tile and what it
reads the same in every run, see :mod:`~tersor.runtime.kernels.visits`; blocks, and the addresses of what a
:class:`~tersor.runtime.kernels.stream.Stream` says of them; parts of the channels; the code that packs flat tiles. ``x`` is
(N·C·H·W,), ``y`` and a residual are (N·M·OH·OW,)."""


@jit
def convolver(lanes):
    """Address of the code that carries out an order, given by its address, for vectors of ``len(lanes)`` outputs."""
    return code_of(lanes, convolve)


@jit
def convolve(lanes, order):
    """Take pieces of the work of the order at address ``order``, int64 as above, until none is left.

    A piece is (first tile, last tile, first part of the output channels, last part). Each thread takes one of the places in
    scratch memory: packed block, sums, image of one channel. The geometry is described where it is made, in
    :class:`~tersor.runtime.kernels.conv.Conv`.
    """
    scratch_bytes = 4 * number_at(number_at(order, GEOMETRY), 20)
    scratch = number_at(order, SCRATCH) + add_at(order + 8 * PLACES, 1) * scratch_bytes
    task, packing, prepared = np.empty(TASK, np.int64), np.empty(pack.PACKING, np.int64), number_at(order, PREPARED)
    for i in range(TASK):  # an assignment of arrays would take seconds to compile, for its error message
        task[i] = number_at(prepared, i)
    piece = add_at(order + 8 * NEXT, 1)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 32 * piece
        first, last = number_at(work, 0), number_at(work, 1)
        for t in range(first, last):
            _convolve_tile(lanes, order, task, packing, scratch, t, number_at(work, 2), number_at(work, 3))
        piece = add_at(order + 8 * NEXT, 1)


@jit
def _convolve_tile(lanes, order, task, packing, packed, t, first_part, last_part):
    """Compute tile ``t`` for some parts of the output channels. Block ``b`` packs the input channels ``block_channels[b : b +
    2]``; its visits for part ``p`` are ``block_visits[b, p : p + 2]``."""
    V, geometry = len(lanes), number_at(order, GEOMETRY)
    C, H, W = number_at(geometry, 0), number_at(geometry, 1), number_at(geometry, 2)
    M, OH, OW = number_at(geometry, 3), number_at(geometry, 4), number_at(geometry, 5)
    shape, R, other = number_at(geometry, 14), number_at(geometry, 15), number_at(order, OTHER)
    plane, out = H * W, OH * OW
    columns = V if shape == ROWS else R * V
    strips = (OW + V - 1) // V if shape == ROWS else (out + columns - 1) // columns
    bands = (OH + R - 1) // R if shape == ROWS else 1
    n = t // (bands * strips)
    oh, ow = t // strips % bands * R, t % strips * columns
    first = oh * OW + ow
    inside = oh + R <= OH and ow + V <= OW if shape == ROWS else first + columns <= out
    place = 4 * (n * M * out + first)
    task[1] = packed + 4 * number_at(geometry, 16)
    task[3] = number_at(order, Y) + place
    task[4] = other + place if other != 0 else task[3]
    task[5], task[6] = out, OW if shape == ROWS else V
    task[7] = (RESIDUAL if other != 0 else 0) | (0 if inside else PARTIAL)
    task[10], task[11] = (OW - ow, 0) if shape == ROWS else (out - first, V)
    task[12] = min(R, OH - oh if shape == ROWS else (out - first + V - 1) // V)
    packing[pack.TARGET], packing[pack.IMAGE] = packed, packed + 4 * (number_at(geometry, 16) + number_at(geometry, 17))
    packing[pack.FIRST], packing[pack.COLUMNS], packing[pack.GEOMETRY] = first, columns, geometry
    channels, visits, cuts = number_at(order, BLOCK_CHANNELS), number_at(order, BLOCK_VISITS), number_at(order, PARTS) + 1
    for b in range(number_at(order, BLOCKS)):
        task[8], task[9] = number_at(visits, b * cuts + first_part), number_at(visits, b * cuts + last_part)
        if task[8] == task[9]:
            continue
        count = number_at(channels, b + 1) - number_at(channels, b)
        source = number_at(order, X) + 4 * (n * C + number_at(channels, b)) * plane
        task[0] = source + 4 * first if shape == DIRECT else packed
        if shape == ROWS:
            target = packed
            for c in range(count):
                target = pack_rows(lanes, target, source + 4 * c * plane, oh, ow, geometry, number_at(order, SPANS))
        elif shape == FLAT:
            packing[pack.SOURCE], packing[pack.CHANNELS], packing[pack.AFTER] = source, count, C - number_at(channels, b + 1)
            call_at(number_at(order, PACKER), address(packing))
        call_at(number_at(order, TILE), address(task))
