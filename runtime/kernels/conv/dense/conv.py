"""A dense convolution: how it is cut, what it costs, and the weights in its order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ....emit.finish import lanes_of
from ....jit.host import host_registers
from ....jit.jitted import Jitted
from ....orders.made_once import made_once
from ....orders.order import floats_of_lines
from ...matrices.matrix import Matrix
from ...matrices.whole import whole_rows
from ...tiles.cut import Cut, balanced, in_units, register_tile
from ...tiles.multiply import lone_multiplier, multiplier
from ..cost_model import STORED, spread, stored_line
from ..geometry import geometry_of
from ..layout import Shape2D
from ..pack import packing_code
from ..pieces import InPieces, kept
from .convolve import dense_convolver
from .shifted import fits_shifts, shifting_code, shifts_of

VECTORS, PIECE_BYTES = 28, 256 << 10
"""Vectors of a piece, at most, and its packed inputs where more vectors than are multiplied at once would take more: each chunk
of output channels reads them."""

INPUT_BYTES, SUM_BYTES = 600 << 10, 400 << 10
"""Packed inputs of a block, and sums of a piece, at most: both stay in a second-level cache of 1 MiB."""

TOGETHER = 4
"""Output channels multiplied at once: looking up a code takes two loads, which as many vectors as possible should share."""

SMALL = 8
"""Output channels multiplied at once where a plane is one vector: as many sums as additions are begun before one is done."""

SMALL_PRODUCT = 0.7
"""What a product takes there, as a part of what it would take if its sum waited for the one before."""

MOST_LONE = 2
"""Elements behind the vectors of a plane that are multiplied with output channels in the lanes, at most."""

FEW_BYTES = 160 << 10
"""Weights that are looked up when they are prepared where they take no more: they stay in a second-level cache beside inputs
and sums, and looking them up where they are multiplied takes nearly as many loads as the inputs."""

PACKED_SHIFTED = 5
"""Cycles of packing a vector of a small plane that is shifted."""

CHUNK = 16
"""Output channels whose sums are finished while they are in the first-level cache."""


def cut_dense(shape: Shape2D, registers: tuple[int, int], parts: int = 1) -> Cut:
    """How a convolution is cut for ``parts`` threads of a processor, ``registers`` being those of :func:`host_registers`: the
    quickest of the larger pieces whose sums, of a chunk where all their inputs are one block, else of all output channels, are
    few enough, or of as many more as give each thread the same number."""
    T, R, V = register_tile(registers, TOGETHER)
    if shape.OH * shape.OW <= V:
        T, R = SMALL, 1
    total, chunk = -(-shape.OH * shape.OW // V), min(CHUNK, -(-shape.M // T) * T)

    def of(vectors: int) -> Cut:
        block = balanced(shape.C, max(1, INPUT_BYTES // (4 * vectors * V * shape.taps)))
        return Cut(T, R, V, total, -(-total // vectors), chunk, block)

    def cycles(cut: Cut) -> float:
        return cost_dense(shape, cut, registers[1], parts)

    most = max(R, min(VECTORS, PIECE_BYTES // (4 * V * shape.C * shape.taps)))
    cuts = [of(vectors) for vectors in range(min(most, total), 0, -1)]
    fitting = [cut for cut in cuts if 4 * kept(shape, cut) * cut.most * V <= SUM_BYTES] or cuts[-1:]
    largest = [cut for cut in fitting if 2 * cut.most > fitting[0].most]
    evenly = [replace(cut, pieces=min(total, -(-cut.pieces // parts) * parts)) for cut in largest]
    return min(*largest, *evenly, key=cycles)


def with_lone(shape: Shape2D, cut: Cut, registers: tuple[int, int]) -> Cut:
    """``cut``, or one with a vector less, where that has few elements, and registers and blocks are such that they can be
    multiplied alone."""
    count, width = registers
    lone, total = shape.OH * shape.OW % cut.V, cut.total - 1
    if not (0 < lone <= MOST_LONE and total > 0 and cut.block >= shape.C and shape.M % cut.T == 0):
        return cut
    alone = replace(cut, total=total, pieces=min(cut.pieces, total), lone=lone)
    used = (max(1, cut.V // width) * max(alone.counts) + 1) * (cut.T + 1) + 2 * lone
    return alone if used <= count + cut.T else cut


def cost_dense(shape: Shape2D, cut: Cut, width: int, parts: int = 1) -> float:
    """Estimated cycles of ``parts`` threads on cores whose vectors have ``width`` lanes, on the scale of
    :func:`tersor.runtime.kernels.conv.cost_model.cost`. Packing takes longer where rows of outputs are short, storing where
    sums are kept first, or outputs do not stay near."""
    vectors = cut.V // width * cut.total / cut.pieces
    packed = (10 if shape.strides[1] == 1 else 15) + 5 * cut.V / shape.OW
    if width == cut.V and cut.pieces == 1 and fits_shifts(shape, cut.total):
        packed = PACKED_SHIFTED
    stored = (10 if cut.block >= shape.C else 15) + (stored_line(shape) > STORED[0]) * 3
    product = 1.1 * cut.cycles * (SMALL_PRODUCT if cut.T == SMALL else 1)
    divided, repeated = product * shape.dense + stored * shape.M, packed * shape.C * shape.taps
    shares = min(parts, -(-shape.M // cut.chunk))
    return spread(shape.N * cut.pieces, parts, shares, vectors * divided, vectors * repeated + 2000)


def dense_weights(matrix: Matrix, T: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights whose rows are output channels: (units, columns, T), uint8 codes for the codebook, or float32, which few weights
    are too. A unit is ``T`` output channels."""
    rows, codebook = whole_rows(matrix)
    if codebook is not None and 4 * rows.size <= FEW_BYTES:
        rows, codebook = codebook[rows], None
    return in_units(rows, T), codebook


