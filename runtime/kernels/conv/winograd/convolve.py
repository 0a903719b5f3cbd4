"""The pieces of a convolution by Winograd's method: some tiles of an image, for some chunks of output channels.

Of a piece, the inputs are transformed once and stay in the second-level cache. Chunk after chunk, kernels are transformed,
multiplied with them, and the sums transformed back. Weights are kept as codes: transformed ones take up to 16 times the memory,
and longer to read than to make.
"""

from __future__ import annotations

import numpy as np

from ....emit.finish import finish_rows
from ....emit.memory import address, copy_lanes, prefetch_written
from ....jit.jitted import jit
from ....orders.atomic import call_at, code_of, number_at
from ....orders.order import OTHER, PIECES, SCRATCH, WORK, X, Y
from ....orders.team import take
from ...tiles.multiply import FIRST, INPUTS, PITCH, ROWS, STEP, SUMS, TASK, UNIT, UNITS
from ...tiles.multiply import WEIGHTS as KERNELS
from ..geometry import LEFT, OH, OW, OWN, TOP, C, H, M, W
from ..pieces import BOUNDS, CODEBOOK, GEOMETRY, MULTIPLIERS, SCALE, SHIFT, WEIGHTS
from .emit import finish_maxima, transform_columns, transform_outputs, transform_rows, transform_weights
from .lone import gather_tile, keep_tile, multiply_tile
from .transforms import OUTPUTS, POINTS, PRODUCTS, TAPS

ACROSS, LINE, INPUTS_STEP, WEIGHTS_STEP, SUMS_STEP, BLOCK, CHUNK, TOGETHER, MOST, LONE_STEP, KEPT, PLACE = range(OWN, OWN + 12)
"""Numbers of the geometry beside those of every convolution: tiles in a row of an image, those beyond its end included;
elements of a row of inputs or outputs on their way; elements between the inputs, weights and sums of one product and the next;
input channels of a block; output channels of a chunk, and those multiplied at once; vectors multiplied at once, at most;
elements between the sums of one product and the next of a tile that is left over, 0 when none is; elements between the
transformed weights of one chunk and the next, 0 where they are not kept for the next piece; bytes of a place in scratch
memory."""


@jit
def winograd_convolver(lanes, halved):
    """Address of the code that carries out an order, given by its address, with vectors of ``len(lanes)`` tiles. ``halved`` is
    empty where all outputs are written, and not the largest of each 2 x 2."""
    return code_of((lanes, halved), convolve_pieces)


