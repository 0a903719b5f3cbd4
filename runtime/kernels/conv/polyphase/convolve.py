"""The pieces of a strided convolution by polyphase components: some pairs of neighbouring outputs of an image, for some chunks
of output channels.

The inputs of the products are packed as *lines*: one for each product of a kernel's row, for each input channel and each phase
of the input rows. Pairs are numbered row after row, so what one row of the kernel meets, and what the one a stride below meets,
are the same line from other rows on. Lines of the four sums that outputs are made of lie apart. They are multiplied chunk after
chunk of output channels, as many vectors at a time as there are registers for.
"""

from __future__ import annotations

import numpy as np

from ....emit.memory import address, prefetch_written
from ....jit.jitted import jit
from ....orders.atomic import call_at, code_of, number_at
from ....orders.order import OTHER, PIECES, SCRATCH, WORK, X, Y
from ....orders.team import take
from ...tiles import multiply as product
from ..geometry import DILATION_H, KERNEL_H, OH, OW, OWN, PHASE, STRIDE_H, STRIDE_W, TOP, C, H, M, W
from ..pack import pack_image, put_zeros
from ..pieces import BOUNDS, GEOMETRY, MULTIPLIERS, SCALE, SHIFT, WEIGHTS
from .emit import finish_channel, transform_band
from .terms import OUTPUTS, SUMS

CHUNK, TOGETHER, MOST, PACKED, SUM, PLACE, ROOM, PHASES, OFFSETS, PRODUCTS, GROUPS = *range(OWN, OWN + 10), OWN + 9 + SUMS
"""Numbers of the geometry, whose outputs of a row are pairs, beside those of every convolution: output channels of a chunk, and
those multiplied at once; vectors multiplied at once, at most; elements of packed inputs and of sums in scratch memory; bytes of
a place there; elements of a line; phases of input rows; the address of the bytes, int64, from the first line of a sum to what
each product meets, sum after sum; products of a row of the kernel that are added to each of the sums; how many groups of its
taps there are, and of each group the numbers that follow."""

TAPS, COMPONENT, NUMBER, GROUP = range(4)
"""Numbers of a group: how many taps it has; the phase of an image, see :func:`..pack.pack_image`, and the
element of it that the first pair's first tap meets. Length of a group."""


@jit
def polyphase_convolver(lanes):
    """Address of the code that carries out an order, given by its address, with vectors of ``len(lanes)`` pairs."""
    return code_of(lanes, convolve_pieces)


