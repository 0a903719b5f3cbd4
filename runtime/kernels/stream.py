"""Weights of a convolution in the order in which its tiles walk them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...format_spec.errors import FormatError
from .entries import count_lists, count_rows, list_rows, pair_places, row_places, units_of, walk_pairs
from .layout import Tiling
from .lines import make_lines
from .matrix import Layout, Matrix
from .visits import FIRST, LAST, PRESENT

WINDOW = 64
"""Visits that are sorted together: their outputs, where planes are small, stay in a few pages of memory."""


@dataclass(frozen=True, eq=False)
class Stream(Layout):
    """What :func:`~tersor.runtime.kernels.convolve.convolve` reads of the weights.

    ``block_channels`` (blocks + 1,) int64 and ``block_visits`` (blocks, parts + 1) int64 say which input channels and which
    visits belong to a block; ``channel`` uint32 (one element more than visits) and ``flags`` uint8 describe a visit. ``words``
    uint32 holds the entries and ``start`` uint32 where each list of those of a visit begins. There is one for its channel; with
    pairs of channels one for both, for the first and for the second; where sums are shifted, these for each number of times,
    the most first. An entry is one word: a ``codebook`` index of 8 bits for each channel that it is for, and in its high 16
    bits the offset in packed vectors. Without a codebook it is a word for the offset and one for each float32 weight.
    """

    block_channels: np.ndarray
    block_visits: np.ndarray
    channel: np.ndarray
    flags: np.ndarray
    start: np.ndarray
    words: np.ndarray
    codebook: np.ndarray | None
    nonzeros: int


@dataclass(frozen=True, eq=False)
class Arrangement(Layout):
    """A :class:`Stream` but for its entries: small beside them, and the same whenever the same weights are decoded.

    ``begin`` and ``end`` (blocks, units, lists) uint32 say where in the words each list of entries lies.
    """

    block_channels: np.ndarray
    block_visits: np.ndarray
    channel: np.ndarray
    flags: np.ndarray
    start: np.ndarray
    begin: np.ndarray
    end: np.ndarray

    def stream(self, words: np.ndarray, codebook: np.ndarray | None, nonzeros: int) -> Stream:
        """The stream with these entries."""
        described = self.block_channels, self.block_visits, self.channel, self.flags, self.start
        return Stream(*described, words, codebook, nonzeros)


def make_stream(matrix: Matrix, channels: int, groups: int, tiling: Tiling, parts: int) -> Stream:
    """Order the weights, rows being output channels and columns (input channel of the group, kernel position).

    Output channels are cut into ``parts`` of about equally many weights. Within a block and part, neighbouring visits are
    sorted by their number of weights, so that the processor predicts where their loops end.
    """
    return list_entries(matrix, arrange(matrix, channels, groups, tiling, parts), channels, groups, tiling)


def arrange(matrix: Matrix, channels: int, groups: int, tiling: Tiling, parts: int) -> Arrangement:
    """Everything but the entries, see :func:`make_stream`."""
    block_channels = cut_channels(channels, groups, tiling.block)
    units = units_of(matrix.rows, groups, tiling.T)
    counts = _counts(matrix, block_channels, channels, groups, tiling)
    (block, unit, flags), cut = _visits(counts, units, matrix.rows, groups, tiling.T, parts)
    words = [1 if _is_coded(matrix) else 1 + (1 if i % tiling.kinds else tiling.T) for i in range(tiling.lists)]
    counts *= np.array(words, np.uint32)
    start = np.concatenate([[0], np.cumsum(counts[block, unit])]).astype(np.uint32)
    begin = np.zeros_like(counts)
    begin[block, unit] = start[:-1].reshape(-1, len(words))
    channel = np.append(units[unit], 0).astype(np.uint32)
    return Arrangement(block_channels, cut, channel, flags, start, begin, begin + counts)


def list_entries(matrix: Matrix, made: Arrangement, channels: int, groups: int, tiling: Tiling) -> Stream:
    """The entries of ``matrix``, arranged as ``made`` for it says.

    Raises:
        FormatError: it was made for other weights.
    """
    words, coded = np.empty(made.start[-1], np.uint32), _is_coded(matrix)
    starts, columns, values = _rows(matrix)
    if tiling.T == 1:
        where = row_places(made.block_channels, channels, groups, tiling)
        check_fitting(list_rows(0, starts[1:], columns, values, coded, *where, made.begin, made.end, words))
    else:
        cursor, where = made.begin.copy(), pair_places(matrix, made.block_channels, channels, groups, tiling)
        fitted = walk_pairs(starts, columns, values, *where, coded, False, cursor, made.end, words)
        check_fitting(fitted and np.array_equal(cursor, made.end))
    return made.stream(words, matrix.codebook if coded else None, matrix.nonzeros)


def check_fitting(fitted: bool) -> None:
    """Make sure that weights have ``fitted`` their arrangement.

    Raises:
        FormatError: they have not.
    """
    if not fitted:
        raise FormatError("weights are others than when the model was loaded: its file has been written to; load it again")


def _counts(matrix: Matrix, block_channels: np.ndarray, channels: int, groups: int, tiling: Tiling) -> np.ndarray:
    """(blocks, units, lists) uint32: the entries of each list."""
    starts, columns, values = _rows(matrix)
    if tiling.lists == 1:
        counts = count_rows(starts, columns, block_channels, channels, groups, len(tiling.tap_vector))
        return np.ascontiguousarray(counts[:, :, None], np.uint32)
    if tiling.T == 1:
        return count_lists(starts, columns, block_channels, channels, groups, tiling).astype(np.uint32)
    where, none = pair_places(matrix, block_channels, channels, groups, tiling), np.empty(0, np.uint32)
    units, blocks = where[0], len(block_channels) - 1
    counts = np.zeros((blocks, len(units), tiling.lists), np.uint32)
    walk_pairs(starts, columns, values, *where, _is_coded(matrix), True, counts, counts, none)
    return counts


def _is_coded(matrix: Matrix) -> bool:
    return matrix.codes.dtype == np.uint8


def _rows(matrix: Matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(starts, columns, values): values are codes of 8 bits, or float32 as uint32."""
    lines = make_lines(matrix, by_rows=True)
    values = lines.code if lines.code.dtype in (np.uint8, np.float32) else matrix.codebook[lines.code]
    return lines.start, lines.minor, values if _is_coded(matrix) else values.view(np.uint32)


