"""How a convolution is cut into tiles and blocks, chosen by a cost model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

BLOCK_BYTES = 24 << 10
"""Packed inputs of one block: they stay in a 32 KiB first-level cache beside the stream of weights and one tile of sums."""

HEIGHTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16)
WIDTHS = (8, 16)


@dataclass(frozen=True)
class Shape2D:
    """A convolution in two dimensions: (N, C, H, W) by (M, C / groups, KH, KW) to (N, M, OH, OW)."""

    N: int
    C: int
    H: int
    W: int
    M: int
    OH: int
    OW: int
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    begin: tuple[int, int] = (0, 0)
    groups: int = 1

    @property
    def flattened(self) -> Shape2D:
        """The same convolution over a single row, when each output position meets only the input at the same place."""
        pointwise = self.kernel == (1, 1) and self.strides == (1, 1) and self.begin == (0, 0)
        if not pointwise or (self.H, self.W) != (self.OH, self.OW):
            return self
        return replace(self, H=1, W=self.H * self.W, OH=1, OW=self.OH * self.OW)

    @property
    def covers_input(self) -> bool:
        """Whether the one output position is a product of all inputs with all weights."""
        return self.kernel == (self.H, self.W) and (self.OH, self.OW) == (1, 1) and self.begin == (0, 0) and self.groups == 1

    @property
    def taps(self) -> int:
        """Positions in the kernel."""
        return self.kernel[0] * self.kernel[1]


@dataclass(frozen=True)
class Lanes:
    """What weights are prepared for: it does not depend on the size of the image.

    A tile is ``R`` vectors of ``V`` outputs: ``R`` output rows, or with ``along_columns`` ``R * V`` outputs of one row.
    ``block`` is how many input channels are packed at once.
    """

    R: int
    V: int
    along_columns: bool
    block: int
    kernel: tuple[int, int]
    stride_h: int
    dilation_h: int

    @cached_property
    def phases(self) -> dict[int, tuple[int, int]]:
        """For each remainder of an input row by the stride that the kernel meets: (first, last) quotient."""
        found: dict[int, tuple[int, int]] = {}
        for k in range(self.kernel[0]):
            quotient, phase = divmod(k * self.dilation_h, self.stride_h)
            low, _ = found.get(phase, (quotient, quotient))
            found[phase] = (low, quotient)
        return found

    @cached_property
    def row_input(self) -> np.ndarray:
        """Input row, relative to the tile's first, of each packed vector of one channel and kernel column, int64."""
        if self.along_columns:
            return np.repeat(np.arange(self.kernel[0]) * self.dilation_h, self.R).astype(np.int64)
        spans = [q * self.stride_h + phase for phase, (a, z) in self.phases.items() for q in range(a, z + self.R)]
        return np.array(spans, np.int64)

    @cached_property
    def row_shift(self) -> np.ndarray:
        """Output column, relative to the tile's first, of each packed vector of one channel and kernel column, int64."""
        if self.along_columns:
            return np.tile(np.arange(self.R) * self.V, self.kernel[0]).astype(np.int64)
        return np.zeros(len(self.row_input), np.int64)

    @cached_property
    def tap_vector(self) -> np.ndarray:
        """(KH * KW,) int64: the first of the packed vectors of a channel that a weight at each kernel position meets."""
        first = []
        for k in range(self.kernel[0]):
            quotient, phase = divmod(k * self.dilation_h, self.stride_h)
            before = 0
            for other, (a, z) in self.phases.items():
                if other == phase:
                    first.append(before + quotient - a)
                    break
                before += z - a + self.R
        rows = np.arange(self.kernel[0]) * self.R if self.along_columns else np.array(first)
        columns = np.arange(self.kernel[1]) * len(self.row_input)
        return (rows[:, None] + columns).reshape(-1).astype(np.int64)

    @property
    def vectors(self) -> int:
        """Packed vectors of one channel."""
        return len(self.row_input) * self.kernel[1]


def tiles(shape: Shape2D, lanes: Lanes) -> int:
    """Tiles of the whole output."""
    columns = lanes.V * (lanes.R if lanes.along_columns else 1)
    bands = 1 if lanes.along_columns else -(-shape.OH // lanes.R)
    return shape.N * bands * -(-shape.OW // columns)


def choose(shape: Shape2D, nonzeros: int, registers: tuple[int, int]) -> Lanes:
    """The cheapest way to run a convolution that has ``nonzeros`` weights; ``registers`` as from :func:`host_registers`."""
    return min(_candidates(shape, registers), key=lambda lanes: cost(shape, lanes, nonzeros))


def _candidates(shape: Shape2D, registers: tuple[int, int]) -> Iterator[Lanes]:
    count, width = registers
    along = shape.OH == 1
    span = -(-shape.OW // min(WIDTHS)) if along else shape.OH
    for V in WIDTHS:
        for R in HEIGHTS:
            if R * max(1, V // width) <= count - 4 and (span >= R or R == 1):
                single = Lanes(R, V, along, 1, shape.kernel, shape.strides[0], shape.dilations[0])
                fitting = max(1, BLOCK_BYTES // (single.vectors * V * 4))
                yield replace(single, block=balanced(shape.C // shape.groups, fitting))


def balanced(channels: int, most: int) -> int:
    """Channels to a block, at most ``most``, so that a group's blocks are about equally large."""
    if channels == 0 or most >= channels:
        return most
    return -(-channels // -(-channels // most))


def cost(shape: Shape2D, lanes: Lanes, nonzeros: int) -> float:
    """Estimated cycles of one core, in the terms of a machine that multiplies 16 lanes a cycle.

    A weight costs its multiply-adds and 1.7 cycles for finding what to multiply; a visit of a channel loads and stores the
    tile's sums unless one block holds all, and mispredicts the end of its loop; an output is scaled and stored; a vector is
    packed by a load and a store, lane by lane when the stride is not 1.
    """
    vector = lanes.R * lanes.V / 16
    channels = shape.C // shape.groups
    blocks = max(1, -(-channels // lanes.block))
    visits = min(nonzeros, shape.M * blocks) if blocks > 1 else shape.M
    walked = nonzeros * (vector + 1.7) + visits * ((3 * vector if blocks > 1 else 0) + 12) + shape.M * 3 * vector
    packed = shape.C * lanes.vectors * (2 + lanes.V / 16 if shape.strides[1] == 1 else 1.2 * lanes.V)
    return tiles(shape, lanes) * (walked + packed)
