"""A strided convolution by polyphase components: how it is cut, what it costs, and the weights in its order."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from math import gcd
from typing import Any

import numpy as np

from ....emit.finish import lanes_of
from ....emit.walk import F32_BYTES
from ....jit.jitted import Jitted
from ....orders.made_once import made_once
from ....orders.order import floats_of_lines
from ...matrices.matrix import Matrix
from ...matrices.whole import whole_rows
from ...tiles.cut import Cut, in_units, register_tile
from ...tiles.multiply import multiplier
from ..cost_model import spread
from ..geometry import geometry_of
from ..layout import Shape2D
from ..pieces import InPieces
from .convolve import polyphase_convolver
from .terms import MOST_TAPS, OUTPUTS, SUMS, groups_of, products_of, weights_of

TOGETHER, CHUNK = 4, 16
"""Output channels multiplied at once, and those whose sums are finished while they are in the first-level cache."""

PACKED_BYTES = 500 << 10
"""Packed inputs of a piece, at most: they stay in a second-level cache of 1 MiB."""

WEIGHT_BYTES = 400 << 10
"""Weights, at most, which are float32: they stay there beside inputs."""


def fits_polyphase(shape: Shape2D, registers: tuple[int, int]) -> bool:
    """Whether the method can do a convolution: rows have whole pairs of outputs, a phase of the kernel has three taps, and what
    is kept has room."""
    whole = shape.groups == 1 and shape.dilations[1] == 1 and shape.OW % OUTPUTS == 0
    if not whole or shape.kernel[1] <= (MOST_TAPS - 1) * shape.strides[1]:
        return False
    V = register_tile(registers, TOGETHER)[2]
    if 4 * shape.C * shape.taps * V > PACKED_BYTES:  # products are more; sizes come from files, and they are listed
        return False
    weights = shape.C * shape.kernel[0] * sum(products_of(_groups(shape))) * shape.M
    return 4 * weights <= WEIGHT_BYTES and 4 * packed_floats(shape, V, V) <= PACKED_BYTES


def _groups(shape: Shape2D) -> tuple[tuple[int, ...], ...]:
    return groups_of(shape.kernel[1], shape.strides[1])


def _phases(shape: Shape2D) -> int:
    """Phases of input rows that the rows of a kernel meet."""
    down, apart = shape.strides[0], shape.dilations[0]
    return min(shape.kernel[0], down // gcd(down, apart))


def _room(shape: Shape2D, pairs: int, V: int) -> int:
    """Elements of a line of inputs for so many pairs, whole cache lines: those of all rows that they meet, and a vector that
    may run over the end."""
    across = shape.OW // OUTPUTS
    rows = min(shape.OH, (pairs + across - 2) // across + 1) + (shape.kernel[0] - 1) * shape.dilations[0] // shape.strides[0]
    return floats_of_lines(rows * across + V)


def packed_floats(shape: Shape2D, pairs: int, V: int) -> int:
    """Elements of the packed inputs of so many pairs."""
    return shape.C * _phases(shape) * sum(products_of(_groups(shape))) * _room(shape, pairs, V)


def _pairs(shape: Shape2D) -> Shape2D:
    """The convolution whose outputs of a row are pairs."""
    return replace(shape, OW=shape.OW // OUTPUTS)


def cut_polyphase(shape: Shape2D, registers: tuple[int, int], parts: int = 1) -> Cut:
    """How a convolution is cut for ``parts`` threads of a processor, ``registers`` being those of
    :func:`~tersor.runtime.jit.host.host_registers`: in pieces that fit a cache, as many for each thread."""
    T, R, V = register_tile(registers, TOGETHER)
    total, chunk = -(-shape.OH * shape.OW // (OUTPUTS * V)), min(CHUNK, -(-shape.M // T) * T)
    most = bisect_right(range(2, total + 1), PACKED_BYTES, key=lambda vectors: 4 * packed_floats(shape, vectors * V, V)) + 1
    pieces = -(-total // most)
    return Cut(T, R, V, total, min(total, -(-pieces // parts) * parts), chunk, shape.C)


def cost_polyphase(shape: Shape2D, cut: Cut, width: int, parts: int = 1) -> float:
    """Estimated cycles of ``parts`` threads on cores whose vectors have ``width`` lanes, on the scale of
    :func:`tersor.runtime.kernels.conv.cost_model.cost`; fitted to the times of 25 layers beside those of dense products."""
    wide, products = cut.V // width, shape.kernel[0] * shape.C * sum(products_of(_groups(shape)))
    divided = (1.1 * cut.cycles * products + 38) * shape.M * wide * cut.total / cut.pieces
    repeated = 30 * wide / cut.V * packed_floats(shape, cut.most * cut.V, cut.V) + 1900
    return spread(shape.N * cut.pieces, parts, min(parts, -(-shape.M // cut.chunk)), divided, repeated)


def polyphase_weights(matrix: Matrix, shape: Shape2D, T: int) -> np.ndarray:
    """Weights whose rows are output channels, flat float32: for each of the sums (units, products, T), a unit being ``T``
    output channels."""
    rows, codebook = whole_rows(matrix)
    dense = (rows if codebook is None else codebook[rows]).reshape(shape.M, shape.C * shape.kernel[0], shape.kernel[1])
    sums = (weights_of(dense, _groups(shape), point).reshape(shape.M, -1) for point in range(SUMS))
    return np.concatenate([in_units(rows, T).ravel() for rows in sums])


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
        return 4 * (sum(self._floats) + floats_of_lines(image))

    def geometry(self) -> np.ndarray:
        """In the order of :mod:`.convolve`."""
        cut, groups, pairs = self.cut, _groups(self.shape), _pairs(self.shape)
        lines = (_room(self.shape, cut.most * cut.V, cut.V), _phases(self.shape), self._offsets.ctypes.data)
        numbers = [*lines, *products_of(groups), len(groups)]
        for taps in groups:
            number, phase = divmod(taps[0], self.shape.strides[1])
            numbers += [len(taps), phase, number]
        return geometry_of(pairs, self._image[1], cut.chunk, cut.T, cut.R, *self._floats, self.place_bytes, *numbers)

    @property
    def kernel(self) -> tuple[Jitted, tuple[Any, ...]]:
        """As :attr:`InPieces.kernel`."""
        return polyphase_convolver, (lanes_of(self.cut.V, self.bounds),)

    def multiplier(self, count: int) -> int:
        """Weights are float32; all sums are kept, to be made outputs of; the rows of inputs lie in lines."""
        sizes = (self.cut.T, count, self.cut.V, False, False, True)
        return multiplier(*(((),) * size for size in sizes))

    @made_once
    def _floats(self) -> tuple[int, int]:
        """Elements of packed inputs and of sums, whole cache lines."""
        cut, shape = self.cut, self.shape
        return packed_floats(shape, cut.most * cut.V, cut.V), SUMS * cut.chunk * max(cut.counts) * cut.V

    @made_once
    def _offsets(self) -> np.ndarray:
        """Bytes, int64, from the first line of each sum to what its products meet, which are (channel, kernel row, product)."""
        shape, phases, room = self.shape, _phases(self.shape), _room(self.shape, self.cut.most * self.cut.V, self.cut.V)
        channel, kh = np.ogrid[: shape.C, : shape.kernel[0]]
        further = kh * shape.dilations[0] // shape.strides[0] * (shape.OW // OUTPUTS)
        line, found = channel * phases + kh % phases, []
        for count in products_of(_groups(shape)):
            lines = line[..., None] * count + np.arange(count)
            found.append((lines * room + further[..., None]).ravel())
        return F32_BYTES * np.concatenate(found).astype(np.int64)

    @made_once
    def _image(self) -> tuple[int, int]:
        """Rows, and elements of a phase, of a channel's padded copy."""
        positions, across, V = self.cut.most * self.cut.V, self.shape.OW, self.cut.V
        return _pairs(self.shape).copy(positions, across, V)[0], self.shape.copy(positions, across, V)[1]
