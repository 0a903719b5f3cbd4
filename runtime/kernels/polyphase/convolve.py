"""The pieces of a strided convolution by polyphase components: some pairs of neighbouring outputs of an image, for some chunks
of output channels.

The inputs of the products are packed as the rows of four matrices, one for each of the sums that outputs are made of, for all
input channels at once, and multiplied chunk after chunk of output channels. Pairs are numbered row after row.
"""

from __future__ import annotations

import numpy as np

from .. import multiply as product
from .._atomic import call_at, code_of, number_at
from .._jit import jit
from .._memory import address, prefetch_written
from ..geometry import DILATION_H, KERNEL_H, OH, OW, OWN, PHASE, STRIDE_H, STRIDE_W, TOP, C, H, M, W
from ..order import OTHER, PIECES, SCRATCH, WORK, X, Y
from ..pack import pack_image, put_zeros
from ..pieces import BOUNDS, GEOMETRY, MULTIPLIERS, SCALE, SHIFT, WEIGHTS
from ..team import take
from ._emit import finish_channel, transform_band
from .terms import OUTPUTS, SUMS

CHUNK, TOGETHER, MOST, PACKED, SUM, PLACE, PRODUCTS, GROUPS = *range(OWN, OWN + 7), OWN + 6 + SUMS
"""Numbers of the geometry, whose outputs of a row are pairs, beside those of every convolution: output channels of a chunk, and
those multiplied at once; vectors multiplied at once, at most; elements of packed inputs and of sums in scratch memory; bytes of
a place there; products of a row of the kernel that are added to each of the sums; how many groups of its taps there are, and of
each group the numbers that follow."""

TAPS, COMPONENT, NUMBER, GROUP = range(4)
"""Numbers of a group: how many taps it has; the phase of an image, see :func:`~tersor.runtime.kernels.pack.pack_image`, and the
element of it that the first pair's first tap meets. Length of a group."""


@jit
def polyphase_convolver(lanes):
    """Address of the code that carries out an order, given by its address, with vectors of ``len(lanes)`` pairs."""
    return code_of(lanes, convolve_pieces)


@jit
def convolve_pieces(lanes, order, member):
    """Take pieces of the work of the order at address ``order``, see :mod:`~tersor.runtime.kernels.pieces`, until none is left.

    A piece is (image, first pair, last pair, first chunk of the output channels, last chunk). Each thread takes one of the
    places in scratch memory: packed inputs, sums, image of one channel.
    """
    geometry = number_at(order, GEOMETRY)
    place = number_at(order, SCRATCH) + member * number_at(geometry, PLACE)
    task, ends = np.empty(product.TASK, np.int64), np.empty(SUMS, np.int64)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 40 * piece
        n, first, last = number_at(work, 0), number_at(work, 1), number_at(work, 2)
        _pack_pairs(lanes, order, geometry, place, ends, n, first, last)
        chunk = number_at(geometry, CHUNK)
        for m in range(number_at(work, 3) * chunk, min(number_at(work, 4) * chunk, number_at(geometry, M)), chunk):
            _multiply_chunk(lanes, order, geometry, task, place, n, m, first, last)
        piece = take(order, member)


@jit
def _pack_pairs(lanes, order, geometry, packed, ends, n, first, last):
    """Pack what the products of the pairs ``[first, last)`` read: rows of whole vectors, matrix after matrix, a vector apart:
    what is written over a row's end is not another matrix's."""
    V, across, channels = len(lanes), number_at(geometry, OW), number_at(geometry, C)
    columns = (last - first + V - 1) // V * V
    row, column, rows = first // across, first % across, number_at(geometry, KERNEL_H) * channels
    head = min(across - column, last - first) if column > 0 else 0
    bands = head, (last - first - head) // across, (last - first - head) % across
    down, apart = number_at(geometry, STRIDE_H), number_at(geometry, DILATION_H)
    lines = (column + last - first - 1) // across * down + (number_at(geometry, KERNEL_H) - 1) * apart + 1
    image = packed + 4 * (number_at(geometry, PACKED) + number_at(geometry, SUM))
    length, size = number_at(geometry, PHASE), 4 * number_at(geometry, H) * number_at(geometry, W)
    pitch = 4 * length * number_at(geometry, STRIDE_W)
    ends[0] = packed
    for k in range(1, SUMS):
        ends[k] = ends[k - 1] + 4 * (columns * rows * number_at(geometry, PRODUCTS + k - 1) + V)
    for c in range(channels):
        plane, top = number_at(order, X) + (n * channels + c) * size, row * down - number_at(geometry, TOP)
        pack_image(lanes, image, plane, top, lines, length, geometry)
        for kh in range(number_at(geometry, KERNEL_H)):
            line = image + pitch * kh * apart
            for k in range(number_at(geometry, GROUPS)):
                group = geometry + 8 * (GROUPS + 1 + GROUP * k)
                _pack_group(lanes, group, ends, columns, line, length, pitch * down, column, across, bands)


