"""A depthwise convolution: its tile, what it costs, and the weights in its order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ....emit.finish import gate_of
from ....jit.jitted import Jitted
from ....orders.made_once import made_once
from ....orders.order import Ordered
from ....orders.shared import evenly, order_of_pieces, pieces_for
from ...matrices.matrix import Matrix
from ...matrices.whole import whole_rows
from ...tiles.cut import balanced
from ..layout import Shape2D
from .convolve import depthwise_convolver
from .emit import Tile

MOST_HEIGHT, MOST_WIDTH, MOST_STRIDE = 7, 1 << 28, 2
"""Rows of a kernel, at most: the weights of a column have registers; elements of a row of inputs or outputs, and strides."""

SUMS, VECTORS = 8, 2
"""Vectors of a tile, and those of one of its rows, at most: more would take longer to compile, and no less to run."""

LONG = 4
"""Vectors of a tile of a single row, at most."""

PLANE, TILE, READ, MULTIPLIED, STORED = 50, 15, 1, 0.6, 3
"""Cycles of a plane and of a tile, beside each vector that it reads, multiplies, and stores."""


def fits_depthwise(shape: Shape2D) -> bool:
    """Whether each output channel reads one plane, in a way that tiles can do."""
    near = shape.dilations[0] == 1 and (shape.dilations[1] == 1 or shape.kernel[1] == 1)
    small = shape.kernel[0] <= MOST_HEIGHT and max(shape.W, shape.OW) < MOST_WIDTH
    return shape.groups == shape.C and near and small and max(shape.strides) <= MOST_STRIDE


def cut_depthwise(shape: Shape2D, registers: tuple[int, int]) -> Tile:
    """The tile for a processor, ``registers`` being those of :func:`~tersor.runtime.jit.host.host_registers`: shorter vectors
    where half of one is enough for a row, and rows that part a plane's evenly. Where one tile has all of these, those of its
    inputs that are padding are left out."""
    count, lanes = registers
    while lanes > 4 and lanes // 2 >= shape.OW:
        lanes //= 2
    (height, _), (down, across) = shape.kernel, shape.strides
    room, needed = count - across * (height + 1) - 1, -(-shape.OW // lanes)
    vectors = min(needed, LONG if shape.OH == 1 else VECTORS, max(1, room))
    rows = balanced(shape.OH, max(1, min(SUMS, room) // vectors))
    first, last = 0, (rows - 1) * down + height
    if rows == shape.OH:
        first, last = min(shape.begin[0], last), min(last, shape.begin[0] + shape.H)
    return Tile(down, across, height, rows, vectors, first, last, lanes)


def cost_depthwise(shape: Shape2D, tile: Tile, threads: int = 1) -> float:
    """Estimated cycles of some threads, on the scale of :func:`tersor.runtime.kernels.conv.cost_model.cost`."""
    tiles = -(-shape.OH // tile.rows) * -(-shape.OW // (tile.vectors * tile.lanes))
    rows = range(tile.first, tile.last)
    column = READ * tile.across * len(rows) + MULTIPLIED * sum(len(tile.met(row)) for row in rows)
    vectors = tiles * tile.vectors * (shape.kernel[1] * column + STORED * tile.rows)
    return -(-shape.N * shape.M // threads) * (PLANE + TILE * tiles + vectors)


def depthwise_weights(matrix: Matrix, shape: Shape2D) -> np.ndarray:
    """(output channels, columns, rows) float32."""
    rows, codebook = whole_rows(matrix)
    dense = rows if codebook is None else codebook[rows]
    return np.ascontiguousarray(dense.reshape(shape.M, *shape.kernel).transpose(0, 2, 1))


@dataclass(frozen=True, eq=False)
class DepthwiseConv(Ordered):
    """A depthwise convolution with everything chosen; ``weights`` are as :func:`depthwise_weights` has them."""

    shape: Shape2D
    tile: Tile
    weights: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    bounds: np.ndarray
    parts: int
    added: bool

    density, scratch_bytes = 1.0, 0

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a run reads."""
        return self.weights.nbytes

    @property
    def kernel(self) -> tuple[Jitted, tuple[Any, ...]]:
        """The kernel that tells the address of the code, and its arguments."""
        t = self.tile
        sizes = (t.down, t.across, t.height, t.rows, t.vectors, t.first, t.last, t.lanes)
        return depthwise_convolver, ((tuple(((),) * size for size in sizes), ((),) * self.added, gate_of(self.bounds)),)

    def blank(self) -> np.ndarray:
        """As :meth:`Ordered.blank`."""
        kernel, arguments = self.kernel
        pieces = len(self._work) - 1
        return order_of_pieces(kernel(*arguments), pieces, self.parts, self._work, self._facts)

    @made_once
    def _work(self) -> np.ndarray:
        planes = self.shape.N * self.shape.M
        return evenly(planes, pieces_for(self.parts, planes))

    @made_once
    def _zeros(self) -> np.ndarray:
        return np.zeros(self.shape.W, np.float32)

    @made_once
    def _facts(self) -> np.ndarray:
        """In the order of :mod:`.emit` and :mod:`.convolve`."""
        s = self.shape
        plane = (s.H, s.W, s.OH, s.OW, *s.begin, s.kernel[1], self._zeros.ctypes.data)
        places = (array.ctypes.data for array in (self.weights, self.scale, self.shift, self.bounds))
        return np.array([*plane, s.M, s.M // s.C, s.kernel[0], *places], np.int64)
