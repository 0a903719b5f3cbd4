"""A strided convolution by polyphase components: how it is cut, what it costs, and the weights in its order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._jit import Kernel
from .._property import made_once
from ..cost_model import spread
from ..geometry import geometry_of
from ..layout import Shape2D
from ..matrix import Matrix
from ..multiply import multiplier
from ..pieces import Cut, InPieces, register_tile
from ..whole import whole_rows
from .convolve import polyphase_convolver
from .terms import MOST_TAPS, OUTPUTS, SUMS, groups_of, products_of, weights_of

TOGETHER, CHUNK = 4, 8
"""Output channels multiplied at once, and those whose sums are finished while they are in the first-level cache."""

PACKED_BYTES = 400 << 10
"""Packed inputs of a piece, at most: they stay in a second-level cache of 1 MiB."""

SUM_BYTES = 40 << 10
"""Sums of a chunk, at most: they stay in a first-level cache."""

WEIGHT_BYTES = 400 << 10
"""Weights, at most, which are float32: they stay there beside inputs."""


def fits(shape: Shape2D, registers: tuple[int, int]) -> bool:
    """Whether the method can do a convolution: rows have whole pairs of outputs, a phase of the kernel has three taps, and what
    is kept has room."""
    whole = shape.groups == 1 and shape.dilations[1] == 1 and shape.OW % OUTPUTS == 0
    if not whole or shape.kernel[1] <= (MOST_TAPS - 1) * shape.strides[1]:
        return False
    if 4 * shape.C * shape.taps * registers[1] > PACKED_BYTES:  # products are more; sizes come from files, and they are listed
        return False
    products = _products(shape)
    return 4 * products * shape.M <= WEIGHT_BYTES and 4 * products * registers[1] <= PACKED_BYTES


def _groups(shape: Shape2D) -> tuple[tuple[int, ...], ...]:
    return groups_of(shape.kernel[1], shape.strides[1])


def _products(shape: Shape2D) -> int:
    """Products of a pair of outputs."""
    return shape.C * shape.kernel[0] * sum(products_of(_groups(shape)))


def _pairs(shape: Shape2D) -> Shape2D:
    """The convolution whose outputs of a row are pairs."""
    return replace(shape, OW=shape.OW // OUTPUTS)


def cut_polyphase(shape: Shape2D, registers: tuple[int, int], parts: int = 1) -> Cut:
    """How a convolution is cut for ``parts`` threads of a processor, ``registers`` being those of
    :func:`~tersor.runtime.kernels.host.host_registers`: in pieces that fit a cache, as many for each thread."""
    T, R, V = register_tile(registers, TOGETHER)
    total, chunk = -(-shape.OH * shape.OW // (OUTPUTS * V)), min(CHUNK, -(-shape.M // T) * T)
    most = max(1, min(PACKED_BYTES // (4 * V * _products(shape)), SUM_BYTES // (4 * V * SUMS * chunk)))
    pieces = -(-total // (most - most % R or most))
    return Cut(T, R, V, total, min(total, -(-pieces // parts) * parts), chunk, shape.C)


def cost_polyphase(shape: Shape2D, cut: Cut, width: int, parts: int = 1) -> float:
    """Estimated cycles of ``parts`` threads on cores whose vectors have ``width`` lanes, on the scale of
    :func:`tersor.runtime.kernels.cost_model.cost`; fitted to the times of 26 layers beside those of dense products. Packing
    takes longer where rows of pairs are no whole vectors."""
    vectors, products, across = cut.V // width * cut.total / cut.pieces, _products(shape), shape.OW // OUTPUTS
    written = -(-across // cut.V) * cut.V / across
    divided = (1.06 * cut.cycles * products + 50) * shape.M
    repeated = ((8 + 5.5 * written) * vectors + 42) * products
    shares = min(parts, -(-shape.M // cut.chunk))
    return spread(shape.N * cut.pieces, parts, shares, vectors * divided, repeated)


def polyphase_weights(matrix: Matrix, shape: Shape2D, T: int) -> np.ndarray:
    """Weights whose rows are output channels, flat float32: for each of the sums (units, products, T), a unit being ``T``
    output channels."""
    rows, codebook = whole_rows(matrix)
    dense = (rows if codebook is None else codebook[rows]).reshape(shape.M, shape.C * shape.kernel[0], shape.kernel[1])
    units, found = -(-shape.M // T), []
    for point in range(SUMS):
        of_point = weights_of(dense, _groups(shape), point).reshape(shape.M, -1)
        grid = np.zeros((units * T, of_point.shape[1]), np.float32)
        grid[: shape.M] = of_point
        found.append(grid.reshape(units, T, -1).transpose(0, 2, 1).ravel())
    return np.concatenate(found)


class PolyphaseConv(InPieces):
    """A strided convolution by polyphase components; pieces are of pairs of neighbouring outputs."""

    @property
    def density(self) -> float:
        """Products of a pair, of the multiplications of its outputs."""
        return sum(products_of(_groups(self.shape))) / (OUTPUTS * self.shape.kernel[1])

    @property
    def elements(self) -> int:
        """Pairs."""
        return self.shape.OH * self.shape.OW // OUTPUTS

    @property
    def place_bytes(self) -> int:
        """Packed inputs, sums, and the image of a channel with what vectors reach over its end."""
        rows, length = self._image
        image = rows * length * self.shape.strides[1] + OUTPUTS * self.cut.V + MOST_TAPS
        return 4 * (sum(self._floats) + -(-image // 16) * 16)

    def geometry(self) -> np.ndarray:
        """In the order of :mod:`.convolve`."""
        cut, groups, pairs = self.cut, _groups(self.shape), _pairs(self.shape)
        numbers = [*products_of(groups), len(groups)]
        for taps in groups:
            number, phase = divmod(taps[0], self.shape.strides[1])
            numbers += [len(taps), phase, number]
        return geometry_of(pairs, self._image[1], cut.chunk, cut.T, cut.R, *self._floats, self.place_bytes, *numbers)

    @property
    def kernel(self) -> tuple[Kernel, tuple[Any, ...]]:
        """As :attr:`InPieces.kernel`."""
        return polyphase_convolver, (((),) * self.cut.V,)

    def multiplier(self, count: int) -> int:
        """Weights are float32; all sums are kept, to be made outputs of."""
        sizes = (self.cut.T, count, self.cut.V, False, False)
        return multiplier(*(((),) * size for size in sizes))

    @made_once
    def _floats(self) -> tuple[int, int]:
        """Elements of packed inputs and of sums, whole cache lines."""
        lanes = self.cut.most * self.cut.V
        return -(-(_products(self.shape) * lanes + SUMS * self.cut.V) // 16) * 16, SUMS * self.cut.chunk * lanes

    @made_once
    def _image(self) -> tuple[int, int]:
        """Rows, and elements of a phase, of a channel's padded copy."""
        positions, V = self.cut.most * self.cut.V, self.cut.V
        return _pairs(self.shape).image(positions, V)[0], self.shape.image(positions, V)[1]
