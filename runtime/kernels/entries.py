"""The entries of tiles, one for each weight, or for two that meet the same input: counted, and listed in the tiles' order."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ._jit import jit
from .layout import Tiling
from .matrix import Matrix
from .tile import OFFSET


def row_places(block_channels: np.ndarray, channels: int, groups: int, tiling: Tiling) -> tuple[Any, ...]:
    """What :func:`list_rows` has to know of the geometry."""
    size, taps = channels // groups, len(tiling.tap_vector)
    first_block = np.searchsorted(block_channels, np.arange(groups) * size, side="right") - 1
    _, vector_of = _column_places(size * taps, tiling)
    of_columns = vector_of.astype(np.uint32), column_lists(size * taps, tiling)
    return block_channels, first_block, size, taps, tiling.vectors, *of_columns


def column_lists(columns: int, tiling: Tiling) -> np.ndarray:
    """(columns,) uint8: the first of a visit's lists that the entries of each column are in."""
    shifted = tiling.shifts - 1 - np.arange(columns) % tiling.kernel[1] % tiling.shifts
    return (shifted * tiling.kinds).astype(np.uint8)


def _column_places(columns: int, tiling: Tiling) -> tuple[np.ndarray, np.ndarray]:
    """For each column its input channel in the group, and the first of the group's packed vectors that it meets, int64."""
    channel_of, tap_of = np.divmod(np.arange(columns), len(tiling.tap_vector))
    return channel_of, channel_of * tiling.vectors + tiling.tap_vector[tap_of]


