"""How a convolution is cut into tiles and blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ...orders.made_once import made_once

ROWS, FLAT, DIRECT = range(3)
"""Shapes of a tile: ``R`` output rows of ``V`` columns; ``R * V`` positions of the flattened plane; the same, with inputs read
in place instead of packed."""

SHAPES = {"rows": ROWS, "flat": FLAT, "direct": DIRECT}
"""The shapes by their names."""

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
    def lined(self) -> Shape2D:
        """The same convolution, over a single row where a kernel of one column meets whole rows: its taps are rows apart."""
        whole = self.W == self.OW and self.begin[1] == 0 and self.strides == (1, 1)
        if not whole or self.kernel[1] > 1:
            return self
        (height, _), apart, before = self.kernel, self.W * self.dilations[0], self.W * self.begin[0]
        line = {"kernel": (1, height), "dilations": (1, apart), "begin": (0, before)}
        return replace(self, H=1, W=self.H * self.W, OH=1, OW=self.OH * self.OW, **line)

    @property
    def laid(self) -> Shape2D:
        """The same convolution, over a row where it is over a column: vectors are of elements of a row."""
        across = self.kernel[1], self.W, self.OW, self.begin[1]
        if across != (1, 1, 1, 0):
            return self
        turned = {"kernel": self.kernel, "strides": self.strides, "dilations": self.dilations}
        along = {name: (1, value[0]) for name, value in turned.items()}
        return replace(self, H=1, W=self.H, OH=1, OW=self.OH, begin=(0, self.begin[0]), **along)

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

    @property
    def lines(self) -> bool:
        """Whether each position of a kernel of one row meets consecutive inputs of the only one."""
        return self.H == self.OH == self.kernel[0] == self.strides[1] == 1 and self.begin[0] == 0

    def image(self, count: int, V: int) -> tuple[int, int]:
        """Rows of the padded copy of a channel from which ``count`` positions of the flattened output are packed, and elements
        of a row's phases; none where no copy is needed. Whole rows are copied, but of a single one, which may be long, what the
        positions meet."""
        return (0, 0) if self.lines else self.copy(count, min(self.OW, count) if self.OH == 1 else self.OW, V)

    def copy(self, count: int, across: int, V: int) -> tuple[int, int]:
        """Rows of the inputs that ``count`` positions of the flattened output meet, and elements of each of a row's phases that
        ``across`` outputs do, whole vectors of ``V``; there are as many phases as the stride."""
        extent = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        rows = min(self.OH, (count + self.OW - 2) // self.OW + 1)
        length = across + (extent[1] - 1) // self.strides[1]
        return (rows - 1) * self.strides[0] + extent[0], -(-length // V) * V

    @property
    def dense(self) -> int:
        """Weights, zeros included."""
        return self.M * (self.C // self.groups) * self.taps


@dataclass(frozen=True)
class Tiling:
    """What weights are prepared for: it does not depend on the size of the image, except that a direct tile has its pitch.

    A tile is ``T`` output channels, ``R`` vectors of ``V`` outputs each, of a ``shape`` of :data:`SHAPES`. ``block`` is how
    many input channels are visited at once. ``plane`` is the vectors between two channels that are read in place. A tile of
    rows whose sums are shifted has one copy of the inputs for each ``shifts`` columns of the kernel, and as many columns less
    one fewer than lanes.
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

    @property
    def phases(self) -> Mapping[int, tuple[int, int]]:
        """For each remainder of an input row by the stride that the kernel meets: (first, last) quotient."""
        return _phases(self.kernel[0], self.dilation_h, self.stride_h)

    @made_once
    def spans(self) -> np.ndarray:
        """(phases, 2) int64, of tiles of rows: the first input row of each phase, relative to the tile's first, and how many,
        ``stride_h`` apart, are packed for a channel in each copy."""
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
    def kinds(self) -> int:
        """Kinds of entries: of pairs of channels those for both, for the first and for the second."""
        return 3 if self.T == 2 else 1

    @property
    def lists(self) -> int:
        """Lists of entries of a visit."""
        return self.shifts * self.kinds

    @property
    def rows(self) -> int:
        """Vectors of a channel in each copy, of tiles of rows."""
        return sum(z - a + self.R for a, z in self.phases.values())

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


@lru_cache(maxsize=256)  # they come from files
def _phases(taps: int, dilation: int, stride: int) -> Mapping[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for k in range(taps):
        quotient, phase = divmod(k * dilation, stride)
        low, _ = found.get(phase, (quotient, quotient))
        found[phase] = (low, quotient)
    return found


def tiles(shape: Shape2D, tiling: Tiling) -> int:
    """Tiles of the whole output."""
    if tiling.shape == "rows":
        return shape.N * -(-shape.OH // tiling.R) * -(-shape.OW // tiling.columns)
    return shape.N * -(-shape.OH * shape.OW // (tiling.R * tiling.V))
