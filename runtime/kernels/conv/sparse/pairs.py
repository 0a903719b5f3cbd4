"""Pairs of output channels that are visited together, in each block of inputs others, and their entries.

What two channels have at the same inputs takes one load for both. Among many channels there are pairs that have far more of it
than any two have on average, the more so the fewer inputs a block has: of 46 inputs and 1,024 channels that meet a tenth of
them each, two share half an input on average, and nearly three where they are chosen.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ....jit.jitted import jit
from ....orders.atomic import bits_set
from ...tiles.tile import OFFSET
from ..cost_model import PARTNERS
from ..layout import Tiling
from .entries import Blocked, column_lists, column_vectors


def pair_up(weights: Blocked, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The blocks (n,) int64 in which pairs of rows are visited, and the pairs (n, 2) int64, the one with more weights first.

    Partners are of one group, and of one of the runs of rows between the ``cuts``; that of a row that is left over is the
    number of rows. In the first and in the last block of their group's inputs all rows are visited, in others those with
    weights.
    """
    rows, blocks, taps = weights.rows, weights.blocks, weights.taps
    edges = sorted({*cuts.tolist(), *range(0, rows.count + 1, blocks.outputs)})
    runs = [np.arange(first, last, _even(last - first)) for first, last in pairwise(edges)]
    starts = np.concatenate([*runs, [rows.count]]).astype(np.int64)
    first_column, first = blocks.inside * taps, blocks.first[blocks.group_of(starts[:-1])]
    most = int(np.sum((np.diff(starts) + 1) // 2)) * (len(first_column) - 1)
    block, pairs = np.empty(most, np.int64), np.empty((most, 2), np.int64)
    segments = np.stack([starts[:-1], starts[1:], first], axis=1)
    made = _pair_rows(weights.ends, rows.columns, segments, first_column, pairs, block)
    return block[:made], pairs[:made]


def count_pairs(weights: Blocked, tiling: Tiling, block: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(n, lists) uint32: the entries of each list of visits of ``pairs``, each in a ``block``."""
    counts = np.zeros((len(pairs), tiling.lists), np.uint32)
    _walk(*_places(weights, tiling, block, pairs), True, counts, counts, np.empty(0, np.uint32))
    return counts


def list_pairs(
    weights: Blocked, tiling: Tiling, block: np.ndarray, pairs: np.ndarray, start: np.ndarray, words: np.ndarray
) -> bool:
    """Write the entries of visits of ``pairs``, each in a ``block``, to ``words``: list after list, from where they ``start``.
    Returns whether that is where they belong."""
    cursor, room = (at.reshape(-1, tiling.lists).copy() for at in (start[:-1], start[1:]))
    return _walk(*_places(weights, tiling, block, pairs), False, cursor, room, words) and bool((cursor == room).all())


def _even(rows: int) -> int:
    """An even number of rows, at most :data:`PARTNERS`, into which so many are cut equally."""
    return -(-rows // -(-rows // PARTNERS) // 2) * 2


def _places(weights: Blocked, tiling: Tiling, block: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray | bool, ...]:
    """The first arguments of :func:`_walk`."""
    rows, blocks, columns = weights.rows, weights.blocks, weights.blocks.inputs * weights.taps
    base = (blocks.group_of(pairs[:, 0]) * blocks.inputs - blocks.edges[block]) * tiling.vectors
    where = blocks.number(block, pairs[:, 0]), base.astype(np.uint32)
    of_columns = column_vectors(columns, tiling), column_lists(columns, tiling)
    return weights.ends, rows.columns, rows.values, pairs, *where, *of_columns, rows.coded


@jit
def _pair_rows(ends, columns, segments, first_column, pairs, block_of):
    """As :func:`pair_up`; returns how many pairs there are.

    Weights of row ``r`` in block ``b`` of its group are ``ends[r, b]:ends[r, b + 1]``, none of the last row. ``segments``
    (n, 3) int64 are runs of rows among which partners are: (first, last, first block of their group's inputs).
    ``first_column`` (blocks of a group + 1,) is the first column that a row has in a block. Rows are taken in the order of
    their weights, the most first, each with the one that shares the most with it.
    """
    width, most, made = 0, 0, 0
    for b in range(len(first_column) - 1):
        width = max(width, first_column[b + 1] - first_column[b])
    for s in range(len(segments)):
        most = max(most, segments[s, 1] - segments[s, 0])
    words = (width + 63) // 64
    rows, masks, starts = np.empty(most, np.int64), np.empty((most, words), np.uint64), np.empty(width + 2, np.int64)
    for s in range(len(segments)):
        for b in range(len(first_column) - 1):
            always = b == 0 or b == len(first_column) - 2
            count = _by_weights(ends, b, segments[s, 0], segments[s, 1], always, starts, rows)
            for i in range(count):
                _set_bits(columns, ends[rows[i], b], ends[rows[i], b + 1], np.uint64(first_column[b]), masks[i])
            for i in range(count):
                if rows[i] >= 0:
                    partner = _partner(ends, b, rows, masks, i, count)
                    pairs[made, 0], pairs[made, 1], block_of[made] = rows[i], len(ends) - 1, segments[s, 2] + b
                    if partner > i:
                        pairs[made, 1], rows[partner] = rows[partner], -1
                    made += 1
    return made


@jit
def _by_weights(ends, b, first, last, always, starts, rows):
    """Write the rows ``[first, last)`` that are visited in block ``b`` to ``rows``, those with the most weights first; returns
    how many they are."""
    most = len(starts) - 2
    for k in range(len(starts)):
        starts[k] = 0
    for row in range(first, last):
        starts[most - (ends[row, b + 1] - ends[row, b]) + 1] += 1
    if not always:
        starts[most + 1] = 0
    for k in range(1, len(starts)):
        starts[k] += starts[k - 1]
    for row in range(first, last):
        size = ends[row, b + 1] - ends[row, b]
        if always or size > 0:
            rows[starts[most - size]] = row
            starts[most - size] += 1
    return starts[most]


@jit
def _set_bits(columns, begin, end, first, mask):
    """Set the bits of the columns ``[begin, end)``, counted from ``first``, in ``mask``, and no others."""
    for k in range(len(mask)):
        mask[k] = 0
    for k in range(begin, end):
        column = np.uint64(columns[k]) - first
        mask[column >> np.uint64(6)] |= np.uint64(1) << (column & np.uint64(63))


@jit
def _partner(ends, b, rows, masks, i, count):
    """Which of the ``rows`` behind the ``i``-th shares the most columns of block ``b`` with it; ``i`` when none is left."""
    best, partner = -1, i
    for j in range(i + 1, count):
        row = rows[j]
        if row >= 0:
            if ends[row, b + 1] - ends[row, b] <= best:  # nor do those that follow have more
                break
            both = 0
            for k in range(masks.shape[1]):
                both += bits_set(masks[i, k] & masks[j, k])
            if both > best:
                best, partner = both, j
    return partner


@jit
def _walk(ends, columns, codes, pairs, number_of, base, vector_of, list_of, coded, counting, cursor, room, words):
    """Merge the rows of each pair in the block of their group that ``number_of`` says: count its entries in ``cursor`` (pairs,
    lists), or write them where it stands, which must be before the end of their list, ``room``. Returns whether all were.

    ``base`` (pairs,) uint32 is what is added to the vector that a column meets, ``vector_of`` (columns,) uint32; ``list_of``
    (columns,) uint8 is the column's list of entries for both rows, which those for the first and for the second follow.
    """
    for p in range(len(pairs)):
        b = number_of[p]
        i, i_end = ends[pairs[p, 0], b], ends[pairs[p, 0], b + 1]
        j, j_end = ends[pairs[p, 1], b], ends[pairs[p, 1], b + 1]
        while i < i_end or j < j_end:
            left = np.int64(columns[i]) if i < i_end else np.int64(1) << 40
            right = np.int64(columns[j]) if j < j_end else np.int64(1) << 40
            column = min(left, right)
            which = list_of[column] + (0 if left == right else (1 if left < right else 2))
            at = cursor[p, which]
            size = 1 if counting or coded else 3 if left == right else 2
            cursor[p, which] = at + size
            if not counting:
                if at + size > room[p, which]:
                    return False
                offset = base[p] + vector_of[column]
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
