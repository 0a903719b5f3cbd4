"""Inputs of a convolution laid out so that a weight at any kernel position meets consecutive aligned vectors.

Places in memory are addresses in bytes, those of ``geometry`` and ``spans`` too, which are int64; sizes and steps are elements
of float32, unless they are said to be bytes.

What packs positions is machine code of its own, given by its address to the kernels that need it: it is compiled once for all.
Where there is padding, one vector of each of many rows is copied before the next vector of any: which of its lanes are padding
is the same in all.
"""

from __future__ import annotations

from functools import cache

from ...emit.column import copy_band, copy_column, copy_line
from ...emit.memory import copy_lanes, prefetch_rows
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from .geometry import DILATION_H, DILATION_W, KERNEL_H, KERNEL_W, LEFT, OH, OW, OWN, PHASE, STRIDE_H, STRIDE_W, TOP, H, W

PREFETCHED = 24
"""Cache lines, at least, by which packing asks for its inputs ahead of time (in whole channels)."""

LINE = 64
"""Bytes of a cache line."""

ROWS, KINDS = OWN, OWN + 1
"""Numbers of the geometry, of tiles of rows: vectors of a channel in each copy, and how many spans there are. There is a copy
for each column of the kernel; where sums are shifted, the geometry has fewer columns, further apart."""

TARGET, IMAGE, SOURCE, CHANNELS, AFTER, FIRST, COLUMNS, GEOMETRY = range(8)
"""Numbers of a task of :func:`pack_positions`, int64: addresses of what is packed, of room for a channel as :func:`pack_image`
copies it, and of the inputs' first channel; channels, and those that lie behind them; first position of the flattened output,
and how many; the address of the geometry."""

PACKING = 8
"""Length of such a task."""


@jit
def _inside(first, step, count, size):
    """(begin, end) of the numbers i < ``count`` for which ``first + i * step`` is in ``[0, size)``: few are not, and a division
    takes longer than a few comparisons."""
    begin, end = 0, count
    while begin < end and first + begin * step < 0:
        begin += 1
    while begin < end and first + (end - 1) * step >= size:
        end -= 1
    return begin, end


@jit
def put_zeros(lanes, target, step, count):
    """Write ``count`` vectors of zeros, ``step`` bytes apart; returns where another would be."""
    if count <= 0:  # mostly, and a call takes longer than the question
        return target
    if count == 1:  # or than one vector
        copy_lanes(lanes, target, target, 0, 0)
        return target + step
    return copy_column(lanes, target, step, target, 0, 1, 0, 0, count)