class Multiplied(InPieces):
    """A convolution as a product of matrices, zeros included."""

    @property
    def density(self) -> float:
        """Zeros are multiplied too."""
        return 1.0

    def multiplier(self, count: int) -> int:
        """Codes are looked up where they are multiplied, and sums become outputs there."""
        together, rows, *others = (((),) * size for size in (self.cut.T, count, self.codebook is not None, True, False))
        return multiplier(together, rows, lanes_of(self.cut.V, self.bounds), *others)


class DenseConv(Multiplied):
    """Pieces are of positions of the flattened output."""

    @property
    def elements(self) -> int:
        """Outputs of a channel."""
        return self.shape.OH * self.shape.OW

    @property
    def place_bytes(self) -> int:
        """Packed inputs, sums, and the image of a channel with what vectors reach over its end."""
        rows, length = self._image
        image = rows * length * self.shape.strides[1] + self.cut.V
        return 4 * (sum(self._floats) + floats_of_lines(image))

    def geometry(self) -> np.ndarray:
        """In the order of :mod:`.convolve`."""
        s, cut = self.shape, self.cut
        own = (s.taps, cut.block, cut.chunk, cut.T, cut.R, *self._floats, self.place_bytes, cut.lone)
        shifts = 0 if self._shifts is None else self._shifts.ctypes.data
        return geometry_of(s, self._image[1], *own, shifts)

    @property
    def kernel(self) -> tuple[Jitted, tuple[Any, ...]]:
        """As :attr:`InPieces.kernel`."""
        return dense_convolver, (lanes_of(self.cut.V, self.bounds),)

    @property
    def packer(self) -> int:
        """The address of the code that packs a block."""
        return packing_code(self.cut.V) if self._shifts is None else shifting_code(self.cut.V)

    @made_once
    def _shifts(self) -> np.ndarray | None:
        """Where planes are small, and vectors are registers, which have masks: see :mod:`.shifted`."""
        alone = self.cut.pieces == 1 and host_registers()[1] == self.cut.V
        return shifts_of(self.shape, self.cut.V, self._positions) if alone else None

    @property
    def lone_code(self) -> int:
        """The address of the code for the last vectors and the elements behind them."""
        cut = self.cut
        if cut.lone == 0:
            return 0
        together, rows, lone = (((),) * size for size in (cut.T, self._parts[-1], cut.lone))
        return lone_multiplier(together, rows, lanes_of(cut.V, self.bounds), lone)

    @property
    def counts(self) -> frozenset[int]:
        """As :attr:`InPieces.counts`."""
        return frozenset(self._parts[:-1] if self.cut.lone else self._parts)

    @made_once
    def _parts(self) -> list[int]:
        """Vectors that are multiplied at once, of piece after piece."""
        cut, found = self.cut, []
        for size in (np.diff(cut.ends(cut.pieces)) // cut.V).tolist():
            among = -(-size // cut.R)
            found += [size * (part + 1) // among - size * part // among for part in range(among)]
        return found

    @property
    def _positions(self) -> int:
        """Of a piece, whole vectors."""
        return (self.cut.most + (self.cut.lone > 0)) * self.cut.V

    @made_once
    def _floats(self) -> tuple[int, int]:
        """Elements of packed inputs and of sums, whole cache lines."""
        s, cut, lanes = self.shape, self.cut, self._positions
        return floats_of_lines(cut.block * s.taps * lanes + cut.V), kept(s, cut) * lanes

    @made_once
    def _image(self) -> tuple[int, int]:
        """Rows, and elements of a phase, of a channel's padded copy."""
        return self.shape.image(self._positions, self.cut.V)
