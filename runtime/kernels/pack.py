"""Inputs of a convolution laid out so that a weight at any kernel position meets consecutive aligned vectors.

Places in memory are addresses in bytes, those of ``geometry`` and ``row_input`` too, which are int64; sizes and steps are
elements of float32.
"""

from __future__ import annotations

from ._atomic import number_at
from ._jit import jit
from ._memory import copy_every_fourth, copy_every_second, copy_lanes, copy_strided, copy_vector, prefetch_address

PREFETCHED = 24
"""Vectors, at least, by which packing asks for its inputs ahead of time (in whole channels)."""


@jit
def copy_run(lanes, target, row, first, stride, W, count):
    """Write ``count`` elements of the row of ``W`` at ``row``, those at ``first + i * stride``; zeros where it has none.

    Whole vectors are written: up to ``V - 1`` elements after the last get any finite value.
    """
    V = len(lanes)
    column = first
    while count > 0:
        source = row + 4 * column
        if stride == 1:
            if column >= 0 and column + V <= W:
                copy_vector(lanes, target, source)
            else:
                copy_lanes(lanes, target, source, max(0, -column), max(0, min(V, W - column)))
        elif stride == 2 or stride == 4:
            _copy_spaced(lanes, target, source, stride, max(0, -column), max(0, min(stride * V, W - column)))
        else:
            copy_strided(lanes, target, source, stride, -column, W - column)
        target += 4 * V
        column += V * stride
        count -= V


@jit
def _copy_spaced(lanes, target, source, stride, low, high):
    """Copy every second or fourth element, by shuffles: processors gather slowly. Whole vectors need no masks."""
    whole = low == 0 and high == len(lanes) * stride
    if stride == 2:
        if whole:
            copy_every_second(lanes, target, source, 0, 2 * len(lanes))
        else:
            copy_every_second(lanes, target, source, low, high)
    elif whole:
        copy_every_fourth(lanes, target, source, 0, 4 * len(lanes))
    else:
        copy_every_fourth(lanes, target, source, low, high)


@jit
def pack_rows(lanes, target, plane, oh, ow, geometry, row_input):
    """Pack one channel for output rows from ``oh`` on, columns ``[ow, ow + V)``.

    Vector ``j`` of kernel column ``kw`` holds the inputs that its outputs meet in input row ``row_input[j]``, relative to the
    tile's first. The channel starts at ``plane``; returns where the next channel is packed.
    """
    V = len(lanes)
    H, W, stride_h, stride_w = number_at(geometry, 1), number_at(geometry, 2), number_at(geometry, 6), number_at(geometry, 7)
    top, left, kernel_w = number_at(geometry, 8), number_at(geometry, 9), number_at(geometry, 11)
    dilation_w, rows = number_at(geometry, 13), number_at(geometry, 19)
    ahead = 4 * H * W * ((PREFETCHED + rows - 1) // rows)
    for kw in range(kernel_w):
        first = ow * stride_w - left + kw * dilation_w
        inside = stride_w == 1 and first >= 0 and first + V <= W
        for j in range(rows):
            ih = oh * stride_h - top + number_at(row_input, j)
            row = plane + 4 * ih * W
            if ih < 0 or ih >= H:
                copy_lanes(lanes, target, plane, 0, 0)
            elif inside:
                copy_vector(lanes, target, row + 4 * first)
            else:
                copy_run(lanes, target, row, first, stride_w, W, V)
            if kw == 0:
                prefetch_address(row + 4 * first + ahead)
            target += 4 * V
    return target


@jit
def pack_image(lanes, image, plane, top_row, rows, pitch, geometry):
    """Copy ``rows`` rows of a channel from ``top_row`` on, ``pitch`` elements each, with zeros where the padding is."""
    H, W, left = number_at(geometry, 1), number_at(geometry, 2), number_at(geometry, 9)
    for i in range(rows):
        ih = top_row + i
        copy_run(lanes, image + 4 * i * pitch, plane + 4 * ih * W, -left, 1, W if 0 <= ih < H else 0, pitch)


@jit
def pack_flat(lanes, target, image, pitch, ow, count, room, geometry):
    """Pack one channel for ``count`` output positions from column ``ow`` of the image's first row on, row after row.

    Every kernel position gets ``room`` elements, a multiple of ``V``, zeros after the last position. ``image`` has rows of
    ``pitch`` elements, padding included, see :func:`pack_image`; returns where the next channel is packed.
    """
    V = len(lanes)
    OW, stride_h, stride_w = number_at(geometry, 5), number_at(geometry, 6), number_at(geometry, 7)
    kernel_h, kernel_w, dilation_h, dilation_w = (
        number_at(geometry, 10),
        number_at(geometry, 11),
        number_at(geometry, 12),
        number_at(geometry, 13),
    )
    for kh in range(kernel_h):
        for kw in range(kernel_w):
            row = image + 4 * (kh * dilation_h * pitch + kw * dilation_w)
            source, column, done = row + 4 * ow * stride_w, ow, 0
            while done < count:
                end = done + min(OW - column, count - done)
                while done < end:
                    if stride_w == 1:
                        copy_vector(lanes, target + 4 * done, source)
                    elif stride_w == 2 or stride_w == 4:
                        _copy_spaced(lanes, target + 4 * done, source, stride_w, 0, V * stride_w)
                    else:
                        copy_strided(lanes, target + 4 * done, source, stride_w, 0, V * stride_w)
                    source += 4 * V * stride_w
                    done += V
                done = end
                row += 4 * stride_h * pitch
                source, column = row, 0
            while done < room:
                copy_lanes(lanes, target + 4 * done, image, 0, 0)
                done += V
            target += 4 * room
    return target


@jit
def pack_line(lanes, target, line, count, room):
    """Pack one channel of a convolution over a single row by a single weight: ``count`` elements of the line, then zeros up to
    ``room``. Returns where the next channel is packed."""
    V = len(lanes)
    done = 0
    while done + V <= count:
        copy_vector(lanes, target + 4 * done, line + 4 * done)
        done += V
    while done < room:
        copy_lanes(lanes, target + 4 * done, line + 4 * done, 0, max(0, count - done))
        done += V
    return target + 4 * room


@jit
def pack_positions(lanes, target, image, source, channels, first, columns, geometry):
    """Pack the inputs that ``columns`` positions of the flattened output from ``first`` on meet, of some channels from
    ``source`` on. There is room for a channel, as :func:`pack_image` copies it, at ``image``."""
    plane, OW = number_at(geometry, 1) * number_at(geometry, 2), number_at(geometry, 5)
    stride_h, top, pitch = number_at(geometry, 6), number_at(geometry, 8), number_at(geometry, 18)
    row, column, count = first // OW, first % OW, min(columns, number_at(geometry, 4) * OW - first)
    rows = (column + count - 1) // OW * stride_h + (number_at(geometry, 10) - 1) * number_at(geometry, 12) + 1
    for c in range(channels):
        channel_at = source + 4 * c * plane
        if pitch == 0:
            target = pack_line(lanes, target, channel_at + 4 * first, count, columns)
        else:
            pack_image(lanes, image, channel_at, row * stride_h - top, rows, pitch, geometry)
            target = pack_flat(lanes, target, image, pitch, column, count, columns, geometry)
