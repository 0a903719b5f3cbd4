"""The weights of output channels and the blocks of input channels that they meet, and the entries of tiles of one output
channel, one for each weight: counted, and listed in the tiles' order."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ....jit.jitted import jit
from ....orders.made_once import made_once
from ...tiles.tile import OFFSET
from ..layout import Tiling


@dataclass(frozen=True, eq=False)
class Rows:
    """Nonzero weights row by row: those of row ``i`` are ``starts[i]:starts[i + 1]``, with their ``columns`` (input channel of
    the group, kernel position) ascending. ``values`` are codes of 8 bits where they are ``coded``, else float32 as uint32."""

    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    coded: bool

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.starts) - 1


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of input channels: block ``b`` is the channels ``edges[b]:edges[b + 1]``, int64, of ``channels`` in ``groups``.
    There are ``rows`` output channels."""

    edges: np.ndarray
    channels: int
    groups: int
    rows: int

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return len(self.edges) - 1

    @property
    def inputs(self) -> int:
        """Input channels of a group."""
        return self.channels // self.groups

    @property
    def outputs(self) -> int:
        """Output channels of a group."""
        return max(1, self.rows // self.groups)

    def group_of(self, row: np.ndarray) -> np.ndarray:
        """The groups of some rows."""
        return row // self.outputs

    @made_once
    def first(self) -> np.ndarray:
        """(groups,) int64: the first block of each group's inputs."""
        return np.searchsorted(self.edges, np.arange(self.groups) * self.inputs, side="right") - 1

    @made_once
    def inside(self) -> np.ndarray:
        """(n + 1,) int64: the channels of a group, counted from its first one, between which its ``n`` blocks lie. All groups
        are cut alike; of a block that holds several, each has its own part."""
        count = int(np.searchsorted(self.edges, self.inputs))
        return np.minimum(self.edges[: max(1, count) + 1], self.inputs)

    def number(self, block: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Which of the blocks of their groups some blocks are, for rows that meet them."""
        return block - self.first[self.group_of(row)]


def row_places(blocks: Blocks, tiling: Tiling) -> tuple[Any, ...]:
    """What :func:`list_rows` has to know of the geometry."""
    taps = len(tiling.tap_vector)
    columns = blocks.inputs * taps
    of_columns = column_vectors(columns, tiling), column_lists(columns, tiling)
    return blocks.edges, blocks.first, blocks.inputs, taps, tiling.vectors, *of_columns


def column_lists(columns: int, tiling: Tiling) -> np.ndarray:
    """(columns,) uint8: the first of a visit's lists that the entries of each column are in."""
    shifted = tiling.shifts - 1 - np.arange(columns) % tiling.kernel[1] % tiling.shifts
    return (shifted * tiling.kinds).astype(np.uint8)


def column_vectors(columns: int, tiling: Tiling) -> np.ndarray:
    """(columns,) uint32: the first of the group's packed vectors that each column meets."""
    channel_of, tap_of = np.divmod(np.arange(columns), len(tiling.tap_vector))
    return (channel_of * tiling.vectors + tiling.tap_vector[tap_of]).astype(np.uint32)


@dataclass(frozen=True, eq=False)
class Blocked:
    """Weights of ``rows`` by ``blocks`` of input channels, with ``taps`` columns for each."""

    rows: Rows
    blocks: Blocks
    taps: int

    @made_once
    def ends(self) -> np.ndarray:
        """(rows + 1, n + 1) int64: where the weights of each row begin in each of the ``n`` blocks of its group, and where the
        last ones end; one more row has none."""
        inside, columns, row = self.blocks.inside, self.blocks.inputs * self.taps, np.arange(self.rows.count)
        places = np.repeat(row * columns, np.diff(self.rows.starts)) + self.rows.columns
        ends = np.zeros((self.rows.count + 1, len(inside)), np.int64)
        ends[:-1] = np.searchsorted(places, row[:, None] * columns + inside * self.taps)
        return ends


def count_lists(weights: Blocked, tiling: Tiling) -> np.ndarray:
    """The entries of each list of each row in each of the ``n`` blocks of its group, (rows, n, lists), of tiles of one output
    channel."""
    rows, inside, taps = weights.rows, weights.blocks.inside, weights.taps
    if tiling.lists == 1:
        return np.diff(weights.ends[:-1], axis=1)[:, :, None]
    number_of = np.repeat(np.arange(len(inside) - 1), np.diff(inside))
    row, number = np.repeat(np.arange(rows.count), np.diff(rows.starts)), number_of[rows.columns // taps]
    lists = column_lists(weights.blocks.inputs * taps, tiling)[rows.columns]
    shape = rows.count, len(inside) - 1, tiling.lists
    return np.bincount(np.ravel_multi_index((row, number, lists), shape), minlength=prod(shape)).reshape(shape)


@jit
def list_rows(
    first, ends, columns, values, coded, block_channels, first_block, size, taps, vectors, vector_of, list_of, begin, end, words
):  # fmt: skip
    """Write the entries of the rows from ``first`` on, of which each has its end among ``ends``, where ``begin`` and ``end``
    (all rows, blocks of a group, lists) say. Returns whether that is where they belong.

    ``columns`` ascend within a row. ``first_block`` (groups,) is where the ``size`` input channels of a group begin, each with
    ``taps`` columns; ``vector_of`` uint32 is what a column adds to the group's first packed vector, ``list_of`` uint8 its list.
    """
    outputs, at, lists = max(1, len(begin) // len(first_block)), 0, begin.shape[2]
    cursor = np.empty(lists, np.uint64)
    for i in range(len(ends)):
        row, group = first + i, (first + i) // outputs
        channel = group * size
        for number in range(begin.shape[1]):
            block, room = first_block[group] + number, np.int64(end[row, number, lists - 1]) - np.int64(begin[row, number, 0])
            following = at + (room if coded else room >> 1)
            if at < following:
                low, high = (block_channels[block] - channel) * taps, (block_channels[block + 1] - channel) * taps
                if following > ends[i] or columns[at] < low or columns[following - 1] >= high:
                    return False
                base = np.uint32((channel - block_channels[block]) * vectors)
                for k in range(lists):
                    cursor[k] = begin[row, number, k]
                if lists == 1:
                    _list_run(np.uint64(at), np.uint64(following), columns, values, coded, base, vector_of, cursor[0], words)
                else:
                    lasts = end[row, number]
                    if not _list_runs(at, following, columns, values, coded, base, vector_of, list_of, cursor, lasts, words):
                        return False
            at = following
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
