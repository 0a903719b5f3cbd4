"""How a convolution is cut into tiles and blocks, chosen by a cost model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

from ._property import made_once
from .host import first_cache

ROWS, FLAT, DIRECT = range(3)
"""Shapes of a tile: ``R`` output rows of ``V`` columns; ``R * V`` positions of the flattened plane; the same, with inputs read
in place instead of packed."""

SHAPES = {"rows": ROWS, "flat": FLAT, "direct": DIRECT}
"""The shapes by their names."""

HEIGHTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 20, 24, 28)
WIDTHS = (8, 16)

BLOCK_BYTES = (24 << 10, 50 << 10, 64 << 10, 256 << 10)
"""Packed inputs of one block: those of the first fit a 32 KiB first-level cache beside the stream of weights, those of the
second nearly fit one of 48 KiB."""

LOADS = (1.0, 1.2 if first_cache() >= 48 << 10 else 1.45, 1.5, 1.9)
"""Cycles of a load, when there are many, by the :data:`BLOCK_BYTES` that the inputs of a block fit."""

MULTIPLY_ADD = 1.1
"""Cycles of a multiply-add whose input is in a register, on a core of which another processor uses a part."""

VISITED = {1: 30, 2: 75}
"""Cycles that a visit takes beside its entries, by its channels: two walk three lists."""

PARTIAL = 22
"""Cycles by which it takes longer to store a vector of a tile that reaches over an edge."""

SHIFTED_LIST = 30
"""Cycles that each list of a visit takes beside its entries and the shifts, but for the first."""

VISIT_PREPARED, ENTRY_PREPARED = 150, {1: 9, 2: 28}
"""Cycles of preparing one visit, and one weight by the channels of a tile: the entries of two have to be merged. Where a visit
begins is known from the first run, but takes memory, which is counted as cycles here."""

NEAR, FAR = 1 << 17, 1 << 19
"""Elements of inputs or outputs that stay in the second-level cache, at most, and in one that all cores share."""

STORED = (4, 13, 40)
"""Cycles of a vector of outputs where they stay near, between, and where they are far, and not in one run."""

MOST_ENTRIES = 1 << 30
"""Weights whose words can be counted in 32 bits, whatever they hold."""

MOST_VECTORS = 1 << 16
"""Vectors that the offset of an entry can tell apart."""


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
    def pointwise(self) -> bool:
        """Whether each output position meets only the input at the same place."""
        return self.kernel == self.strides == (1, 1) and self.begin == (0, 0) and (self.H, self.W) == (self.OH, self.OW)

    @property
    def flattened(self) -> Shape2D:
        """The same convolution, over a single row when it is pointwise."""
        return replace(self, H=1, W=self.H * self.W, OH=1, OW=self.OH * self.OW) if self.pointwise else self

    @property
    def covers_input(self) -> bool:
        """Whether the one output position is a product of all inputs with all weights."""
        spread = any(k > 1 and d > 1 for k, d in zip(self.kernel, self.dilations, strict=True))  # then some taps meet padding
        covers = self.kernel == (self.H, self.W) and (self.OH, self.OW) == (1, 1) and self.begin == (0, 0)
        return covers and self.groups == 1 and not spread

    @property
    def taps(self) -> int:
        """Positions in the kernel."""
        return self.kernel[0] * self.kernel[1]

    def image(self, count: int, V: int) -> tuple[int, int]:
        """Rows of the padded copy of a channel from which ``count`` positions of the flattened output are packed, and elements
        of a row's phases, of which there are as many as the stride; none where no copy is needed. ``V`` are a vector's."""
        if self.pointwise and self.H == 1:
            return 0, 0
        extent = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        rows = min(self.OH, (count + self.OW - 2) // self.OW + 1)
        length = self.OW + (extent[1] - 1) // self.strides[1]
        return (rows - 1) * self.strides[0] + extent[0], -(-length // V) * V

    @property
    def stored(self) -> int:
        """Cycles of storing a vector of outputs among others of its row, by where they are kept."""
        outputs = self.M * self.OH * self.OW
        return STORED[(outputs > NEAR) + (outputs > FAR)]

    @property
    def dense(self) -> int:
        """Weights, zeros included."""
        return self.M * (self.C // self.groups) * self.taps


@dataclass(frozen=True)
class Tiling:
    """What weights are prepared for: it does not depend on the size of the image, except that a direct tile has its pitch.

    A tile is ``T`` output channels, ``R`` vectors of ``V`` outputs each, of a ``shape`` of :data:`SHAPES`. ``block`` is how
    many input channels are packed at once. ``plane`` is the vectors between two channels that are read in place. A tile of rows
    whose sums are shifted has one copy of the inputs for each ``shifts`` columns of the kernel, and as many columns less one
    fewer than lanes.
    """

    T: int
    R: int
    V: int
    shape: str
    block: int
    kernel: tuple[int, int] = (1, 1)
    stride_h: int = 1
    dilation_h: int = 1
    plane: int = 0
    shifts: int = 1

    @made_once
    def phases(self) -> dict[int, tuple[int, int]]:
        """For each remainder of an input row by the stride that the kernel meets: (first, last) quotient."""
        found: dict[int, tuple[int, int]] = {}
        for k in range(self.kernel[0]):
            quotient, phase = divmod(k * self.dilation_h, self.stride_h)
            low, _ = found.get(phase, (quotient, quotient))
            found[phase] = (low, quotient)
        return found

    @made_once
    def spans(self) -> np.ndarray:
        """(phases, 2) int64, of tiles of rows: the first input row of each phase, relative to the tile's first, and how many,
        ``stride_h`` apart, are packed for a channel and kernel column."""
        found = [(a * self.stride_h + phase, z - a + self.R) for phase, (a, z) in self.phases.items()]
        return np.array(found, np.int64)

    @property
    def columns(self) -> int:
        """Columns of a tile of rows, or positions of the flattened plane."""
        return self.V - self.shifts + 1 if self.shape == "rows" else self.R * self.V

    @property
    def copies(self) -> int:
        """How often the inputs of tiles of rows are packed, for other columns of the kernel."""
        return -(-self.kernel[1] // self.shifts)

    @property
    def lists(self) -> int:
        """Lists of entries of a visit."""
        return 3 if self.T == 2 else self.shifts

    @property
    def rows(self) -> int:
        """Vectors of a channel in each copy, of tiles of rows."""
        return int(self.spans[:, 1].sum())

    @made_once
    def tap_vector(self) -> np.ndarray:
        """(KH * KW,) int64: the first of the vectors of a channel that a weight at each kernel position meets."""
        if self.shape != "rows":
            return np.arange(self.kernel[0] * self.kernel[1]) * self.R
        first = []
        for k in range(self.kernel[0]):
            quotient, phase = divmod(k * self.dilation_h, self.stride_h)
            before = 0
            for other, (a, z) in self.phases.items():
                if other == phase:
                    first.append(before + quotient - a)
                    break
                before += z - a + self.R
        columns = np.arange(self.kernel[1]) // self.shifts * self.rows
        return (np.array(first)[:, None] + columns).reshape(-1).astype(np.int64)

    @property
    def vectors(self) -> int:
        """Vectors from one channel's inputs to the next channel's."""
        if self.shape == "direct":
            return self.plane
        return self.rows * self.copies if self.shape == "rows" else self.kernel[0] * self.kernel[1] * self.R

    @property
    def packed(self) -> int:
        """Vectors that are written for one channel."""
        return 0 if self.shape == "direct" else self.vectors


def visits(shape: Shape2D, tiling: Tiling) -> int:
    """Visits of one tile, if each unit of channels has weights in each block."""
    return -(-shape.M // tiling.T) * max(1, -(-shape.C // shape.groups // tiling.block))


def tiles(shape: Shape2D, tiling: Tiling) -> int:
    """Tiles of the whole output."""
    if tiling.shape == "rows":
        return shape.N * -(-shape.OH // tiling.R) * -(-shape.OW // tiling.columns)
    return shape.N * -(-shape.OH * shape.OW // (tiling.R * tiling.V))


@lru_cache(maxsize=1024)  # streamed weights ask in every run
def choose(
    shape: Shape2D, nonzeros: int, registers: tuple[int, int], parts: int = 1, *, passing: bool = False
) -> Tiling | None:
    """The cheapest way to run a convolution that has ``nonzeros`` weights on ``parts`` threads; ``registers`` as from
    :func:`host_registers`.

    ``passing`` weights are prepared for each run, which counts: for single output channels it is quicker, and for few visits.
    There is no way for a kernel of more positions than offsets can tell apart, nor for more weights than can be counted.
    """
    if nonzeros > MOST_ENTRIES:
        return None

    def cycles(tiling: Tiling) -> float:
        return cost(shape, tiling, nonzeros, registers[1], parts, passing=passing)

    return min(_candidates(shape, registers), key=cycles, default=None)


def _candidates(shape: Shape2D, registers: tuple[int, int]) -> Iterator[Tiling]:
    count, width = registers
    size, together = shape.C // shape.groups, shape.M // shape.groups
    for V, T in product(WIDTHS, [T for T in (1, 2) if together >= T or T == 1]):
        for R in HEIGHTS:
            if T * R * max(1, V // width) > count - 3 - T:
                break
            tiling = Tiling(T, R, V, "rows", 1, shape.kernel, shape.strides[0], shape.dilations[0])
            if R <= shape.OH and shape.OH > 1:
                for shifts in range(1, 1 + _most_shifts(shape, tiling, registers)):
                    yield from _blocked(replace(tiling, shifts=shifts), size)
            if R * V < shape.OH * shape.OW + V:
                yield from _blocked(replace(tiling, shape="flat"), size)
                plane = shape.OH * shape.OW // V
                # Only tiles that reach over no edge are read in place: a part of one would reach over the last plane's end.
                if shape.pointwise and plane <= MOST_VECTORS and shape.OH * shape.OW % (R * V) == 0:
                    yield replace(tiling, shape="direct", block=balanced(size, MOST_VECTORS // plane), plane=plane)


def _most_shifts(shape: Shape2D, tiling: Tiling, registers: tuple[int, int]) -> int:
    """Columns of the kernel between which sums may be shifted: half of the lanes stay, and no register is spilled."""
    count, width = registers
    if tiling.T > 1 or shape.strides[1] > 1 or shape.dilations[1] > 1 or tiling.R * max(1, tiling.V // width) > count - 6:
        return 1
    return min(shape.kernel[1], tiling.V // 2)


def _blocked(single: Tiling, channels: int) -> Iterator[Tiling]:
    """``single`` with the numbers of channels that fill each of :data:`BLOCK_BYTES`."""
    vectors = single.vectors
    fitting = {balanced(channels, max(1, size // (vectors * single.V * 4))) for size in BLOCK_BYTES}
    for block in sorted(fitting):
        if block * vectors <= MOST_VECTORS:
            yield replace(single, block=block)


def balanced(channels: int, most: int) -> int:
    """Channels to a block, at most ``most``, so that a group's blocks are about equally large."""
    if channels == 0 or most >= channels:
        return max(1, channels)
    return -(-channels // -(-channels // most))


def cost(shape: Shape2D, tiling: Tiling, nonzeros: int, width: int = 16, parts: int = 1, *, passing: bool = False) -> float:
    """Estimated cycles of ``parts`` threads on cores whose vectors have ``width`` lanes.

    An entry costs its loads, which take longer than its multiply-adds; read in place, inputs lie further apart. A visit
    mispredicts the ends of its loops and, unless one block holds all channels, loads and stores sums in the second-level
    cache. Every output is scaled and stored, in parts where a tile reaches over an edge; every packed vector is loaded and
    stored. The numbers were fitted to the times of 1,400 tilings of 28 layers at three densities; among other layers of a
    network, entries take an eighth longer than alone.
    """
    T, R, V = tiling.T, tiling.R, tiling.V
    wide = max(1, V // width)
    channels = shape.C // shape.groups
    blocks = max(1, -(-channels // tiling.block))
    both = nonzeros / max(1, shape.dense) * nonzeros / 2 if T == 2 else 0.0
    held = min(tiling.block, channels) * (R * V if tiling.shape == "direct" else tiling.vectors * V) * 4
    load = LOADS[sum(held > size for size in BLOCK_BYTES[:-1])] * (1.4 if tiling.shape == "direct" else 1.0)
    walked = 1.12 * ((nonzeros - 2 * both) * (R * wide * load + 2) + both * (R * wide * max(load, 2 * MULTIPLY_ADD) + 2))
    visited = visits(shape, tiling) * (VISITED[T] + (4 * T * R * wide if blocks > 1 else 0))
    visited += visits(shape, tiling) * (tiling.shifts - 1) * (SHIFTED_LIST + R * wide)
    twice = tiling.shifts > 1 and tiling.columns < shape.OW  # then cache lines are written by two tiles
    line = shape.stored if tiling.shape == "rows" else min(STORED[1], shape.stored)
    stored = shape.M * R * wide * (line * (1 + twice) + PARTIAL * (1 - _inside(shape, tiling)))
    fetched = (shape.C * shape.H * shape.W > FAR) * 30 / tiling.copies
    packed = shape.C * tiling.packed * wide * ((10 if shape.strides[1] == 1 else 15) + fetched)
    prepared = VISIT_PREPARED * visits(shape, tiling) + ENTRY_PREPARED[T] * nonzeros if passing else 0
    return spread(tiles(shape, tiling), parts, parts, walked + visited + stored, packed + 1000) + prepared


def spread(count: int, parts: int, shares: int, divided: float, repeated: float) -> float:
    """Cycles until ``parts`` threads have done ``count`` equal pieces of work, when each of those that are left over is cut
    into ``shares``: they divide ``divided`` cycles of it and all repeat ``repeated``."""
    whole, left = divmod(count, parts)
    return whole * (divided + repeated) + -(-left * shares // parts) * (divided / shares + repeated)


def _inside(shape: Shape2D, tiling: Tiling) -> float:
    """Share of tiles that reach over no edge."""
    if tiling.shape == "rows":
        strips = -(-shape.OW // tiling.columns) if tiling.shifts > 1 else shape.OW // tiling.V
        return shape.N * (shape.OH // tiling.R) * strips / tiles(shape, tiling)
    return shape.N * (shape.OH * shape.OW // (tiling.R * tiling.V)) / tiles(shape, tiling)