@jit
def pack_rows(lanes, target, plane, oh, ow, geometry, spans):
    """Pack one channel for output rows from ``oh`` on, columns ``[ow, ow + V)``.

    For each column of the geometry there are the vectors of each of the ``spans``: a first input row, relative to the tile's
    first, and how many rows, ``stride_h`` apart. The channel starts at ``plane``; returns where the next channel is packed.
    """
    V = len(lanes)
    height, width, rows = number_at(geometry, H), number_at(geometry, W), number_at(geometry, ROWS)
    stride_h, stride_w = number_at(geometry, STRIDE_H), number_at(geometry, STRIDE_W)
    ahead, pitch = 4 * height * width * ((PREFETCHED + rows - 1) // rows), 4 * stride_h * width
    for kw in range(number_at(geometry, KERNEL_W)):
        column = ow * stride_w - number_at(geometry, LEFT) + kw * number_at(geometry, DILATION_W)
        low, high = max(0, -column), max(0, min(stride_w * V, width - column))
        for kind in range(number_at(geometry, KINDS)):
            ih = oh * stride_h - number_at(geometry, TOP) + number_at(spans, 2 * kind)
            count = number_at(spans, 2 * kind + 1)
            begin, end = _inside(ih, stride_h, count, height)
            row = plane + 4 * ((ih + begin * stride_h) * width + column)
            if kw == 0:
                prefetch_rows(row + ahead, pitch, 1, end - begin)
            target = put_zeros(lanes, target, 4 * V, begin)
            target = copy_column(lanes, target, 4 * V, row, pitch, stride_w, low, high, end - begin)
            target = put_zeros(lanes, target, 4 * V, count - end)
    return target


@jit
def pack_image(lanes, image, plane, top_row, first, rows, length, geometry):
    """Copy ``rows`` rows of a channel from ``top_row`` on, with zeros where the padding is, from what output ``first`` of a row
    meets on.

    A row is its *phases*, one behind the other: every ``stride_w``-th element from the first on, from the second on, and so on.
    Each has ``length`` elements, whole vectors. A phase that no column of the kernel meets is left as it is.
    """
    stride, apart = number_at(geometry, STRIDE_W), number_at(geometry, DILATION_W)
    for column in range(min(stride, number_at(geometry, KERNEL_W))):
        phase = column * apart % stride
        target, further = image + 4 * phase * length, first * stride + phase
        _pack_copy(lanes, target, 4 * length * stride, plane, top_row, rows, length, further, geometry)


@jit
def pack_copies(lanes, image, pitch, plane, top_row, rows, length, copies, geometry):
    """As :func:`pack_image`, but a row, ``pitch`` bytes before the next one, is ``copies``, (count, apart), of every
    ``stride_w``-th element: each begins so many elements further than the one before."""
    for copy in range(copies[0]):
        target = image + 4 * copy * length
        _pack_copy(lanes, target, pitch, plane, top_row, rows, length, copy * copies[1], geometry)


@jit
def _pack_copy(lanes, target, pitch, plane, top_row, rows, length, further, geometry):
    """Write every ``stride_w``-th element of some rows, from the one that is ``further`` than the first on."""
    V, width, stride = len(lanes), number_at(geometry, W), number_at(geometry, STRIDE_W)
    begin = min(rows, max(0, -top_row))
    end = max(begin, min(rows, number_at(geometry, H) - top_row))
    for number in range(0, length, V):
        column = number * stride + further - number_at(geometry, LEFT)
        low, high = max(0, -column), max(0, min(stride * V, width - column))
        place, row = target + 4 * number, plane + 4 * ((top_row + begin) * width + column)
        place = put_zeros(lanes, place, pitch, begin)
        place = copy_column(lanes, place, pitch, row, 4 * width, stride, low, high, end - begin)
        put_zeros(lanes, place, pitch, rows - end)


@jit
def _copy_rows(lanes, target, source, down, stride, across, rows):
    """Copy ``across`` elements, ``stride`` apart, of each of ``rows`` rows that are ``down`` bytes apart, one behind the other.
    Returns the end; up to ``V - 1`` elements after it get any value."""
    if stride == 1:
        return copy_band(lanes, target, source, down, across, rows)
    column = (across - 1) // len(lanes) * len(lanes)
    while column >= 0:  # each row's last vector first: what it writes over the row's end is not there yet
        at = source + 4 * column * stride
        copy_column(lanes, target + 4 * column, 4 * across, at, down, stride, 0, len(lanes) * stride, rows)
        column -= len(lanes)
    return target + 4 * across * rows


@jit
def pack_flat(lanes, target, image, pitch, length, apart, further, ow, bands, room, geometry):
    """Pack one channel for some output positions from column ``ow`` of the image's first row on, row after row: ``bands`` are
    how many of its first row, how many whole rows, and how many of another row.

    Every kernel position gets ``room`` elements, a multiple of ``V``, zeros after the last position. Rows of ``image`` have
    ``pitch`` elements, those for neighbouring outputs ``apart``: 1 in what :func:`pack_image` made, in phases of ``length``, or
    the stride where a kernel of one position reads inputs as they are. From one kernel column to the next, an output meets the
    phase, and the element of it, that are so much ``further``. Returns where the next channel is packed.
    """
    V, width = len(lanes), number_at(geometry, OW)
    down = 4 * pitch * number_at(geometry, STRIDE_H)
    head, rows, tail = bands
    for kh in range(number_at(geometry, KERNEL_H)):
        first, number, phase = image + 4 * pitch * kh * number_at(geometry, DILATION_H), 0, 0
        for _ in range(number_at(geometry, KERNEL_W)):
            row, at, begin = first + 4 * (phase * length + number), target, 4 * ow * apart
            for band in range(3):
                across, count = (head, 1) if band == 0 else (width, rows) if band == 1 else (tail, 1)
                if across > 0 and count > 0:
                    at = _copy_rows(lanes, at, row + begin, down, apart, across, count)
                    row, begin = row + count * down, 0
            target += 4 * room
            put_zeros(lanes, at, 4 * V, (target - at + 4 * V - 1) // (4 * V))
            phase, number = phase + further[0], number + further[1]
            if phase >= number_at(geometry, STRIDE_W):
                phase, number = phase - number_at(geometry, STRIDE_W), number + 1
    return target


@jit
def _pack_lines(lanes, target, line, plane, channels, count, room):
    """Pack some channels of a convolution over a single row by a single weight: ``count`` elements of each line, then zeros up
    to ``room``."""
    V = len(lanes)
    whole, rest = count // V, count % V
    ahead = 4 * plane * ((PREFETCHED + whole) // (whole + 1))
    for _ in range(channels):
        end = copy_line(lanes, target, line, ahead, whole)
        if rest > 0:
            copy_lanes(lanes, end, line + 4 * V * whole, 0, rest)
            end += 4 * V
        target += 4 * room
        put_zeros(lanes, end, 4 * V, (target - end) // (4 * V))
        line += 4 * plane


@jit
def _pack_taps(lanes, target, row, first, count, room, geometry):
    """Pack a channel of a convolution over a single row: for each kernel column, the inputs of ``count`` outputs from ``first``
    on, zeros where the padding is, and up to ``room`` elements. Returns where the next channel is packed."""
    V, apart = len(lanes), number_at(geometry, DILATION_W)
    ahead = 4 * number_at(geometry, W) * (PREFETCHED * LINE // (4 * count) + 1)
    for kw in range(number_at(geometry, KERNEL_W)):
        column = first - number_at(geometry, LEFT) + kw * apart
        line, low, high = row + 4 * column, max(0, -column), max(0, min(count, number_at(geometry, W) - column))
        fresh = min(count, apart) if kw > 0 else count  # the column before has asked for others
        prefetch_rows(line + 4 * (count - fresh) + ahead, 0, fresh, 1)
        whole, end, number = (low + V - 1) // V * V, high // V * V, 0
        while number < room:
            if whole <= number < end:
                copy_band(lanes, target + 4 * number, line + 4 * number, 0, end - number, 1)
                number = end
            else:
                begin, stop = max(0, min(V, low - number)), max(0, min(V, high - number))
                copy_lanes(lanes, target + 4 * number, line + 4 * number, begin, stop)
                number += V
        target += 4 * room
    return target


@cache
def packing_code(V: int) -> int:
    """The address of the code of :func:`pack_positions` for vectors of ``V`` elements, good as long as the process."""
    return packer(((),) * V)


@jit
def packer(lanes):
    """As :func:`packing_code`."""
    return code_of(lanes, pack_positions)


@jit
def pack_positions(lanes, task):
    """Pack the inputs that some positions of the flattened output meet, of some channels, as the task at address ``task`` says.

    Lines of a single row are copied from it. Where a kernel of one position needs no padding, inputs are read where they are,
    but for the last ones: whole vectors reach over a channel's end.
    """
    target, image, source = number_at(task, TARGET), number_at(task, IMAGE), number_at(task, SOURCE)
    channels, after, geometry = number_at(task, CHANNELS), number_at(task, AFTER), number_at(task, GEOMETRY)
    first, columns = number_at(task, FIRST), number_at(task, COLUMNS)
    height, width, across = number_at(geometry, H), number_at(geometry, W), number_at(geometry, OW)
    stride_h, stride_w, top = number_at(geometry, STRIDE_H), number_at(geometry, STRIDE_W), number_at(geometry, TOP)
    kernel_h, length, plane = number_at(geometry, KERNEL_H), number_at(geometry, PHASE), height * width
    taps, count = kernel_h * number_at(geometry, KERNEL_W), min(columns, number_at(geometry, OH) * across - first)
    if length == 0 and taps == 1 and across == width:
        _pack_lines(lanes, target, source + 4 * first, plane, channels, count, columns)
        return
    if length == 0:
        for c in range(channels):
            target = _pack_taps(lanes, target, source + 4 * c * plane, first, count, columns, geometry)
        return
    row, column = first // across, first % across
    head = min(across - column, count) if column > 0 else 0
    bands = head, (count - head) // across, (count - head) % across
    rows = (column + count - 1) // across * stride_h + (kernel_h - 1) * number_at(geometry, DILATION_H) + 1
    beyond = (number_at(geometry, OH) - 1) * stride_h >= height or (across - 1) * stride_w >= width
    padded = max(top, number_at(geometry, LEFT)) > 0 or beyond
    reach = len(lanes) * stride_w // plane + 1
    in_place = 0 if taps > 1 or padded else min(channels, max(0, channels + after - reach))
    lone = number_at(geometry, OH) == 1  # such a row may be long: not all of it is copied
    skipped, met = (column, max(1, min(width - column * stride_w, count * stride_w))) if lone else (0, width)
    ahead = 4 * plane * (PREFETCHED * LINE // (4 * rows * met) + 1)
    step, begin = stride_h if taps == 1 else 1, max(0, top - row * stride_h)
    lines = (min(rows, height + top - row * stride_h) - begin + step - 1) // step
    further = number_at(geometry, DILATION_W) % stride_w, number_at(geometry, DILATION_W) // stride_w  # divisions take long
    for c in range(channels):
        channel_at = source + 4 * c * plane
        read = channel_at + 4 * (row * stride_h - top + begin) * width
        prefetch_rows(read + 4 * skipped * stride_w + ahead, 4 * width * step, met, lines)
        at, pitch, apart, ow = read, width, stride_w, column
        if c >= in_place:
            pack_image(lanes, image, channel_at, row * stride_h - top, skipped, rows, length, geometry)
            at, pitch, apart, ow = image, length * stride_w, 1, column - skipped
        target = pack_flat(lanes, target, at, pitch, length, apart, further, ow, bands, columns, geometry)