@jit
def convolve_pieces(lanes, order, member):
    """Take pieces of the work of the order at address ``order``, see :mod:`..pieces`, until none is left.

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
    """Pack what the products of the pairs ``[first, last)`` read: lines that begin with the first pair's row."""
    across, channels, down = number_at(geometry, OW), number_at(geometry, C), number_at(geometry, STRIDE_H)
    row, apart, phases = first // across, number_at(geometry, DILATION_H), number_at(geometry, PHASES)
    rows = ((last - 1) // across - row) * down + (number_at(geometry, KERNEL_H) - 1) * apart + 1
    image = packed + 4 * (number_at(geometry, PACKED) + number_at(geometry, SUM))
    length, size = number_at(geometry, PHASE), 4 * number_at(geometry, H) * number_at(geometry, W)
    pitch = 4 * length * number_at(geometry, STRIDE_W)
    ends[0] = packed
    for k in range(1, SUMS):
        lines = channels * phases * number_at(geometry, PRODUCTS + k - 1)
        ends[k] = ends[k - 1] + 4 * lines * number_at(geometry, ROOM)
    for c in range(channels):
        plane, top = number_at(order, X) + (n * channels + c) * size, row * down - number_at(geometry, TOP)
        pack_image(lanes, image, plane, top, 0, rows, length, geometry)
        for kh in range(phases):
            begin = kh * apart % down
            line, count = image + pitch * begin, (rows - begin + down - 1) // down
            for k in range(number_at(geometry, GROUPS)):
                group = geometry + 8 * (GROUPS + 1 + GROUP * k)
                _pack_group(lanes, group, ends, number_at(geometry, ROOM), line, length, pitch * down, across, count)


@jit
def _pack_group(lanes, group, ends, room, line, length, pitch, across, count):
    """Pack the inputs of the products of a group of taps, a line of ``room`` elements for each, which are those for ``across``
    pairs of each of ``count`` rows: at ``ends``, (SUMS,) int64 addresses, which move on. ``line`` is the image's first row that
    the pairs meet, ``pitch`` bytes before the next one."""
    taps, targets = number_at(group, TAPS), (ends[0], ends[1], ends[2], ends[3])
    source = line + 4 * (number_at(group, COMPONENT) * length + number_at(group, NUMBER))
    transform_band(lanes, taps, targets, source, pitch, across, count)
    for k in range(SUMS):
        if k in (0, SUMS - 1) or k < taps:
            put_zeros(lanes, ends[k] + 4 * across * count, 4 * len(lanes), 1)  # the last vector of pairs reaches over the end
            ends[k] += 4 * room


@jit
def _multiply_chunk(lanes, order, geometry, task, packed, n, m, first, last):
    """Compute the outputs of the chunk of channels from ``m`` on, at the pairs ``[first, last)``: as many vectors of them at a
    time as are multiplied at once."""
    V, channels, most = len(lanes), number_at(geometry, M), number_at(geometry, MOST)
    together, vectors = min(number_at(geometry, CHUNK), channels - m), (last - first + V - 1) // V
    plane, sums = OUTPUTS * number_at(geometry, OH) * number_at(geometry, OW), packed + 4 * number_at(geometry, PACKED)
    start, other = 4 * ((n * channels + m) * plane + OUTPUTS * first), number_at(order, OTHER)
    parts = (vectors + most - 1) // most
    for part in range(parts):
        begin, end = V * (vectors * part // parts), V * (vectors * (part + 1) // parts)
        outputs, inputs = start + 4 * OUTPUTS * begin, packed + 4 * (first % number_at(geometry, OW) + begin)
        step, count = 4 * (end - begin) * number_at(geometry, CHUNK), OUTPUTS * (min(last - first, end) - begin)
        task[product.PITCH], task[product.SUMS] = end - begin, sums
        _sum_products(lanes, order, geometry, task, inputs, m, together, number_at(order, Y) + outputs)
        for t in range(together):
            affine = number_at(order, SCALE) + 4 * (m + t), number_at(order, SHIFT) + 4 * (m + t), number_at(order, BOUNDS)
            at, source = outputs + 4 * t * plane, sums + 4 * t * (end - begin)
            finish_channel(lanes, number_at(order, Y) + at, source, step, other + at, other, count, affine)


@jit
def _sum_products(lanes, order, geometry, task, inputs, m, together, y):
    """Add up the four sums, one behind the other, of ``together`` channels from ``m`` on: for as many pairs, and from the place
    on, as ``task`` says. ``inputs`` is the first line at the first pair, ``y`` where its outputs will be written."""
    T, channels, pairs = number_at(geometry, TOGETHER), number_at(geometry, M), task[product.PITCH]
    weights, offsets, plane = number_at(order, WEIGHTS), number_at(geometry, OFFSETS), 4 * OUTPUTS * number_at(geometry, OH)
    plane *= number_at(geometry, OW)
    task[product.FIRST], task[product.UNITS] = 1, (together + T - 1) // T
    for point in range(SUMS):
        lines, earlier = number_at(geometry, PRODUCTS + point), together * point // SUMS
        products, asked = (
            number_at(geometry, KERNEL_H) * number_at(geometry, C) * lines,
            together * (point + 1) // SUMS - earlier,
        )
        prefetch_written(y + earlier * plane, plane, OUTPUTS * pairs, asked)  # not all at once: they come from afar
        task[product.ROWS], task[product.UNIT], task[product.STEP] = products, products * T, offsets
        task[product.INPUTS], task[product.WEIGHTS] = inputs, weights + 4 * m * products
        call_at(number_at(number_at(order, MULTIPLIERS), pairs // len(lanes)), address(task))
        task[product.SUMS] += 4 * pairs * number_at(geometry, CHUNK)
        inputs += 4 * number_at(geometry, C) * number_at(geometry, PHASES) * lines * number_at(geometry, ROOM)
        weights, offsets = weights + 4 * ((channels + T - 1) // T * T) * products, offsets + 8 * products
