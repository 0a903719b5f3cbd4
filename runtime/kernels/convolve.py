"""Sparse convolution: tiles of outputs, blocks of packed inputs, visits of output channels."""

from __future__ import annotations

import numpy as np

from . import pack
from . import visits as visit
from ._atomic import call_at, code_of, number_at
from ._jit import jit
from ._memory import address
from .geometry import OH, OW, C, H, M, W
from .layout import DIRECT, FLAT, ROWS
from .order import FACTS, OTHER, PIECES, SCRATCH, WORK, X, Y
from .pack import pack_rows
from .team import take

SHAPE, VECTORS, COLUMNS, PACKED, SUMS, PLACE = range(pack.KINDS + 1, pack.KINDS + 7)
"""Numbers of the geometry beside those that packing reads: the tile's shape, vectors and columns (of rows, or of the flattened
plane); floats of a packed block, of sums, and of a place in scratch memory."""

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
def convolve(lanes, order, member):
    """Take pieces of the work of the order at address ``order``, int64 as above, until none is left.

    A piece is (first tile, last tile, first part of the output channels, last part). Each thread takes one of the places in
    scratch memory: packed block, sums, image of one channel. The geometry is described where it is made, in
    :class:`~tersor.runtime.kernels.conv.Conv`.
    """
    scratch_bytes = 4 * number_at(number_at(order, GEOMETRY), PLACE)
    scratch = number_at(order, SCRATCH) + member * scratch_bytes
    task, packing, prepared = np.empty(visit.TASK, np.int64), np.empty(pack.PACKING, np.int64), number_at(order, PREPARED)
    for i in range(visit.TASK):  # an assignment of arrays would take seconds to compile, for its error message
        task[i] = number_at(prepared, i)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 32 * piece
        first, last = number_at(work, 0), number_at(work, 1)
        for t in range(first, last):
            _convolve_tile(lanes, order, task, packing, scratch, t, number_at(work, 2), number_at(work, 3))
        piece = take(order, member)


@jit
def _convolve_tile(lanes, order, task, packing, packed, t, first_part, last_part):
    """Compute tile ``t`` for some parts of the output channels. Block ``b`` packs the input channels ``block_channels[b : b +
    2]``; its visits for part ``p`` are ``block_visits[b, p : p + 2]``."""
    V, geometry = len(lanes), number_at(order, GEOMETRY)
    inputs, height, width = number_at(geometry, C), number_at(geometry, OH), number_at(geometry, OW)
    shape, R, other = number_at(geometry, SHAPE), number_at(geometry, VECTORS), number_at(order, OTHER)
    plane, out = number_at(geometry, H) * number_at(geometry, W), height * width
    columns, by_rows = number_at(geometry, COLUMNS), shape == ROWS
    strips = ((width if by_rows else out) + columns - 1) // columns
    bands = (height + R - 1) // R if by_rows else 1
    n = t // (bands * strips)
    oh, ow = t // strips % bands * R, t % strips * columns
    first = oh * width + ow
    inside = first + columns <= out
    if by_rows:  # where sums were shifted, stores have a mask anyhow
        inside = oh + R <= height and (ow + columns <= width or columns < len(lanes))
    place, sums = 4 * (n * number_at(geometry, M) * out + first), packed + 4 * number_at(geometry, PACKED)
    task[visit.SUMS], task[visit.OUTPUTS] = sums, number_at(order, Y) + place
    task[visit.OTHER] = other + place if other != 0 else task[visit.OUTPUTS]
    task[visit.PLANE], task[visit.PITCH] = out, width if by_rows else V
    task[visit.MODE] = (visit.RESIDUAL if other != 0 else 0) | (0 if inside else visit.PARTIAL)
    task[visit.LANES_LEFT], task[visit.FEWER] = (min(columns, width - ow), 0) if by_rows else (out - first, V)
    task[visit.VECTORS_LEFT] = min(R, height - oh if by_rows else (out - first + V - 1) // V)
    packing[pack.TARGET], packing[pack.IMAGE] = packed, sums + 4 * number_at(geometry, SUMS)
    packing[pack.FIRST], packing[pack.COLUMNS], packing[pack.GEOMETRY] = first, columns, geometry
    channels, visits, cuts = number_at(order, BLOCK_CHANNELS), number_at(order, BLOCK_VISITS), number_at(order, PARTS) + 1
    for b in range(number_at(order, BLOCKS)):
        begin, end = number_at(visits, b * cuts + first_part), number_at(visits, b * cuts + last_part)
        if begin == end:
            continue
        task[visit.BEGIN], task[visit.END] = begin, end
        count = number_at(channels, b + 1) - number_at(channels, b)
        source = number_at(order, X) + 4 * (n * inputs + number_at(channels, b)) * plane
        task[visit.INPUTS] = source + 4 * first if shape == DIRECT else packed
        if by_rows:
            target = packed
            for c in range(count):
                target = pack_rows(lanes, target, source + 4 * c * plane, oh, ow, geometry, number_at(order, SPANS))
        elif shape == FLAT:
            packing[pack.SOURCE], packing[pack.CHANNELS] = source, count
            packing[pack.AFTER] = inputs - number_at(channels, b + 1)
            call_at(number_at(order, PACKER), address(packing))
        call_at(number_at(order, TILE), address(task))