def cut_channels(channels: int, groups: int, block: int) -> np.ndarray:
    """Boundaries (blocks + 1,) int64 of blocks of at most ``block`` channels, none crossing a group's end unless it holds
    whole groups. There is one block at least."""
    size = channels // groups if groups else 0
    if size and block < size:
        steps = [np.arange(first, first + size, block) for first in range(0, channels, size)]
        return np.append(np.concatenate(steps), channels).astype(np.int64)
    step = max(1, block // max(1, size)) * max(1, size)
    return np.append(np.arange(0, max(channels, 1), step), channels).astype(np.int64)


def _cut_units(weights: np.ndarray, parts: int) -> np.ndarray:
    """Boundaries (parts + 1,) of runs of units with about equally many weights."""
    total = np.cumsum(weights + 1)
    goals = np.arange(1, parts) * (total[-1] / parts) if len(total) else np.zeros(parts - 1)
    return np.concatenate([[0], np.searchsorted(total, goals), [len(weights)]]).astype(np.int64)


def _visits(
    counts: np.ndarray, units: np.ndarray, rows: int, groups: int, together: int, parts: int
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Visits in order, as (block, unit, flags), and the ``block_visits`` of a :class:`Stream`."""
    blocks, sizes = len(counts), counts.sum(axis=2, dtype=np.int64)
    cuts = _cut_units(sizes.sum(axis=0), parts)
    wanted = sizes > 0
    wanted[0] |= ~wanted.any(axis=0)
    block, unit = np.nonzero(wanted)
    part = np.searchsorted(cuts, unit, side="right") - 1
    window = (block * parts + part) * (len(units) // WINDOW + 1) + unit // WINDOW
    rank = window * (sizes.max(initial=0) + 1) + sizes[block, unit]
    order = np.argsort(rank * len(units) + unit)  # one key: a lexicographic sort takes five times as long
    block, unit, part = block[order], unit[order], part[order]
    first = np.argmax(wanted, axis=0)
    last = blocks - 1 - np.argmax(wanted[::-1], axis=0)
    size = max(1, rows // groups)
    paired = (units + 1) % size != 0 if together > 1 else np.zeros(len(units), bool)
    flags = (block == first[unit]) * FIRST + (block == last[unit]) * LAST + (1 + paired[unit] << PRESENT)
    bounds = np.searchsorted(block * parts + part, np.arange(blocks * parts + 1))
    steps = np.arange(blocks)[:, None] * parts + np.arange(parts + 1)
    return (block, unit, flags.astype(np.uint8)), bounds[steps].astype(np.int64)
