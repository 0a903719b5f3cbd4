"""Sparse convolution: tiles of outputs, blocks of packed inputs, visits of output channels."""

from __future__ import annotations

import numpy as np

from ....emit.memory import address
from ....jit.jitted import jit
from ....orders.atomic import call_at, code_of, number_at
from ....orders.order import FACTS, OTHER, PIECES, SCRATCH, WORK, X, Y
from ....orders.team import take, take_part
from .. import pack
from ..geometry import OH, OW, C, H, M, W
from ..layout import DIRECT, FLAT, ROWS
from ..pack import pack_rows
from . import visits as visit

SHAPE, VECTORS, COLUMNS, PACKED, SUMS, PLACE, WHOLE, TILES, PARTS, AT_ONCE, TURNED, RESULTS = range(
    pack.KINDS + 1, pack.KINDS + 13
)
"""Numbers of the geometry beside those that packing reads: the tile's shape, vectors and columns (of rows, or of the flattened
plane); floats of a packed block, of sums, and of a place in scratch memory; tiles that are done by one thread each, which come
before those that all threads share, and all tiles; parts that the output channels are cut into, and how many of them a thread
does at once, at most, of a tile that is shared; whether every second thread writes its channels in another order, see
:func:`_begin_behind`; elements that are written of a channel: its outputs, or their mean."""

GEOMETRY, SPANS, TILE, PREPARED, BLOCKS, BLOCK_CHANNELS, BLOCK_VISITS, PACKER = range(FACTS, FACTS + 8)
"""Numbers of an order beside those of every one: addresses of geometry and ``spans``; the code of the tile and what it
reads the same in every run, see :mod:`~tersor.runtime.kernels.conv.sparse.visits`; blocks, and the addresses of what a
:class:`~tersor.runtime.kernels.conv.sparse.stream.Stream` says of them; the code that packs flat tiles. ``x`` is
(N·C·H·W,), ``y`` and a residual are (N·M·OH·OW,)."""


@jit
def convolver(lanes):
    """Address of the code that carries out an order, given by its address, for vectors of ``len(lanes)`` outputs."""
    return code_of(lanes, convolve)


@jit
def convolve(lanes, order, member):
    """Take pieces of the work of the order at address ``order``, int64 as above, until none is left: all parts of some tiles.
    Then take parts of the tiles that are shared.

    A piece is (first tile, last tile). Each thread takes one of the places in scratch memory: packed block, sums, image of one
    channel. The geometry is described where it is made, in :class:`~tersor.runtime.kernels.conv.sparse.conv.SparseConv`.
    """
    geometry, prepared = number_at(order, GEOMETRY), number_at(order, PREPARED)
    scratch, parts = number_at(order, SCRATCH) + 4 * member * number_at(geometry, PLACE), number_at(geometry, PARTS)
    task, packing, runs = np.empty(visit.TASK, np.int64), np.empty(pack.PACKING, np.int64), np.empty(2 * parts, np.int64)
    for i in range(visit.TASK):  # an assignment of arrays would take seconds to compile, for its error message
        task[i] = number_at(prepared, i)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 16 * piece
        for t in range(number_at(work, 0), number_at(work, 1)):
            runs[0], runs[1] = 0, parts
            _convolve_tile(lanes, order, task, packing, scratch, t, runs, 0, member)
        piece = take(order, member)
    for t in range(number_at(geometry, WHOLE), number_at(geometry, TILES)):
        part = take_part(order, t - number_at(geometry, WHOLE), parts, member)
        while part < parts:
            runs[0], runs[1] = part, part + 1
            _convolve_tile(lanes, order, task, packing, scratch, t, runs, number_at(geometry, AT_ONCE) - 1, member)
            part = take_part(order, t - number_at(geometry, WHOLE), parts, member)


@jit
def _convolve_tile(lanes, order, task, packing, packed, t, runs, more, member):
    """Compute tile ``t`` for the parts of the output channels in the first of the ``runs``, (first, last) of each, and for at
    most ``more`` parts, which are taken one by one while the first block is visited: so each thread has as many as it does in
    the time of the others, though it packs every block once. Block ``b`` is the input channels ``block_channels[b : b +
    2]``; its visits for part ``p`` are ``block_visits[b, p : p + 2]``."""
    geometry, count, parts = number_at(order, GEOMETRY), 1, number_at(number_at(order, GEOMETRY), PARTS)
    _place_tile(lanes, order, geometry, task, packing, packed, t)
    for b in range(number_at(order, BLOCKS)):
        visits, ready, i = number_at(order, BLOCK_VISITS) + 8 * b * (parts + 1), False, 0
        while i < count:
            task[visit.BEGIN], task[visit.END] = number_at(visits, runs[2 * i]), number_at(visits, runs[2 * i + 1])
            if task[visit.BEGIN] < task[visit.END]:
                if not ready:
                    _pack_block(lanes, order, geometry, task, packing, packed, t, b)
                    ready = True
                if number_at(geometry, TURNED) * member % 2 == 1 and b == number_at(order, BLOCKS) - 1:
                    _begin_behind(order, task)
                call_at(number_at(order, TILE), address(task))
            i += 1
            if b == 0 and i == count <= more:
                part = take_part(order, t - number_at(geometry, WHOLE), parts, member)
                if part < parts:
                    runs[2 * count], runs[2 * count + 1] = part, part + 1
                    count += 1
        if b == 0:
            count = _joined(runs, count)


