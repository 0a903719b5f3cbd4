"""Weights of a convolution in the order in which its tiles walk them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._jit import jit
from .layout import Lanes
from .matrix import Matrix
from .tile import FIRST, LAST


@dataclass(frozen=True, eq=False)
class Stream:
    """What :func:`~tersor.runtime.kernels.tile.convolve` reads of the weights.

    ``block_channels`` (blocks + 1,) int64 and ``block_visits`` (blocks, parts + 1) int64 say which input channels and which
    visits belong to a block; ``channel`` int32 and ``flags`` uint8 describe a visit, ``start`` (visits + 1,) int64 its
    entries: ``offset`` uint16 in packed vectors, ``code`` an index into ``codebook`` (or a float32 weight).
    """

    block_channels: np.ndarray
    block_visits: np.ndarray
    channel: np.ndarray
    flags: np.ndarray
    start: np.ndarray
    offset: np.ndarray
    code: np.ndarray
    codebook: np.ndarray

    @property
    def nonzeros(self) -> int:
        """Weights that are multiplied."""
        return len(self.code)

    @property
    def bytes(self) -> int:
        """Memory of everything."""
        return sum(part.nbytes for part in vars(self).values())


def make_stream(matrix: Matrix, channels: int, groups: int, lanes: Lanes, parts: int) -> Stream:
    """Order the weights, rows being output channels and columns (input channel of the group, kernel position).

    Output channels are cut into ``parts`` of about equally many weights. Within a block and part, visits are sorted by their
    number of weights, so that the processor predicts where their loops end.
    """
    block_channels = cut_channels(channels, groups, lanes.block)
    block_of = np.repeat(np.arange(len(block_channels) - 1), np.diff(block_channels)).astype(np.int32)
    taps = lanes.kernel[0] * lanes.kernel[1]
    place = _place(matrix, channels, groups, taps)
    counts = np.zeros((len(block_channels) - 1, matrix.rows), np.int64)
    if matrix.columns:
        _count(*matrix.listing, *place, block_of, counts)
    channel, flags, start, block_visits = _visits(counts, _cut_rows(counts.sum(axis=0), parts))
    cursor = np.zeros_like(counts)
    block_index = np.repeat(np.arange(len(counts)), block_visits[:, -1] - block_visits[:, 0])
    cursor[block_index, channel] = start[:-1]
    offset = np.empty(start[-1], np.uint16)
    code = np.empty(start[-1], matrix.codes.dtype)
    if matrix.columns:
        in_block = (np.arange(channels) - block_channels[block_of]) * lanes.vectors
        _fill(*matrix.listing, *place, block_of, in_block, lanes.tap_vector, cursor, offset, code)
    return Stream(block_channels, block_visits, channel, flags, start, offset, code, matrix.codebook)


def cut_channels(channels: int, groups: int, block: int) -> np.ndarray:
    """Boundaries (blocks + 1,) int64 of blocks of at most ``block`` channels, none crossing a group's end unless it holds
    whole groups. There is one block at least."""
    size = channels // groups if groups else 0
    if size and block < size:
        steps = [np.arange(first, first + size, block) for first in range(0, channels, size)]
        return np.append(np.concatenate(steps), channels).astype(np.int64)
    step = max(1, block // max(1, size)) * max(1, size)
    return np.append(np.arange(0, max(channels, 1), step), channels).astype(np.int64)


def _cut_rows(weights: np.ndarray, parts: int) -> np.ndarray:
    """Boundaries (parts + 1,) of runs of rows with about equally many weights."""
    total = np.cumsum(weights + 1)
    goals = np.arange(1, parts) * (total[-1] / parts) if len(total) else np.zeros(parts - 1)
    return np.concatenate([[0], np.searchsorted(total, goals), [len(weights)]]).astype(np.int64)


def _visits(counts: np.ndarray, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Visits in order: (channel, flags, start, block_visits)."""
    blocks = len(counts)
    wanted = counts > 0
    wanted[0] |= ~wanted.any(axis=0)
    block, channel = np.nonzero(wanted)
    size = counts[block, channel]
    part = np.searchsorted(cuts, channel, side="right") - 1
    order = np.lexsort((channel, size, part, block))
    block, channel, size, part = block[order], channel[order], size[order], part[order]
    first = np.argmax(wanted, axis=0)
    last = blocks - 1 - np.argmax(wanted[::-1], axis=0)
    flags = (block == first[channel]) * FIRST + (block == last[channel]) * LAST
    keys = block * (len(cuts) - 1) + part
    bounds = np.searchsorted(keys, np.arange(blocks * (len(cuts) - 1) + 1))
    steps = np.arange(blocks)[:, None] * (len(cuts) - 1) + np.arange(len(cuts))
    start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    return channel.astype(np.int32), flags.astype(np.uint8), start, bounds[steps].astype(np.int64)


def _place(matrix: Matrix, channels: int, groups: int, taps: int) -> tuple[int, int, int]:
    """(kernel positions, input channels of a group, output channels of a group)."""
    return taps, channels // groups, max(1, matrix.rows // groups)


@jit
def _is_zero(codes, dead, entry):
    if dead is None:
        return codes[entry] == 0
    return dead[codes[entry]]


@jit
def _count(starts, minors, codes, dead, full, minor_length, by_rows, taps, inputs, outputs, block_of, counts):
    """Add up the nonzero weights of each (block, row)."""
    majors = len(codes) // max(1, minor_length) if full else len(starts) - 1
    for major in range(majors):
        begin = major * minor_length if full else starts[major]
        end = begin + minor_length if full else starts[major + 1]
        for entry in range(begin, end):
            if not _is_zero(codes, dead, entry):
                minor = entry - begin if full else np.int64(minors[entry])
                row, column = (major, minor) if by_rows else (minor, major)
                counts[block_of[row // outputs * inputs + column // taps], row] += 1


@jit
def _fill(
    starts, minors, codes, dead, full, minor_length, by_rows, taps, inputs, outputs, block_of, in_block, tap_vector,
    cursor, offset, code,
):  # fmt: skip
    """Write each nonzero weight where ``cursor`` (block, row) stands, and move the cursor on."""
    majors = len(codes) // max(1, minor_length) if full else len(starts) - 1
    for major in range(majors):
        begin = major * minor_length if full else starts[major]
        end = begin + minor_length if full else starts[major + 1]
        for entry in range(begin, end):
            if not _is_zero(codes, dead, entry):
                minor = entry - begin if full else np.int64(minors[entry])
                row, column = (major, minor) if by_rows else (minor, major)
                source = row // outputs * inputs + column // taps
                at = cursor[block_of[source], row]
                cursor[block_of[source], row] = at + 1
                offset[at] = in_block[source] + tap_vector[column % taps]
                code[at] = codes[entry]
