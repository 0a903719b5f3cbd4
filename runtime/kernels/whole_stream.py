"""Weights of a convolution most of which are not zero, in the order in which whole tiles walk them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .layout import Tiling
from .matrix import Matrix
from .stream import Stream, cut_channels
from .visits import FIRST, LAST, PRESENT
from .whole import listed_whole


def make_whole_stream(matrix: Matrix, channels: int, tiling: Tiling, parts: int) -> Stream:
    """Order the weights of an ungrouped convolution, rows being output channels and columns (input channel, kernel position).

    Every unit of ``tiling.T`` output channels has a visit in every block. Output channels are cut into ``parts`` of equally
    many units.
    """
    rows, codebook = whole_rows(matrix)
    units = -(-matrix.rows // tiling.T)
    grid = np.zeros((units * tiling.T, channels, len(tiling.tap_vector)), rows.dtype)
    grid[: matrix.rows] = rows.reshape(matrix.rows, *grid.shape[1:])
    blocks = cut_channels(channels, 1, tiling.block)
    by_unit = grid.reshape(units, tiling.T, *grid.shape[1:])
    words = [_words(by_unit[:, :, first:after]) for first, after in pairwise(blocks)]
    sizes = np.repeat([part.shape[1] for part in words], units)
    first, last = np.zeros((2, len(words), units), np.uint8)
    first[0], last[-1] = FIRST, LAST
    present = np.minimum(tiling.T, matrix.rows - tiling.T * np.arange(units)) << PRESENT
    cuts = np.arange(parts + 1) * units // parts
    offsets = np.arange(np.diff(blocks).max(initial=0))[:, None] * tiling.vectors + tiling.tap_vector
    return Stream(
        block_channels=blocks,
        block_visits=(np.arange(len(words))[:, None] * units + cuts).astype(np.int64),
        channel=np.append(np.tile(tiling.T * np.arange(units), len(words)), 0),
        flags=(first | last | present).astype(np.uint8).reshape(-1),
        start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        words=np.concatenate([part.reshape(-1) for part in words]),
        codebook=codebook,
        offsets=offsets.reshape(-1).astype(np.uint32),
        nonzeros=matrix.nonzeros,
    )


def whole_rows(matrix: Matrix) -> tuple[np.ndarray, np.ndarray | None]:
    """(rows, columns): uint8 codes with their codebook, or float32 weights without."""
    grid, codebook = listed_whole(matrix)
    rows = grid if matrix.by_rows else grid.T
    if rows.dtype == np.uint8:
        return rows, codebook
    return (rows if rows.dtype == np.float32 else codebook[rows]), None


def _words(block: np.ndarray) -> np.ndarray:
    """(units, words) uint32 of (units, T, channels, positions): at each position a code, or a float32 weight, a channel."""
    units, together = block.shape[:2]
    return np.ascontiguousarray(block.reshape(units, together, -1).transpose(0, 2, 1)).reshape(units, -1).view(np.uint32)
