"""A convolution by Winograd's method: how it is cut, what it costs, and the weights in its order."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from ..layout import Shape2D
from ..matrix import Matrix
from ..pieces import Cut, InPieces, register_tile
from ..whole import whole_rows
from .convolve import winograd_convolver
from .transforms import OUTPUTS, POINTS, PRODUCTS, TAPS

VECTORS, INPUT_BYTES = 3, 1800 << 10
"""Vectors of a piece, and the most bytes of its transformed inputs: one vector less where they are more."""

CHUNK = 16
"""Output channels whose kernels and sums stay in a second-level cache between the steps."""

PAD = 16
"""Elements between the vectors of one product and the next, so that 36 of them lie in as many sets of a cache."""


def tiles(shape: Shape2D) -> tuple[int, int]:
    """Tiles of an image: (down, across)."""
    return -(-shape.OH // OUTPUTS), -(-shape.OW // OUTPUTS)


def fits(shape: Shape2D) -> bool:
    """Whether the method can do a convolution."""
    return shape.kernel == (TAPS, TAPS) and shape.strides == shape.dilations == (1, 1) and shape.groups == 1


def cut_winograd(shape: Shape2D, registers: tuple[int, int]) -> Cut:
    """How a convolution is cut for a processor, ``registers`` being those of :func:`host_registers`."""
    T, R, V = register_tile(registers)
    down, across = tiles(shape)
    total = -(-down * across // V)
    wanted = VECTORS if 4 * PRODUCTS * V * shape.C * VECTORS <= INPUT_BYTES else VECTORS - 1
    return Cut(T, R, V, total, max(1, round(total / wanted)), min(CHUNK, -(-shape.M // T) * T), shape.C)


def cost_winograd(shape: Shape2D, cut: Cut) -> float:
    """Estimated cycles of one core, on the scale of :func:`tersor.runtime.kernels.layout.cost`.

    Kernels are transformed for every piece, which takes longer when those of a chunk fill the second-level cache, as the inputs
    that are multiplied do.
    """
    kernels, wide = shape.C * shape.M, cut.V / 16
    of_vector = 1000 * shape.C + 500 * shape.M + 1.25 * PRODUCTS * cut.cycles * kernels
    of_piece = kernels / 16 * (600 if 4 * PRODUCTS * shape.C * cut.chunk <= INPUT_BYTES else 1200)
    return shape.N * (cut.total * wide * of_vector + cut.pieces * of_piece)


def winograd_weights(matrix: Matrix, channels: int, T: int, V: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights whose rows are output channels and whose columns (input channel, kernel position): (units, groups, 9, V), and
    their codebook. A unit is ``T`` output channels, a group the vector of ``V / T`` input channels for each of them."""
    rows, codebook = whole_rows(matrix)
    units, per = -(-matrix.rows // T), V // T
    groups = -(-channels // per)
    grid = np.zeros((units * T, groups * per, TAPS * TAPS), rows.dtype)
    grid[: matrix.rows, :channels] = rows.reshape(matrix.rows, channels, -1)
    ordered = grid.reshape(units, T, groups, per, -1).transpose(0, 2, 4, 3, 1)
    return np.ascontiguousarray(ordered).reshape(units, groups, TAPS * TAPS, V), codebook


class WinogradConv(InPieces):
    """A convolution by Winograd's method; pieces are of tiles."""

    @property
    def density(self) -> float:
        """Products of a tile, of the multiplications of its outputs."""
        return PRODUCTS / (OUTPUTS * TAPS) ** 2

    @property
    def multiplies_codes(self) -> bool:
        """They are looked up where they are transformed."""
        return False

    @property
    def elements(self) -> int:
        """Tiles."""
        down, across = tiles(self.shape)
        return down * across

    @property
    def place_bytes(self) -> int:
        """Six rows of inputs, transformed inputs, weights and sums."""
        return -(-4 * (POINTS * self._line + PRODUCTS * sum(self._steps)) // 64) * 64

    def geometry(self) -> Iterable[int]:
        """In the order of :mod:`.convolve`."""
        s, cut = self.shape, self.cut
        sizes = (s.C, s.H, s.W, s.M, s.OH, s.OW, *s.begin, tiles(s)[1], self._line, *self._steps)
        return (*sizes, cut.chunk, cut.T, cut.R, self.place_bytes)

    def convolver(self) -> int:
        """The address of the kernel."""
        return winograd_convolver(((),) * self.cut.V)

    @cached_property
    def _line(self) -> int:
        """Elements of a row of transformed inputs, those that the last vectors reach over its end included."""
        return -(-OUTPUTS * (tiles(self.shape)[1] + self.cut.V + 1) // 16) * 16

    @cached_property
    def _steps(self) -> tuple[int, int, int]:
        """Elements between the inputs, the weights and the sums of one product and the next."""
        cut = self.cut
        lanes = cut.most * cut.V
        weights = cut.chunk // cut.T * self.weights.shape[1] * cut.V
        return self.shape.C * lanes + cut.V + PAD, weights + PAD, cut.chunk * lanes + PAD
