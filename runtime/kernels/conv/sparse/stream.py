"""Weights of a convolution in the order in which its tiles walk them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .....format_spec.errors import FormatError
from ...matrices.lines import make_lines
from ...matrices.matrix import Layout, Matrix
from ..layout import Tiling
from .entries import Blocked, Blocks, Rows, count_lists, list_rows, row_places
from .pairs import count_pairs, list_pairs, pair_up
from .visits import AHEAD, FIRST, LAST, PRESENT

WINDOW = 64
"""Visits that are sorted together: their outputs, where planes are small, stay in a few pages of memory."""


@dataclass(frozen=True, eq=False)
class Stream(Layout):
    """What :func:`.convolve.convolve` reads of the weights.

    ``block_channels`` (blocks + 1,) int64 and ``block_visits`` (blocks, parts + 1) int64 say which input channels and which
    visits belong to a block; ``channels`` (visits + :data:`.visits.AHEAD`, T) uint32 and ``flags`` uint8
    describe a visit. ``words`` uint32 holds the entries and ``start`` uint32 where each list of those of a visit begins. There
    is one for its channel; with pairs of channels one for both, for the first and for the second; where sums are shifted,
    these for each number of times, the most first. An entry is one word: a ``codebook`` index of 8 bits for each channel that
    it is for, and in its high 16 bits the offset in packed vectors. Without a codebook it is a word for the offset and one for
    each float32 weight.
    """

    block_channels: np.ndarray
    block_visits: np.ndarray
    channels: np.ndarray
    flags: np.ndarray
    start: np.ndarray
    words: np.ndarray
    codebook: np.ndarray | None
    nonzeros: int


@dataclass(frozen=True, eq=False)
class Arrangement(Layout):
    """A :class:`Stream` but for its entries: small beside them, and the same whenever the same weights are decoded.

    ``begin`` and ``end`` (rows, blocks of a group, lists) uint32 say where in the words the lists of entries of single channels
    lie; they are empty where channels are visited in pairs.
    """

    block_channels: np.ndarray
    block_visits: np.ndarray
    channels: np.ndarray
    flags: np.ndarray
    start: np.ndarray
    begin: np.ndarray
    end: np.ndarray

    def stream(self, words: np.ndarray, codebook: np.ndarray | None, nonzeros: int) -> Stream:
        """The stream with these entries."""
        described = self.block_channels, self.block_visits, self.channels, self.flags, self.start
        return Stream(*described, words, codebook, nonzeros)


def make_stream(matrix: Matrix, channels: int, groups: int, tiling: Tiling, parts: int) -> Stream:
    """Order the weights, rows being output channels and columns (input channel of the group, kernel position).

    Output channels are cut into ``parts`` of about equally many weights. Within a block and part, neighbouring visits are
    sorted by their numbers of entries, so that the processor predicts where their loops end.
    """
    weights = _blocked(matrix, channels, groups, tiling)
    return _listed(matrix, weights, _arranged(weights, tiling, parts), tiling)


def arrange(matrix: Matrix, channels: int, groups: int, tiling: Tiling, parts: int) -> Arrangement:
    """Everything but the entries, see :func:`make_stream`.

    In the first and in the last block of its group's inputs every output channel is visited, in others those with weights.
    """
    return _arranged(_blocked(matrix, channels, groups, tiling), tiling, parts)


def _arranged(weights: Blocked, tiling: Tiling, parts: int) -> Arrangement:
    rows, blocks = weights.rows, weights.blocks
    cuts = _cut_parts(rows, blocks, tiling.T, parts)
    visits, block_visits = _in_order(_visits(weights, tiling, cuts), blocks, cuts)
    number, count = blocks.number(visits.block, visits.channels[:, 0]), len(blocks.inside) - 1
    present = np.sum(visits.channels < rows.count, axis=1)
    flags = (number == 0) * FIRST + (number == count - 1) * LAST + (present << PRESENT)
    words = [1 if rows.coded else 1 + (1 if i % tiling.kinds else tiling.T) for i in range(tiling.lists)]
    start = np.concatenate([[0], np.cumsum(visits.counts * words)]).astype(np.uint32)
    begin, end = np.zeros((2, rows.count if tiling.T == 1 else 0, count, tiling.lists), np.uint32)
    if tiling.T == 1:
        where = visits.channels[:, 0], number
        begin[where], end[where] = start[:-1].reshape(-1, tiling.lists), start[1:].reshape(-1, tiling.lists)
    following = np.zeros((AHEAD, tiling.T), np.int64)
    described = np.concatenate([visits.channels, following]).astype(np.uint32), flags.astype(np.uint8)
    return Arrangement(blocks.edges, block_visits, *described, start, begin, end)


def list_entries(matrix: Matrix, made: Arrangement, channels: int, groups: int, tiling: Tiling) -> Stream:
    """The entries of ``matrix``, arranged as ``made`` for it says.

    Raises:
        FormatError: it was made for other weights.
    """
    return _listed(matrix, _blocked(matrix, channels, groups, tiling), made, tiling)


def _listed(matrix: Matrix, weights: Blocked, made: Arrangement, tiling: Tiling) -> Stream:
    rows, blocks, words = weights.rows, weights.blocks, np.empty(made.start[-1], np.uint32)
    if tiling.T == 1:
        entries, where = (rows.columns, rows.values, rows.coded), row_places(blocks, tiling)
        check_fitting(list_rows(0, rows.starts[1:], *entries, *where, made.begin, made.end, words))
    else:
        block = np.repeat(np.arange(blocks.count), made.block_visits[:, -1] - made.block_visits[:, 0])
        pairs = made.channels[:-AHEAD].astype(np.int64)
        check_fitting(list_pairs(weights, tiling, block, pairs, made.start, words))
    return made.stream(words, matrix.codebook if rows.coded else None, matrix.nonzeros)


def check_fitting(fitted: bool) -> None:
    """Make sure that weights have ``fitted`` their arrangement.

    Raises:
        FormatError: they have not.
    """
    if not fitted:
        raise FormatError("weights are others than when the model was loaded: its file has been written to; load it again")


def _blocked(matrix: Matrix, channels: int, groups: int, tiling: Tiling) -> Blocked:
    blocks = Blocks(cut_channels(channels, groups, tiling.block), channels, groups, matrix.rows)
    return Blocked(_rows(matrix), blocks, len(tiling.tap_vector))


def _rows(matrix: Matrix) -> Rows:
    lines, coded = make_lines(matrix, by_rows=True), matrix.codes.dtype == np.uint8
    values = lines.code if lines.code.dtype in (np.uint8, np.float32) else matrix.codebook[lines.code]
    return Rows(lines.start, lines.minor, values if coded else values.view(np.uint32), coded)


def cut_channels(channels: int, groups: int, block: int) -> np.ndarray:
    """Boundaries (blocks + 1,) int64 of blocks of at most ``block`` channels, none crossing a group's end unless it holds
    whole groups. There is one block at least."""
    size = channels // groups if groups else 0
    if size and block < size:
        steps = [np.arange(first, first + size, block) for first in range(0, channels, size)]
        return np.append(np.concatenate(steps), channels).astype(np.int64)
    step = max(1, block // max(1, size)) * max(1, size)
    return np.append(np.arange(0, max(channels, 1), step), channels).astype(np.int64)


def _cut_parts(rows: Rows, blocks: Blocks, together: int, parts: int) -> np.ndarray:
    """Boundaries (parts + 1,) int64 of runs of rows with about equally many weights, ``together`` of a group in one run."""
    groups = range(0, rows.count, blocks.outputs)
    units = np.concatenate([np.arange(first, first + blocks.outputs, together) for first in groups] + [[rows.count]])
    total = np.cumsum(np.diff(rows.starts[units]) + 1)
    goals = np.arange(1, parts) * (total[-1] / parts)
    return units[np.concatenate([[0], np.searchsorted(total, goals), [len(units) - 1]])].astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Visits:
    """Visits of ``channels`` (n, T), each in a ``block`` (n,), with the ``counts`` (n, lists) of the entries of their lists."""

    block: np.ndarray
    channels: np.ndarray
    counts: np.ndarray


def _visits(weights: Blocked, tiling: Tiling, cuts: np.ndarray) -> _Visits:
    if tiling.T == 2:
        block, pairs = pair_up(weights, cuts)
        return _Visits(block, pairs, count_pairs(weights, tiling, block, pairs))
    blocks, counts = weights.blocks, count_lists(weights, tiling)
    wanted = np.any(counts, axis=2)
    wanted[:, 0] = wanted[:, -1] = True
    row, number = np.nonzero(wanted)
    return _Visits(blocks.first[blocks.group_of(row)] + number, row[:, None], counts[row, number])


def _in_order(visits: _Visits, blocks: Blocks, cuts: np.ndarray) -> tuple[_Visits, np.ndarray]:
    """Visits in order, and the ``block_visits`` of a :class:`Stream`."""
    parts, row = len(cuts) - 1, visits.channels[:, 0]
    part = visits.block * parts + np.searchsorted(cuts, row, side="right") - 1
    window = part * (blocks.rows // WINDOW + 1) + row // WINDOW
    order = np.lexsort((*visits.counts[:, 2::-1].T, window))
    bounds = np.searchsorted(part[order], np.arange(blocks.count * parts + 1))
    steps = np.arange(blocks.count)[:, None] * parts + np.arange(parts + 1)
    return _Visits(visits.block[order], visits.channels[order], visits.counts[order]), bounds[steps].astype(np.int64)
