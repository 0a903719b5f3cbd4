"""The pieces of a dense convolution: some positions of an image's outputs, for some chunks of output channels.

Inputs are packed as the rows of a matrix, one for each input channel and kernel position, a block of channels at a time that
fits a second-level cache, and multiplied chunk after chunk of output channels.
"""

from __future__ import annotations

import numpy as np

from ....emit.finish import finish_rows
from ....emit.memory import address
from ....jit.jitted import jit
from ....orders.atomic import call_at, code_of, number_at
from ....orders.order import OTHER, PIECES, SCRATCH, WORK, X, Y
from ....orders.team import take
from ...tiles import multiply as product
from .. import pack
from ..geometry import OH, OW, OWN, C, H, M, W
from ..pieces import BOUNDS, CODEBOOK, GEOMETRY, MULTIPLIERS, PACKER, SCALE, SHIFT, WEIGHTS

TAPS, BLOCK, CHUNK, TOGETHER, MOST, PACKED, SUM, PLACE, LONE = range(OWN, OWN + 9)
"""Numbers of the geometry beside those of every convolution: positions in the kernel; input channels of a block; output
channels of a chunk, and those multiplied at once; vectors multiplied at once, at most; elements of packed inputs and of sums
in scratch memory; bytes of a place there; positions behind the last vector, which are multiplied together with it."""


@jit
def dense_convolver(lanes):
    """Address of the code that carries out an order, given by its address, with vectors of ``len(lanes)`` outputs."""
    return code_of(lanes, multiply_pieces)


@jit
def multiply_pieces(lanes, order, member):
    """Take pieces of the work of the order at address ``order``, see :mod:`..pieces`, until none is left.

    A piece is (image, first position, last position, first chunk of the output channels, last chunk). Each thread takes one of
    the places in scratch memory: packed inputs, sums, image of one channel.
    """
    geometry = number_at(order, GEOMETRY)
    place = number_at(order, SCRATCH) + member * number_at(geometry, PLACE)
    task, packing = np.empty(product.TASK, np.int64), np.empty(pack.PACKING, np.int64)
    packing[pack.GEOMETRY] = geometry
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 40 * piece
        positions = number_at(work, 0), number_at(work, 1), number_at(work, 2)
        chunks = number_at(work, 3), number_at(work, 4)
        _multiply_positions(lanes, order, geometry, task, packing, place, positions, chunks)
        piece = take(order, member)


@jit
def _multiply_positions(lanes, order, geometry, task, packing, packed, positions, chunks):
    """Compute the outputs at ``positions``, (image, first, last), for the ``chunks``, (first, last), of the output channels.
    Sums of one chunk are kept where one block holds all inputs, else of all."""
    V, (n, first, last), plane = len(lanes), positions, number_at(geometry, OH) * number_at(geometry, OW)
    image, other = 4 * n * number_at(geometry, M) * plane, number_at(order, OTHER)
    y, other = number_at(order, Y) + image, other + image if other != 0 else other
    sums = packed + 4 * number_at(geometry, PACKED)
    columns = (last - first + V - 1) // V * V
    packing[pack.TARGET], packing[pack.IMAGE] = packed, sums + 4 * number_at(geometry, SUM)
    packing[pack.FIRST], packing[pack.COLUMNS] = first, columns
    chunk_size, channels, block = number_at(geometry, CHUNK), number_at(geometry, C), number_at(geometry, BLOCK)
    first_channel, end = chunks[0] * chunk_size, min(chunks[1] * chunk_size, number_at(geometry, M))
    kept = 4 * columns if block < channels else 0
    size = 4 * number_at(geometry, H) * number_at(geometry, W)
    task[product.PLANE] = plane
    for c in range(0, channels, block):
        count = min(block, channels - c)
        packing[pack.SOURCE] = number_at(order, X) + (n * channels + c) * size
        packing[pack.CHANNELS], packing[pack.AFTER] = count, channels - c - count
        call_at(number_at(order, PACKER), address(packing))
        for m in range(first_channel, end, chunk_size):
            together = min(chunk_size, end - m)
            target = sums + (m - first_channel) * kept
            at, left = 4 * (m * plane + first), last - first if c + count == channels else 0
            outputs = y + at, other + at if other != 0 else other
            _multiply_chunk(lanes, packed, target, m, together, c, count, columns, outputs, left, order, geometry, task)


@jit
def _multiply_chunk(lanes, packed, sums, m, together, c, count, columns, outputs, left, order, geometry, task):
    """Add the products of ``count`` input channels from ``c`` on to ``sums``, those of output channels from ``m`` on; where
    these are complete, write ``left`` (else 0) outputs of each channel, from the first of the addresses ``outputs`` on, the
    residual's being the second."""
    V, T, taps, codebook = len(lanes), number_at(geometry, TOGETHER), number_at(geometry, TAPS), number_at(order, CODEBOOK)
    rows, all_rows = count * taps, number_at(geometry, C) * taps
    task[product.STEP], task[product.ROWS], task[product.PITCH], task[product.FIRST] = columns, rows, columns, c == 0
    task[product.UNITS], task[product.UNIT], task[product.CODEBOOK] = (together + T - 1) // T, all_rows * T, codebook
    task[product.WEIGHTS] = number_at(order, WEIGHTS) + (m // T * all_rows + c * taps) * T * (1 if codebook != 0 else 4)
    task[product.SCALE], task[product.SHIFT] = number_at(order, SCALE) + 4 * m, number_at(order, SHIFT) + 4 * m
    task[product.BOUNDS], task[product.CHANNELS] = number_at(order, BOUNDS), together
    lone = number_at(geometry, LONE) > 0 and left % V != 0
    vectors, most, (y, other) = columns // V - lone, number_at(geometry, MOST), outputs
    parts = (vectors + most - 1) // most
    for part in range(parts):
        begin, end = vectors * part // parts, vectors * (part + 1) // parts
        at = 4 * begin * V
        whole = end * V <= left
        task[product.INPUTS], task[product.SUMS] = packed + at, sums + at
        task[product.OUTPUTS] = y + at if whole else 0
        task[product.RESIDUAL] = other + at if other != 0 else 0
        code = 0 if lone and end == vectors else end - begin
        call_at(number_at(number_at(order, MULTIPLIERS), code), address(task))
        if left > 0 and not whole:
            _finish(lanes, sums + at, columns, y + at, task[product.RESIDUAL], left - begin * V, task)


@jit
def _finish(lanes, sums, pitch, y, other, count, task):
    """Write ``count`` outputs of each channel of a task whose sums have been kept: from address ``y`` on, the residual's being
    ``other``, 0 when there is none."""
    for t in range(task[product.CHANNELS]):
        affine = (task[product.SCALE] + 4 * t, task[product.SHIFT] + 4 * t, task[product.BOUNDS])
        at, source = 4 * t * task[product.PLANE], sums + 4 * t * pitch
        finish_rows(lanes, y + at, 0, source, 0, other + at, other, (1, count), affine)