@jit
def convolve_pieces(kinds, order, member):
    """Take pieces of the work of the order at address ``order``, see :mod:`..pieces`, until none is left.

    A piece is (image, first tile, last tile, first chunk of the output channels, last chunk). Each thread takes one of the
    places in scratch memory.
    """
    geometry = number_at(order, GEOMETRY)
    place = number_at(order, SCRATCH) + member * number_at(geometry, PLACE)
    task, chunk = np.empty(TASK, np.int64), number_at(geometry, CHUNK)
    ready = np.zeros((number_at(geometry, M) + chunk - 1) // chunk, np.uint8)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        _convolve_piece(kinds, order, geometry, task, ready, place, number_at(order, WORK) + 40 * piece)
        piece = take(order, member)


@jit
def _convolve_piece(kinds, order, geometry, task, ready, line, work):
    """Compute the piece described at ``work``; ``ready`` says of which chunks the weights have been transformed.

    Scratch memory: six rows of inputs, or four of outputs, transformed inputs, weights, sums; the last of one chunk where one
    block holds all input channels, else of all output channels; then what a lone tile needs: 36 vectors, inputs of a block,
    sums of all output channels.
    """
    lanes, n, first, last = kinds[0], number_at(work, 0), number_at(work, 1), number_at(work, 2)
    V = len(lanes)
    inputs = line + 4 * POINTS * number_at(geometry, LINE)
    weights = inputs + 4 * PRODUCTS * number_at(geometry, INPUTS_STEP)
    sums = weights + 4 * PRODUCTS * number_at(geometry, WEIGHTS_STEP)
    plane = 4 * number_at(geometry, H) * number_at(geometry, W)
    image = number_at(order, X) + n * number_at(geometry, C) * plane
    for i in range(0, POINTS * number_at(geometry, LINE), V):  # lanes that are no tile's are computed too: of numbers, at least
        copy_lanes(lanes, line + 4 * i, line, 0, 0)
    channels, block, chunk = number_at(geometry, C), number_at(geometry, BLOCK), number_at(geometry, CHUNK)
    first_channel, stop = number_at(work, 3) * chunk, min(number_at(work, 4) * chunk, number_at(geometry, M))
    lone = number_at(geometry, LONE_STEP) != 0 and (last - first) % V == 1
    last -= lone
    vectors, across = (last - first + V - 1) // V, number_at(geometry, ACROSS)
    place, lone_place = (first // across, first % across), (last // across, last % across)  # divisions take long: once for all
    kept = 4 * vectors * V if block < channels else 0
    tile = sums + 4 * PRODUCTS * number_at(geometry, SUMS_STEP)
    tile_inputs, step = tile + 4 * PRODUCTS * V, number_at(geometry, INPUTS_STEP)
    tile_sums = tile_inputs + 4 * PRODUCTS * block
    for c in range(0, channels, block):
        count = min(block, channels - c)
        for i in range(count):
            source = image + (c + i) * plane
            _transform_channel(lanes, line, inputs + 4 * i * vectors * V, step, source, place, last - first, geometry)
            if lone:
                _transform_channel(lanes, line, tile, V, source, lone_place, 1, geometry)
                keep_tile(tile, tile_inputs + 4 * i, V, block)
        for begin in range(first_channel, stop, chunk):
            end, target = min(begin + chunk, stop), sums + (begin - first_channel) * kept
            number = begin // chunk
            kernels = weights + 4 * number * number_at(geometry, KEPT)
            if not ready[number]:
                _transform_kernels(lanes, kernels, begin, end, c, count, order, geometry)
                ready[number] = number_at(geometry, KEPT) != 0
            _multiply(lanes, inputs, kernels, target, vectors, end - begin, c, count, order, geometry, task)
            if lone:
                own, apart = tile_sums + 4 * begin, number_at(geometry, LONE_STEP)
                multiply_tile(tile_inputs, block, kernels, number_at(geometry, WEIGHTS_STEP), own, apart, order, task)
            if c + count == channels:
                for m in range(begin, end):
                    source, channel = target + 4 * (m - begin) * vectors * V, n * number_at(geometry, M) + m
                    _finish_channel(kinds, line, source, channel, m, place, last - first, order, geometry)
                    if lone:
                        _finish_lone(kinds, line, tile, tile_sums + 4 * m, channel, m, lone_place, order, geometry)


@jit
def _transform_channel(lanes, line, target, step, plane, place, tiles, geometry):
    """Transform the inputs of ``tiles`` tiles of one channel from the (row, column) ``place`` on, those of one product ``step``
    elements from those of the next; zeros fill up the last vector."""
    V, height, width, across = len(lanes), number_at(geometry, H), number_at(geometry, W), number_at(geometry, ACROSS)
    length = number_at(geometry, LINE)
    if tiles % V != 0:
        for i in range(PRODUCTS):
            copy_lanes(lanes, target + 4 * (i * step + tiles // V * V), target, 0, 0)
    (row, column), made = place, 0
    while made < tiles:
        count = min(across - column, tiles - made)
        top, left = OUTPUTS * row - number_at(geometry, TOP), OUTPUTS * column - number_at(geometry, LEFT)
        for begin in range(0, OUTPUTS * count + TAPS - 1, V):
            columns = (max(0, -left - begin), max(0, min(V, width - left - begin)))
            source = plane + 4 * (top * width + left + begin)
            transform_rows(lanes, line + 4 * begin, length, source, width, (-top, height - top), columns)
        for i in range(POINTS):
            for done in range(0, count, V):
                to = target + 4 * (POINTS * i * step + made + done)
                transform_columns(lanes, to, step, line + 4 * (i * length + OUTPUTS * done))
        row, column, made = row + 1, 0, made + count


@jit
def _transform_kernels(lanes, target, begin, end, c, count, order, geometry):
    """Transform the kernels of the output channels ``[begin, end)`` and of ``count`` input channels from ``c`` on; ``begin``
    and ``c`` are multiples of those that one unit, and one vector of it, has."""
    V, together, codebook = len(lanes), number_at(geometry, TOGETHER), number_at(order, CODEBOOK)
    all_groups, groups = (number_at(geometry, C) * together + V - 1) // V, (count * together + V - 1) // V
    size = TAPS * TAPS * V * (1 if codebook != 0 else 4)
    for unit in range(begin // together, (end + together - 1) // together):
        source = number_at(order, WEIGHTS) + (unit * all_groups + c * together // V) * size
        for _ in range(groups):
            if codebook != 0:
                transform_weights(lanes, (1,), target, number_at(geometry, WEIGHTS_STEP), source, codebook)
            else:
                transform_weights(lanes, (), target, number_at(geometry, WEIGHTS_STEP), source, codebook)
            source += size
            target += 4 * V


@jit
def _multiply(lanes, inputs, weights, sums, vectors, channels, c, count, order, geometry, task):
    """Add the products of ``count`` input channels from ``c`` on, ``vectors`` vectors of tiles, to the sums of ``channels``
    output channels."""
    V, together, most = len(lanes), number_at(geometry, TOGETHER), number_at(geometry, MOST)
    parts = (vectors + most - 1) // most
    task[STEP], task[ROWS], task[PITCH], task[FIRST] = vectors * V, count, vectors * V, c == 0
    task[UNITS], task[UNIT] = (channels + together - 1) // together, (count * together + V - 1) // V * V
    least, larger = vectors // parts, vectors % parts
    for i in range(PRODUCTS):
        begin = 0
        for part in range(parts):
            these = least + (part < larger)
            task[INPUTS] = inputs + 4 * (i * number_at(geometry, INPUTS_STEP) + begin * V)
            task[KERNELS] = weights + 4 * i * number_at(geometry, WEIGHTS_STEP)
            task[SUMS] = sums + 4 * (i * number_at(geometry, SUMS_STEP) + begin * V)
            call_at(number_at(number_at(order, MULTIPLIERS), these), address(task))
            begin += these


@jit
def _finish_channel(kinds, line, sums, channel, m, place, tiles, order, geometry):
    """Transform the sums of ``tiles`` tiles back, from the (row, column) ``place`` on: of output channel ``m``, plane
    ``channel`` of the outputs. ``line`` is memory for four rows of sums."""
    lanes, halved, across = kinds[0], kinds[1], number_at(geometry, ACROSS)
    V, step, length, (row, column), made = len(lanes), number_at(geometry, SUMS_STEP), number_at(geometry, LINE), place, 0
    _ask_for(halved, channel, place, tiles, order, geometry)
    for first in range(0, tiles, V):
        transform_outputs(lanes, line + 4 * OUTPUTS * first, length, sums + 4 * first, step)
    while made < tiles:
        count = min(across - column, tiles - made)
        _write_tiles(kinds, line + 4 * OUTPUTS * made, length, channel, m, row, column, count, order, geometry)
        row, column, made = row + 1, 0, made + count


@jit
def _ask_for(halved, channel, place, tiles, order, geometry):
    """Ask for what ``tiles`` tiles from the (row, column) ``place`` on will be written to."""
    apart, (row, column), across = (2 if len(halved) else 1), place, number_at(geometry, ACROSS)
    height, width, size = number_at(geometry, OH) // apart, number_at(geometry, OW) // apart, OUTPUTS // apart
    first, reach = size * (row * width + column), min(size * tiles, width - size * column)
    rows = size * ((column + tiles + across - 1) // across)
    prefetch_written(number_at(order, Y) + 4 * (channel * height * width + first), 4 * width, reach, rows)


@jit
def _write_tiles(kinds, sums, pitch, channel, m, row, column, count, order, geometry):
    """Write what becomes of four rows of sums, ``pitch`` elements apart, of ``count`` tiles of a row from a column on."""
    (lanes, halved), other = kinds, number_at(order, OTHER)
    affine = (number_at(order, SCALE) + 4 * m, number_at(order, SHIFT) + 4 * m, number_at(order, BOUNDS))
    apart = 2 if len(halved) else 1
    height, width, size = number_at(geometry, OH) // apart, number_at(geometry, OW) // apart, OUTPUTS // apart
    at = 4 * (channel * height * width + size * (row * width + column))
    room = (min(size, height - size * row), min(size * count, width - size * column))
    if len(halved):
        finish_maxima(lanes, number_at(order, Y) + at, width, sums, pitch, room, affine)
    else:
        finish_rows(lanes, number_at(order, Y) + at, width, sums, pitch, other + at, other, room, affine)


@jit
def _finish_lone(kinds, line, tile, sums, channel, m, place, order, geometry):
    """As :func:`_finish_channel`, for the tile that is left over, at ``tile``."""
    lanes, (row, column) = kinds[0], place
    gather_tile(lanes, tile, sums, number_at(geometry, LONE_STEP))
    transform_outputs(lanes, line, OUTPUTS * len(lanes), tile, len(lanes))
    _write_tiles(kinds, line, OUTPUTS * len(lanes), channel, m, row, column, 1, order, geometry)
