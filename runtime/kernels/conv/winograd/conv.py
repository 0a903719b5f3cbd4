"""A convolution by Winograd's method: how it is cut, what it costs, and the weights in its order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ....emit.finish import lanes_of
from ....jit.jitted import Jitted
from ....orders.made_once import made_once
from ....orders.order import floats_of_lines, whole_lines
from ...matrices.matrix import Matrix
from ...matrices.whole import whole_rows
from ...tiles.cut import Cut, balanced, register_tile
from ...tiles.multiply import multiplier
from ..cost_model import spread, stored_line
from ..geometry import geometry_of
from ..layout import Shape2D
from ..pieces import InPieces, kept
from . import lone
from .convolve import winograd_convolver
from .transforms import OUTPUTS, POINTS, PRODUCTS, TAPS

INPUT_BYTES = 450 << 10
"""Transformed inputs of a block of channels, at most: beside kernels and sums, they stay in a second-level cache of 1 MiB."""

TOGETHER = 8
"""Output channels multiplied at once: inputs come from the second-level cache, and each should serve many of them."""

CHUNK = 16
"""Output channels whose kernels and sums stay in a second-level cache between the steps."""

KERNEL_BYTES = 256 << 10
"""Transformed kernels of a convolution, at most, that are kept beside inputs and sums from one piece to the next."""

LOOKED_AT = 64
"""Pieces in which runs of tiles are counted, at most: an image may have millions."""

PAD = 16
"""Elements between the vectors of one product and the next, so that 36 of them lie in as many sets of a cache."""


def grid(shape: Shape2D) -> tuple[int, int]:
    """Tiles of an image: (down, across)."""
    return -(-shape.OH // OUTPUTS), -(-shape.OW // OUTPUTS)


def fits_winograd(shape: Shape2D) -> bool:
    """Whether the method can do a convolution."""
    return shape.kernel == (TAPS, TAPS) and shape.strides == shape.dilations == (1, 1) and shape.groups == 1


@dataclass(frozen=True)
class TileCut(Cut):
    """How the tiles of an image are cut: ``down`` rows of ``across`` tiles each. The last ones of a row may lie beyond the
    outputs, so that rows are whole vectors."""

    down: int
    across: int

    @property
    def tiles(self) -> int:
        """Tiles of an image."""
        return self.down * self.across

    @property
    def left_over(self) -> bool:
        """Whether one tile is left over by whole vectors, and done by itself."""
        return lone.fits(self.tiles, self.V)

    def runs(self, length: int) -> float:
        """Runs of neighbouring tiles, each of one row and of ``length`` at most, in a piece, in the mean of the first ones."""
        pieces = min(self.pieces, LOOKED_AT)
        ends = np.minimum(self.ends(pieces), self.tiles)
        lengths = np.diff(np.sort(np.concatenate([ends, np.arange(0, ends[-1], self.across)])))
        return int(np.sum(-(-lengths // length))) / pieces


def cut_winograd(shape: Shape2D, registers: tuple[int, int]) -> TileCut:
    """How a convolution is cut for a processor, ``registers`` being those of :func:`host_registers`: with the tiles that there
    are, or rows of whole vectors of tiles, which take fewer transforms and more products."""
    across, V = grid(shape)[1], register_tile(registers, TOGETHER)[2]
    cuts = (cut_tiles(shape, registers, count) for count in (across, -(-across // V) * V))
    return min(cuts, key=lambda cut: cost_winograd(shape, cut, registers[1]))


def cut_tiles(shape: Shape2D, registers: tuple[int, int], across: int) -> TileCut:
    """How a convolution with ``across`` tiles in a row is cut."""
    T, R, V = register_tile(registers, TOGETHER)
    down, per = grid(shape)[0], V // T
    total = -(-down * across // V) - lone.fits(down * across, V)
    pieces = -(-total // R)
    block = balanced(shape.C, max(per, INPUT_BYTES // (4 * PRODUCTS * V * -(-total // pieces))))
    return TileCut(T, R, V, total, pieces, min(CHUNK, -(-shape.M // T) * T), -(-block // per) * per, down, across)


def keeps_kernels(shape: Shape2D, cut: TileCut) -> bool:
    """Whether a thread transforms all kernels once, and not for every piece: few of them."""
    return cut.block >= shape.C and 4 * PRODUCTS * shape.C * shape.M <= KERNEL_BYTES


def cost_winograd(shape: Shape2D, cut: TileCut, width: int, parts: int = 1) -> float:
    """Estimated cycles of ``parts`` threads on cores whose vectors have ``width`` lanes, on the scale of
    :func:`tersor.runtime.kernels.conv.cost_model.cost`.

    Inputs take longer to transform where rows are no whole vectors of tiles, for what is written lies in two cache lines;
    products where sums of several blocks of input channels are added up: all of them do not fit a second-level cache. Kernels
    are transformed for every piece, few of them once for all.
    """
    kernels, wide = shape.C * shape.M, cut.V // width
    of_product = cut.cycles * (1.1 if cut.block >= shape.C else 1.35)
    vectors, left_over = wide * cut.total / cut.pieces, cut.left_over / cut.pieces
    repeated = (400 if cut.across % cut.V else 150) * shape.C * (wide * cut.runs(cut.V) + left_over)
    kernel = 400 * wide / cut.V / (cut.pieces if keeps_kernels(shape, cut) else 1)
    lines = wide * OUTPUTS * cut.runs(cut.V // OUTPUTS)
    finished = 180 * (vectors + left_over) + (11 + 0.8 * stored_line(shape)) * lines
    divided = shape.M * finished + kernels * (PRODUCTS * (of_product * vectors + 0.15 * left_over) + kernel)
    shares = min(parts, -(-shape.M // cut.chunk))
    return spread(shape.N * cut.pieces, parts, shares, divided, repeated)


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


@dataclass(frozen=True, eq=False)
class WinogradConv(InPieces):
    """A convolution by Winograd's method; pieces are of tiles. Where it is ``halved``, there is no residual, and what is
    written is the largest of each 2 x 2 outputs."""

    cut: TileCut
    halved: bool = False

    @property
    def density(self) -> float:
        """Products of a tile, of the multiplications of its outputs."""
        return PRODUCTS / (OUTPUTS * TAPS) ** 2

    @property
    def elements(self) -> int:
        """Tiles."""
        return self.cut.tiles

    @property
    def place_bytes(self) -> int:
        """Six rows of inputs, or four of outputs, transformed inputs, weights and sums; what a lone tile needs."""
        left_over = self.cut.V + self.cut.block + self._lone_step if self._lone_step else 0
        return whole_lines(4 * (POINTS * self._line + PRODUCTS * (sum(self._steps) + left_over)))

    def geometry(self) -> np.ndarray:
        """In the order of :mod:`.convolve`."""
        cut = self.cut
        sizes = (cut.across, self._line, *self._steps, cut.block, cut.chunk, cut.T, cut.R, self._lone_step)
        return geometry_of(self.shape, 0, *sizes, self._of_chunk if keeps_kernels(self.shape, cut) else 0, self.place_bytes)

    @property
    def kernel(self) -> tuple[Jitted, tuple[Any, ...]]:
        """As :attr:`InPieces.kernel`."""
        return winograd_convolver, (lanes_of(self.cut.V, self.bounds), ((),) * self.halved)

    def multiplier(self, count: int) -> int:
        """Codes are looked up where they are transformed; all sums are kept, to be transformed back."""
        sizes = (self.cut.T, count, self.cut.V, False, False, False)
        return multiplier(*(((),) * size for size in sizes))

    @made_once
    def _line(self) -> int:
        """Elements of a row of inputs that are transformed, those that the last vectors reach over its end included, or of the
        outputs of a piece."""
        cut = self.cut
        return floats_of_lines(OUTPUTS * max(cut.across + cut.V + 1, cut.most * cut.V))

    @property
    def lone_code(self) -> int:
        """The address of the code that multiplies a tile that is left over."""
        return lone.tile_multiplier(((),) * self.cut.T) if self._lone_step else 0

    @property
    def _lone_step(self) -> int:
        """Elements between the sums of one product and the next of a tile that is left over; 0 when none is."""
        whole = -(-self.shape.M // self.cut.chunk) * self.cut.chunk
        return whole if self.cut.left_over else 0

    @made_once
    def _steps(self) -> tuple[int, int, int]:
        """Elements between the inputs, the weights and the sums of one product and the next."""
        cut = self.cut
        lanes, block = cut.most * cut.V, min(cut.block, self.shape.C)
        weights = self._of_chunk * (-(-self.shape.M // cut.chunk) if keeps_kernels(self.shape, cut) else 1)
        return block * lanes + cut.V + PAD, weights + PAD, kept(self.shape, cut) * lanes + PAD

    @property
    def _of_chunk(self) -> int:
        """Elements of a chunk's weights of one product."""
        cut, block = self.cut, min(self.cut.block, self.shape.C)
        return cut.chunk // cut.T * -(-block * cut.T // cut.V) * cut.V