def count_rows(
    starts: np.ndarray, columns: np.ndarray, block_channels: np.ndarray, channels: int, groups: int, taps: int
) -> np.ndarray:
    """The entries of each row in each block, (blocks, rows), where a visit has one list."""
    rows, size = len(starts) - 1, channels // groups
    places = np.repeat(np.arange(rows) * (size * taps), np.diff(starts)) + columns
    row = np.arange(rows)[:, None]
    inside = np.clip(block_channels - row // max(1, rows // groups) * size, 0, size)
    return np.diff(np.searchsorted(places, (row * size + inside) * taps), axis=1).T


def count_lists(
    starts: np.ndarray, columns: np.ndarray, block_channels: np.ndarray, channels: int, groups: int, tiling: Tiling
) -> np.ndarray:
    """The entries of each list of each row in each block, (blocks, rows, lists), of tiles of one output channel."""
    rows, size, lists = len(starts) - 1, channels // groups, tiling.lists
    block_of = np.repeat(np.arange(len(block_channels) - 1), np.diff(block_channels))
    channel_of, _ = _column_places(size * len(tiling.tap_vector), tiling)
    row = np.repeat(np.arange(rows), np.diff(starts))
    block = block_of[row // max(1, rows // groups) * size + channel_of[columns]]
    shape = len(block_channels) - 1, rows, lists
    places = np.ravel_multi_index((block, row, column_lists(len(channel_of), tiling)[columns]), shape)
    return np.bincount(places, minlength=prod(shape)).reshape(shape)


def pair_places(matrix: Matrix, block_channels: np.ndarray, channels: int, groups: int, tiling: Tiling) -> tuple[Any, ...]:
    """What :func:`walk_pairs` has to know of the geometry."""
    block_of = np.repeat(np.arange(len(block_channels) - 1), np.diff(block_channels))
    units, outputs = units_of(matrix.rows, groups, tiling.T), max(1, matrix.rows // groups)
    channel_of, vector_of = _column_places(matrix.columns, tiling)
    first_input = units // outputs * (channels // groups)
    lists = column_lists(matrix.columns, tiling)
    return units, outputs, first_input, channel_of, vector_of, lists, block_of, block_channels, tiling.vectors


def units_of(rows: int, groups: int, together: int) -> np.ndarray:
    """First output channel of each unit that is visited at once, int64: up to ``together`` neighbours of one group."""
    size = max(1, rows // groups)
    return np.concatenate(
        [np.arange(first, first + size, together) for first in range(0, rows, size)] or [np.zeros(0, np.int64)]
    )


@jit
def list_rows(
    first, ends, columns, values, coded, block_channels, first_block, size, taps, vectors, vector_of, list_of, begin, end, words
):  # fmt: skip
    """Write the entries of the rows from ``first`` on, of which each has its end among ``ends``, where ``begin`` and ``end``
    (blocks, all rows, lists) say. Returns whether that is where they belong.

    ``columns`` ascend within a row. ``first_block`` (groups,) is where the ``size`` input channels of a group begin, each with
    ``taps`` columns; ``vector_of`` uint32 is what a column adds to the group's first packed vector, ``list_of`` uint8 its list.
    """
    outputs, at, lists = max(1, begin.shape[1] // len(first_block)), 0, begin.shape[2]
    cursor = np.empty(lists, np.uint64)
    for i in range(len(ends)):
        group = (first + i) // outputs
        channel, block = group * size, first_block[group]
        while block < len(begin) and block_channels[block] < channel + size:
            room = np.int64(end[block, first + i, lists - 1]) - np.int64(begin[block, first + i, 0])
            following = at + (room if coded else room >> 1)
            if at < following:
                low, high = (block_channels[block] - channel) * taps, (block_channels[block + 1] - channel) * taps
                if following > ends[i] or columns[at] < low or columns[following - 1] >= high:
                    return False
                base = np.uint32((channel - block_channels[block]) * vectors)
                for k in range(lists):
                    cursor[k] = begin[block, first + i, k]
                if lists == 1:
                    _list_run(np.uint64(at), np.uint64(following), columns, values, coded, base, vector_of, cursor[0], words)
                else:
                    lasts = end[block, first + i]
                    if not _list_runs(at, following, columns, values, coded, base, vector_of, list_of, cursor, lasts, words):
                        return False
            at, block = following, block + 1
        if at != ends[i]:
            return False
    return True


@jit
def _list_run(at, last, columns, values, coded, base, vector_of, place, words):
    """Write the entries ``[at, last)`` from word ``place`` on. (Indices that are signed are looked at for their sign, which
    takes longer than the rest.)"""
    for k in range(at, last):
        offset = base + vector_of[columns[k]]
        if coded:
            words[place] = offset << np.uint32(OFFSET) | np.uint32(values[k])
            place += np.uint64(1)
        else:
            words[place], words[place + np.uint64(1)] = offset, values[k]
            place += np.uint64(2)


@jit
def _list_runs(at, last, columns, values, coded, base, vector_of, list_of, cursor, lasts, words):
    """As :func:`_list_run`, each entry where its list's ``cursor`` stands, which must be before the list's last word. Returns
    whether all were."""
    for k in range(at, last):
        column = columns[k]
        which = list_of[column]
        place = cursor[which]
        if place >= lasts[which]:
            return False
        offset = base + vector_of[column]
        if coded:
            words[place] = offset << np.uint32(OFFSET) | np.uint32(values[k])
            cursor[which] = place + np.uint64(1)
        else:
            words[place], words[place + np.uint64(1)] = offset, values[k]
            cursor[which] = place + np.uint64(2)
    return True


@jit
def walk_pairs(
    starts, columns, codes, units, outputs, first_input, channel_of, vector_of, list_of, block_of, block_channels, vectors,
    coded, counting, cursor, end, words,
):  # fmt: skip
    """Merge the rows of each unit: count entries in ``cursor`` (block, unit, list), or write them where it stands.

    ``first_input`` (units,) is the first input channel of a unit's group; ``channel_of`` and ``vector_of`` (columns,) are what
    a column adds to it, and to the group's first packed vector: divisions would take longer than everything else. ``list_of``
    (columns,) uint8 is the column's list of entries for both rows, which those for the first and for the second follow.
    """
    for u in range(len(units)):
        row, first = units[u], first_input[u]
        i, i_end = starts[row], starts[row + 1]
        j, j_end = i_end, i_end
        if (row + 1) % outputs != 0:
            j_end = starts[row + 2]
        while i < i_end or j < j_end:
            left = np.int64(columns[i]) if i < i_end else np.int64(1) << 40
            right = np.int64(columns[j]) if j < j_end else np.int64(1) << 40
            column = min(left, right)
            which = list_of[column] + (0 if left == right else (1 if left < right else 2))
            block = block_of[first + channel_of[column]]
            at = cursor[block, u, which]
            size = 1 if counting or coded else 3 if left == right else 2
            cursor[block, u, which] = at + size
            if not counting:
                if at + size > end[block, u, which]:
                    return False
                offset = np.uint32((first - block_channels[block]) * vectors + vector_of[column])
                code = codes[i] if left <= right else codes[j]
                if coded:
                    other = np.uint32(codes[j]) if left == right else np.uint32(0)
                    words[at] = offset << np.uint32(OFFSET) | other << np.uint32(8) | np.uint32(code)
                else:
                    words[at], words[at + 1] = offset, np.uint32(code)
                    at += 2
                    if left == right:
                        words[at] = np.uint32(codes[j])
            i += left <= right
            j += right <= left
    return True
