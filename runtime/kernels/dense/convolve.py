"""The pieces of a dense convolution: some positions of an image's outputs, for some chunks of output channels.

Inputs are packed as the rows of a matrix, one for each input channel and kernel position, a block of channels at a time that
fits a second-level cache, and multiplied chunk after chunk of output channels.
"""

from __future__ import annotations

import numpy as np

from .._atomic import add_at, call_at, code_of, number_at
from .._jit import jit
from .._memory import address
from ..multiply import CODEBOOK as LOOKED_UP
from ..multiply import FIRST, INPUTS, PITCH, ROWS, STEP, SUMS, TASK, UNIT, UNITS
from ..multiply import WEIGHTS as MULTIPLIED
from ..order import NEXT, OTHER, PIECES, PLACES, SCRATCH, WORK, X, Y
from ..pack import pack_positions
from ..pieces import BOUNDS, CODEBOOK, GEOMETRY, MULTIPLIERS, SCALE, SHIFT, WEIGHTS
from ._emit import finish_vector

C, H, W, M, OH, OW, TAPS, BLOCK, CHUNK, TOGETHER, MOST, PACKED, SUM, PLACE = (0, 1, 2, 3, 4, 5, *range(19, 27))
"""Numbers of the geometry, beside those that packing reads: positions in the kernel; input channels of a block; output channels
of a chunk, and those multiplied at once; vectors multiplied at once, at most; elements of packed inputs and of sums in scratch
memory; bytes of a place there."""


@jit
def dense_convolver(lanes):
    """Address of the code that carries out an order, given by its address, with vectors of ``len(lanes)`` outputs."""
    return code_of(lanes, multiply_pieces)


@jit
def multiply_pieces(lanes, order):
    """Take pieces of the work of the order at address ``order``, see :mod:`~tersor.runtime.kernels.pieces`, until none is left.

    A piece is (image, first position, last position, first chunk of the output channels, last chunk). Each thread takes one of
    the places in scratch memory: packed inputs, sums, image of one channel.
    """
    geometry = number_at(order, GEOMETRY)
    place = number_at(order, SCRATCH) + add_at(order + 8 * PLACES, 1) * number_at(geometry, PLACE)
    task = np.empty(TASK, np.int64)
    piece = add_at(order + 8 * NEXT, 1)
    while piece < number_at(order, PIECES):
        _multiply_piece(lanes, order, geometry, task, place, number_at(order, WORK) + 40 * piece)
        piece = add_at(order + 8 * NEXT, 1)


@jit
def _multiply_piece(lanes, order, geometry, task, packed, work):
    """Compute the piece described at ``work``. Sums of one chunk are kept where one block holds all inputs, else of all."""
    V, n, first, last = len(lanes), number_at(work, 0), number_at(work, 1), number_at(work, 2)
    sums = packed + 4 * number_at(geometry, PACKED)
    image = sums + 4 * number_at(geometry, SUM)
    columns = (last - first + V - 1) // V * V
    chunk_size, channels, block = number_at(geometry, CHUNK), number_at(geometry, C), number_at(geometry, BLOCK)
    first_channel, end = number_at(work, 3) * chunk_size, min(number_at(work, 4) * chunk_size, number_at(geometry, M))
    kept = 4 * columns if block < channels else 0
    plane = 4 * number_at(geometry, H) * number_at(geometry, W)
    for c in range(0, channels, block):
        count = min(block, channels - c)
        source = number_at(order, X) + (n * channels + c) * plane
        pack_positions(lanes, packed, image, source, count, first, columns, geometry)
        for m in range(first_channel, end, chunk_size):
            together = min(chunk_size, end - m)
            target = sums + (m - first_channel) * kept
            _multiply_chunk(lanes, packed, target, m, together, c, count, columns, order, geometry, task)
            if c + count == channels:
                _finish(lanes, target, n, m, together, first, last, order, geometry)


@jit
def _multiply_chunk(lanes, packed, sums, m, together, c, count, columns, order, geometry, task):
    """Add the products of ``count`` input channels from ``c`` on to ``sums``, those of output channels from ``m`` on."""
    V, T, taps, codebook = len(lanes), number_at(geometry, TOGETHER), number_at(geometry, TAPS), number_at(order, CODEBOOK)
    rows, all_rows = count * taps, number_at(geometry, C) * taps
    task[STEP], task[ROWS], task[PITCH], task[FIRST] = columns, rows, columns, c == 0
    task[UNITS], task[UNIT], task[LOOKED_UP] = (together + T - 1) // T, all_rows * T, codebook
    weights = number_at(order, WEIGHTS) + (m // T * all_rows + c * taps) * T * (1 if codebook != 0 else 4)
    vectors, most = columns // V, number_at(geometry, MOST)
    parts = (vectors + most - 1) // most
    for part in range(parts):
        begin, end = vectors * part // parts, vectors * (part + 1) // parts
        task[INPUTS], task[MULTIPLIED], task[SUMS] = packed + 4 * begin * V, weights, sums + 4 * begin * V
        call_at(number_at(number_at(order, MULTIPLIERS), end - begin), address(task))


@jit
def _finish(lanes, sums, n, m, together, first, last, order, geometry):
    """Write the outputs ``[first, last)`` of ``together`` channels from ``m`` on."""
    V, out = len(lanes), number_at(geometry, OH) * number_at(geometry, OW)
    for t in range(together):
        affine = (number_at(order, SCALE) + 4 * (m + t), number_at(order, SHIFT) + 4 * (m + t), number_at(order, BOUNDS))
        plane = 4 * ((n * number_at(geometry, M) + m + t) * out + first)
        target, residual = number_at(order, Y) + plane, number_at(order, OTHER) + plane
        for i in range(0, last - first, V):
            finish_vector(lanes, target + 4 * i, sums, residual + 4 * i, number_at(order, OTHER), last - first - i, affine)
            sums += 4 * V