@jit
def _pack_group(lanes, group, ends, columns, line, length, pitch, column, across, bands):
    """Pack the inputs of the products of a group of taps, a row of ``columns`` elements for each: at ``ends``, (SUMS,) int64
    addresses, which move on. ``line`` is the image's first row that the pairs meet, ``pitch`` bytes before the next one."""
    taps, targets = number_at(group, TAPS), (ends[0], ends[1], ends[2], ends[3])
    source = line + 4 * (number_at(group, COMPONENT) * length + number_at(group, NUMBER))
    _transform(lanes, taps, targets, source, pitch, column, across, bands)
    count = bands[0] + bands[1] * across + bands[2]
    for k in range(SUMS):
        if k in (0, SUMS - 1) or k < taps:
            if count < columns:
                put_zeros(lanes, ends[k] + 4 * count, 4 * len(lanes), 1)
            ends[k] += 4 * columns


@jit
def _transform(lanes, taps, targets, source, pitch, column, across, bands):
    """Write the inputs of products for the pairs of the ``bands``: how many of the first row, from ``column`` on, how many
    whole rows of ``across`` pairs, and how many of another row."""
    (t0, t1, t2, t3), begin = targets, 4 * OUTPUTS * column
    for band in range(3):
        length, count = (across, bands[1]) if band == 1 else (bands[band], 1)
        if length > 0 and count > 0:
            transform_band(lanes, taps, (t0, t1, t2, t3), source + begin, pitch, length, count)
            size, source, begin = 4 * length * count, source + count * pitch, 0
            t0, t1, t2, t3 = t0 + size, t1 + size, t2 + size, t3 + size


@jit
def _multiply_chunk(lanes, order, geometry, task, packed, n, m, first, last):
    """Compute the outputs of the chunk of channels from ``m`` on, at the pairs ``[first, last)``."""
    V, T, channels, most = len(lanes), number_at(geometry, TOGETHER), number_at(geometry, M), number_at(geometry, MOST)
    together = min(number_at(geometry, CHUNK), channels - m)
    columns = (last - first + V - 1) // V * V
    rows, sums = number_at(geometry, KERNEL_H) * number_at(geometry, C), packed + 4 * number_at(geometry, PACKED)
    inputs, weights, step = packed, number_at(order, WEIGHTS), 4 * columns * number_at(geometry, CHUNK)
    task[product.STEP], task[product.PITCH], task[product.FIRST] = columns, columns, 1
    task[product.UNITS] = (together + T - 1) // T
    plane, other = OUTPUTS * number_at(geometry, OH) * number_at(geometry, OW), number_at(order, OTHER)
    outputs = 4 * ((n * channels + m) * plane + OUTPUTS * first)
    vectors = columns // V
    parts = (vectors + most - 1) // most
    for point in range(SUMS):
        products = rows * number_at(geometry, PRODUCTS + point)
        task[product.ROWS], task[product.UNIT] = products, products * T
        task[product.WEIGHTS] = weights + 4 * m * products
        for part in range(parts):
            begin, end = vectors * part // parts, vectors * (part + 1) // parts
            earlier, later = together * point // SUMS, together * (point + 1) // SUMS  # some at a time: they come from afar
            y = number_at(order, Y) + outputs + 4 * (earlier * plane + OUTPUTS * begin * V)
            prefetch_written(y, 4 * plane, OUTPUTS * (end - begin) * V, later - earlier)
            task[product.INPUTS], task[product.SUMS] = inputs + 4 * begin * V, sums + point * step + 4 * begin * V
            call_at(number_at(number_at(order, MULTIPLIERS), end - begin), address(task))
        inputs, weights = inputs + 4 * (columns * products + V), weights + 4 * ((channels + T - 1) // T * T) * products
    for t in range(together):
        affine = number_at(order, SCALE) + 4 * (m + t), number_at(order, SHIFT) + 4 * (m + t), number_at(order, BOUNDS)
        at, source, count = outputs + 4 * t * plane, sums + 4 * t * columns, OUTPUTS * (last - first)
        finish_channel(lanes, number_at(order, Y) + at, source, step, other + at, other, count, affine)