@jit
def _begin_behind(order, task):
    """Make the second half of the visits of ``task``, which are left with the first half. Where each thread has one tile, they
    are channel for channel next to one another, and share cache lines, for planes do not begin with one: two threads must not
    want the same ones at the same time."""
    begin, end = task[visit.BEGIN], task[visit.END]
    task[visit.BEGIN] = (begin + end) // 2
    call_at(number_at(order, TILE), address(task))
    task[visit.BEGIN], task[visit.END] = begin, (begin + end) // 2


@jit
def _joined(runs, count):
    """Join those of ``count`` runs that are neighbours one after another; returns how many are left."""
    last = 0
    for i in range(1, count):
        begin, end = runs[2 * i], runs[2 * i + 1]
        if begin == runs[2 * last + 1]:
            runs[2 * last + 1] = end
        elif end == runs[2 * last]:
            runs[2 * last] = begin
        else:
            last += 1
            runs[2 * last], runs[2 * last + 1] = begin, end
    return last + 1


@jit
def _corner(geometry, t):
    """(image, row, column) of the first output of tile ``t``; of the flattened plane, row 0."""
    height, width = number_at(geometry, OH), number_at(geometry, OW)
    R, columns, by_rows = number_at(geometry, VECTORS), number_at(geometry, COLUMNS), number_at(geometry, SHAPE) == ROWS
    strips = ((width if by_rows else height * width) + columns - 1) // columns
    bands = (height + R - 1) // R if by_rows else 1
    return t // (bands * strips), t // strips % bands * R, t % strips * columns


@jit
def _place_tile(lanes, order, geometry, task, packing, packed, t):
    """Note in ``task`` and ``packing`` what is the same in every block of tile ``t``."""
    V, R, other = len(lanes), number_at(geometry, VECTORS), number_at(order, OTHER)
    height, width, columns = number_at(geometry, OH), number_at(geometry, OW), number_at(geometry, COLUMNS)
    by_rows, out = number_at(geometry, SHAPE) == ROWS, height * width
    n, oh, ow = _corner(geometry, t)
    first = oh * width + ow
    inside = first + columns <= out
    if by_rows:  # where sums were shifted, stores have a mask anyhow
        inside = oh + R <= height and (ow + columns <= width or columns < V)
    results, sums = number_at(geometry, RESULTS), packed + 4 * number_at(geometry, PACKED)
    place = 4 * (n * number_at(geometry, M) * results + first)
    task[visit.SUMS], task[visit.OUTPUTS] = sums, number_at(order, Y) + place
    task[visit.OTHER] = other + place if other != 0 else task[visit.OUTPUTS]
    task[visit.PLANE], task[visit.PITCH] = results, width if by_rows else V
    task[visit.MODE] = (visit.RESIDUAL if other != 0 else 0) | (0 if inside else visit.PARTIAL)
    task[visit.LANES_LEFT], task[visit.FEWER] = (min(columns, width - ow), 0) if by_rows else (out - first, V)
    task[visit.VECTORS_LEFT] = min(R, height - oh if by_rows else (out - first + V - 1) // V)
    packing[pack.TARGET], packing[pack.IMAGE] = packed, sums + 4 * number_at(geometry, SUMS)
    packing[pack.FIRST], packing[pack.COLUMNS], packing[pack.GEOMETRY] = first, columns, geometry


@jit
def _pack_block(lanes, order, geometry, task, packing, packed, t, b):
    """Pack the inputs of block ``b`` for tile ``t``, and note in ``task`` where they are."""
    n, oh, ow = _corner(geometry, t)
    shape, channels, inputs = number_at(geometry, SHAPE), number_at(order, BLOCK_CHANNELS), number_at(geometry, C)
    first, last, plane = number_at(channels, b), number_at(channels, b + 1), number_at(geometry, H) * number_at(geometry, W)
    source = number_at(order, X) + 4 * (n * inputs + first) * plane
    task[visit.INPUTS] = source + 4 * ow if shape == DIRECT else packed
    if shape == ROWS:
        target = packed
        for c in range(last - first):
            target = pack_rows(lanes, target, source + 4 * c * plane, oh, ow, geometry, number_at(order, SPANS))
    elif shape == FLAT:
        packing[pack.SOURCE], packing[pack.CHANNELS], packing[pack.AFTER] = source, last - first, inputs - last
        call_at(number_at(order, PACKER), address(packing))
