"""Weights of a convolution in the order in which its tiles walk them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...format_spec.errors import FormatError
from ._jit import jit
from .layout import Tiling
from .lines import make_lines
from .matrix import Layout, Matrix
from .tile import OFFSET
from .visits import FIRST, LAST, PRESENT


@dataclass(frozen=True, eq=False)
class Stream(Layout):
    """What :func:`~tersor.runtime.kernels.convolve.convolve` reads of the weights.

    ``block_channels`` (blocks + 1,) int64 and ``block_visits`` (blocks, parts + 1) int64 say which input channels and which
    visits belong to a block; ``channel`` uint32 (one element more than visits) and ``flags`` uint8 describe a visit. ``words``
    uint32 holds the entries and ``start`` uint32 where those of each visit begin: of its one channel, or with pairs of channels
    those of both, of the first and of the second. An entry is one word: a ``codebook`` index of 8 bits for each channel that it
    is for, and in its high 16 bits the offset in packed vectors. Without a codebook it is a word for the offset and one for
    each float32 weight.
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

    ``begin`` and ``end`` (blocks, units, lists) int64 say where in the words each list of entries lies.
    """

    block_channels: np.ndarray
    block_visits: np.ndarray
    channel: np.ndarray
    flags: np.ndarray
    start: np.ndarray
    begin: np.ndarray
    end: np.ndarray


def make_stream(matrix: Matrix, channels: int, groups: int, tiling: Tiling, parts: int) -> Stream:
    """Order the weights, rows being output channels and columns (input channel of the group, kernel position).

    Output channels are cut into ``parts`` of about equally many weights. Within a block and part, visits are sorted by their
    number of weights, so that the processor predicts where their loops end.
    """
    return list_entries(matrix, arrange(matrix, channels, groups, tiling, parts), channels, groups, tiling)


def arrange(matrix: Matrix, channels: int, groups: int, tiling: Tiling, parts: int) -> Arrangement:
    """Everything but the entries, see :func:`make_stream`."""
    block_channels = cut_channels(channels, groups, tiling.block)
    units, lists = _units(matrix.rows, groups, tiling.T), 2 * tiling.T - 1
    counts, none = np.zeros((len(block_channels) - 1, len(units), lists), np.int64), np.empty(0, np.uint32)
    _walk(matrix, block_channels, channels, groups, tiling, True, counts, counts, none)
    (block, unit, flags), cut = _visits(counts, units, matrix.rows, groups, parts)
    words = [1 if _is_coded(matrix) else 1 + (tiling.T if i == 0 else 1) for i in range(lists)]
    start = np.concatenate([[0], np.cumsum(counts[block, unit] * words)]).astype(np.int64)
    begin = np.zeros_like(counts)
    begin[block, unit] = start[:-1].reshape(-1, lists)
    channel = np.append(units[unit], 0).astype(np.uint32)
    return Arrangement(block_channels, cut, channel, flags, start.astype(np.uint32), begin, begin + counts * words)


def list_entries(matrix: Matrix, made: Arrangement, channels: int, groups: int, tiling: Tiling) -> Stream:
    """The entries of ``matrix``, arranged as ``made`` for it says.

    Raises:
        FormatError: it was made for other weights.
    """
    words, cursor = np.empty(made.start[-1], np.uint32), made.begin.copy()
    fitted = _walk(matrix, made.block_channels, channels, groups, tiling, False, cursor, made.end, words)
    if not fitted or not np.array_equal(cursor, made.end):
        raise FormatError("weights are others than when the model was loaded: its file has been written to; load it again")
    described = made.block_channels, made.block_visits, made.channel, made.flags, made.start
    return Stream(*described, words, matrix.codebook if _is_coded(matrix) else None, matrix.nonzeros)


def _walk(
    matrix: Matrix, block_channels: np.ndarray, channels: int, groups: int, tiling: Tiling, counting: bool, cursor: np.ndarray,
    end: np.ndarray, words: np.ndarray,
) -> bool:  # fmt: skip
    """Count the entries of each list in ``cursor``, or write them where it stands. ``False`` when a list would pass its end."""
    block_of = np.repeat(np.arange(len(block_channels) - 1), np.diff(block_channels))
    units, outputs = _units(matrix.rows, groups, tiling.T), max(1, matrix.rows // groups)
    channel_of, tap_of = np.divmod(np.arange(matrix.columns), len(tiling.tap_vector))
    vector_of = channel_of * tiling.vectors + tiling.tap_vector[tap_of]
    place = units, outputs, units // outputs * (channels // groups), channel_of, vector_of, block_of, block_channels
    walk = _walk_rows if tiling.T == 1 else _walk_pairs
    return walk(*_rows(matrix), *place, tiling.vectors, _is_coded(matrix), counting, cursor, end, words)


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


def _units(rows: int, groups: int, together: int) -> np.ndarray:
    """First output channel of each unit that is visited at once, int64: up to ``together`` neighbours of one group."""
    size = max(1, rows // groups)
    return np.concatenate(
        [np.arange(first, first + size, together) for first in range(0, rows, size)] or [np.zeros(0, np.int64)]
    )


def _cut_units(weights: np.ndarray, parts: int) -> np.ndarray:
    """Boundaries (parts + 1,) of runs of units with about equally many weights."""
    total = np.cumsum(weights + 1)
    goals = np.arange(1, parts) * (total[-1] / parts) if len(total) else np.zeros(parts - 1)
    return np.concatenate([[0], np.searchsorted(total, goals), [len(weights)]]).astype(np.int64)


def _visits(
    counts: np.ndarray, units: np.ndarray, rows: int, groups: int, parts: int
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Visits in order, as (block, unit, flags), and the ``block_visits`` of a :class:`Stream`."""
    blocks, sizes = len(counts), counts.sum(axis=2)
    cuts = _cut_units(sizes.sum(axis=0), parts)
    wanted = sizes > 0
    wanted[0] |= ~wanted.any(axis=0)
    block, unit = np.nonzero(wanted)
    part = np.searchsorted(cuts, unit, side="right") - 1
    rank = (block * parts + part) * (sizes.max(initial=0) + 1) + sizes[block, unit]
    order = np.argsort(rank * len(units) + unit)  # one key: a lexicographic sort takes five times as long
    block, unit, part = block[order], unit[order], part[order]
    first = np.argmax(wanted, axis=0)
    last = blocks - 1 - np.argmax(wanted[::-1], axis=0)
    size = max(1, rows // groups)
    paired = (units + 1) % size != 0 if counts.shape[2] > 1 else np.zeros(len(units), bool)
    flags = (block == first[unit]) * FIRST + (block == last[unit]) * LAST + (1 + paired[unit] << PRESENT)
    bounds = np.searchsorted(block * parts + part, np.arange(blocks * parts + 1))
    steps = np.arange(blocks)[:, None] * parts + np.arange(parts + 1)
    return (block, unit, flags.astype(np.uint8)), bounds[steps].astype(np.int64)


@jit
def _walk_rows(
    starts, columns, codes, units, outputs, first_input, channel_of, vector_of, block_of, block_channels, vectors, coded,
    counting, cursor, end, words,
):  # fmt: skip
    """As :func:`_walk_pairs` where a unit is a row: its entries of one block follow one another.

    Indices of the inner loops are unsigned: signed ones are looked at for their sign, which takes longer than the rest.
    """
    for u in range(len(units)):
        i, last, first = np.uint64(starts[units[u]]), np.uint64(starts[units[u] + 1]), first_input[u]
        while i < last:
            block = block_of[first + channel_of[columns[i]]]
            after, base = block_channels[block + 1] - first, np.uint32((first - block_channels[block]) * vectors)
            at, begin, beyond = np.uint64(cursor[block, u, 0]), i, last
            i += np.uint64(1)
            while i < beyond:
                middle = (i + beyond) >> np.uint64(1)
                if channel_of[columns[middle]] < after:
                    i = middle + np.uint64(1)
                else:
                    beyond = middle
            length = np.int64(i - begin)
            cursor[block, u, 0] += length if counting or coded else 2 * length
            if counting:
                continue
            if cursor[block, u, 0] > end[block, u, 0]:
                return False
            if coded:
                for k in range(begin, i):
                    words[at] = (base + vector_of[columns[k]]) << np.uint32(OFFSET) | np.uint32(codes[k])
                    at += np.uint64(1)
            else:
                for k in range(begin, i):
                    words[at], words[at + np.uint64(1)] = base + vector_of[columns[k]], np.uint32(codes[k])
                    at += np.uint64(2)
    return True


@jit
def _walk_pairs(
    starts, columns, codes, units, outputs, first_input, channel_of, vector_of, block_of, block_channels, vectors, coded,
    counting, cursor, end, words,
):  # fmt: skip
    """Merge the rows of each unit: count entries in ``cursor`` (block, unit, list), or write them where it stands.

    ``first_input`` (units,) is the first input channel of a unit's group; ``channel_of`` and ``vector_of`` (columns,) are what
    a column adds to it, and to the group's first packed vector: divisions would take longer than everything else.
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
            which = 0 if left == right else (1 if left < right else 2)
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
