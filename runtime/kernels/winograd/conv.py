"""A convolution by Winograd's method: how it is cut, what it costs, and the weights in its order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...plan.workers import Workers
from ..layout import Shape2D
from ..matrix import Layout, Matrix
from ..team import alone
from ..whole_stream import whole_rows
from .convolve import (
    ADDED,
    BOUNDS,
    CODE,
    CODEBOOK,
    GEOMETRY,
    ORDER,
    OTHER,
    PIECES,
    SCALE,
    SCRATCH,
    SHIFT,
    WEIGHTS,
    WORK,
    X,
    Y,
    winograd_convolver,
)
from .multiply import multiplier
from .transforms import OUTPUTS, POINTS, PRODUCTS, TAPS

TOGETHER = (8, 4)
"""Output channels multiplied at once: as many as leave registers for more than one vector, see :func:`choose`."""

VECTORS, INPUT_BYTES = 3, 1800 << 10
"""Vectors of a piece, and the most bytes of its transformed inputs: one vector less where they are more."""

CHUNK = 16
"""Output channels whose kernels and sums stay in a second-level cache between the steps."""

PAD = 16
"""Elements between the vectors of one product and the next, so that 36 of them lie in as many sets of a cache."""


@dataclass(frozen=True)
class Cut:
    """Vectors of ``V`` tiles, ``T`` output channels and at most ``R`` vectors multiplied at once; ``vectors`` of each piece of
    an image, ``chunk`` output channels of which are done at a time."""

    T: int
    R: int
    V: int
    vectors: tuple[int, ...]
    chunk: int


@dataclass(frozen=True, eq=False)
class Kernels(Layout):
    """``weights`` (units, groups, 9, V): uint8 codes for ``codebook``, or float32. A unit is ``T`` output channels, a group
    the vector of ``V / T`` input channels for each of them."""

    weights: np.ndarray
    codebook: np.ndarray | None
    nonzeros: int


def tiles(shape: Shape2D) -> tuple[int, int]:
    """Tiles of an image: (down, across)."""
    return -(-shape.OH // OUTPUTS), -(-shape.OW // OUTPUTS)


def fits(shape: Shape2D) -> bool:
    """Whether the method can do a convolution."""
    return shape.kernel == (TAPS, TAPS) and shape.strides == shape.dilations == (1, 1) and shape.groups == 1


def cut(shape: Shape2D, registers: tuple[int, int]) -> Cut:
    """How a convolution is cut for a processor, ``registers`` being those of :func:`host_registers`."""
    count, width = registers
    V = max(8, width)
    wide = V // width

    def most(T: int) -> int:
        return (count - 1) // wide // (T + 1)

    T = next((T for T in TOGETHER if most(T) > 1), TOGETHER[-1])
    down, across = tiles(shape)
    total = -(-down * across // V)
    wanted = VECTORS if 4 * PRODUCTS * V * shape.C * VECTORS <= INPUT_BYTES else VECTORS - 1
    pieces = max(1, round(total / wanted))
    vectors = tuple(total * (i + 1) // pieces - total * i // pieces for i in range(pieces))
    return Cut(T, max(1, most(T)), V, vectors, min(CHUNK, -(-shape.M // T) * T))


def cost(shape: Shape2D, cut: Cut) -> float:
    """Estimated cycles of one core, on the scale of :func:`tersor.runtime.kernels.layout.cost`.

    Kernels are transformed for every piece, which takes longer when those of one unit fill the second-level cache. A vector
    multiplied by itself loads almost as many weights as it has products.
    """
    kernels, wide = shape.C * shape.M, cut.V / 16
    together = max(cut.vectors) / -(-max(cut.vectors) // cut.R)
    of_vector = 1000 * shape.C + 500 * shape.M + 28 * (1 + 0.6 / together) * kernels
    of_piece = kernels / 16 * (600 if 4 * PRODUCTS * shape.C * cut.chunk <= INPUT_BYTES else 1200)
    return shape.N * (sum(cut.vectors) * wide * of_vector + len(cut.vectors) * of_piece)


def make_kernels(matrix: Matrix, channels: int, T: int, V: int) -> Kernels:
    """Order weights whose rows are output channels and whose columns (input channel, kernel position)."""
    rows, codebook = whole_rows(matrix)
    units, per = -(-matrix.rows // T), V // T
    groups = -(-channels // per)
    grid = np.zeros((units * T, groups * per, TAPS * TAPS), rows.dtype)
    grid[: matrix.rows, :channels] = rows.reshape(matrix.rows, channels, -1)
    ordered = grid.reshape(units, T, groups, per, -1).transpose(0, 2, 4, 3, 1)
    return Kernels(np.ascontiguousarray(ordered).reshape(units, groups, TAPS * TAPS, V), codebook, matrix.nonzeros)


@dataclass(frozen=True, eq=False)
class WinogradConv:
    """A convolution with everything chosen: call it on arrays."""

    shape: Shape2D
    cut: Cut
    kernels: Kernels
    scale: np.ndarray
    shift: np.ndarray
    bounds: np.ndarray
    parts: int

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """Compute ``y`` from ``x``, both C-contiguous; ``scratch`` is ``scratch_bytes`` bytes."""
        order = self._known.copy()
        order[X], order[Y], order[SCRATCH] = x.ctypes.data, y.ctypes.data, scratch.ctypes.data
        order[OTHER], order[ADDED] = (y if residual is None else residual).ctypes.data, residual is not None
        if len(self._work) == 1:
            self._alone(self._code, order.ctypes.data)
        else:
            workers.share(self._code, order.ctypes.data)

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch memory for all threads."""
        return self.parts * self._place

    @property
    def density(self) -> float:
        """Multiplications done, of those of the dense convolution."""
        return PRODUCTS / (OUTPUTS * TAPS) ** 2

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a run reads."""
        return self.kernels.bytes

    @property
    def _place(self) -> int:
        """Bytes of one thread's, whole cache lines."""
        return -(-4 * (POINTS * self._line + PRODUCTS * sum(self._steps)) // 64) * 64

    @cached_property
    def _line(self) -> int:
        """Elements of a row of transformed inputs, those that the last vectors reach over its end included."""
        return -(-OUTPUTS * (tiles(self.shape)[1] + self.cut.V + 1) // 16) * 16

    @cached_property
    def _steps(self) -> tuple[int, int, int]:
        """Elements between the inputs, the weights and the sums of one product and the next."""
        shape, cut = self.shape, self.cut
        lanes = max(cut.vectors) * cut.V
        return (
            shape.C * lanes + cut.V + PAD,
            cut.chunk // cut.T * self.kernels.weights.shape[1] * cut.V + PAD,
            cut.chunk * lanes + PAD,
        )

    @cached_property
    def _alone(self) -> Callable[[int, int], None]:
        """What carries out an order on this thread."""
        return alone.once()

    @cached_property
    def _code(self) -> int:
        """The address of the kernel."""
        return winograd_convolver(((),) * self.cut.V)

    @cached_property
    def _known(self) -> np.ndarray:
        """An order without the arrays of a run."""
        known = np.zeros(ORDER, np.int64)
        tables = {WORK: self._work, GEOMETRY: self._geometry, WEIGHTS: self.kernels.weights, CODE: self._multipliers}
        tables |= {SCALE: self.scale, SHIFT: self.shift, BOUNDS: self.bounds}
        for place, table in tables.items():
            known[place] = table.ctypes.data
        known[PIECES] = len(self._work)
        known[CODEBOOK] = 0 if self.kernels.codebook is None else self.kernels.codebook.ctypes.data
        return known

    @cached_property
    def _geometry(self) -> np.ndarray:
        s, cut = self.shape, self.cut
        sizes = (s.C, s.H, s.W, s.M, s.OH, s.OW, *s.begin, tiles(s)[1], self._line, *self._steps)
        return np.array([*sizes, cut.chunk, cut.T, cut.R, self._place], np.int64)

    @cached_property
    def _multipliers(self) -> np.ndarray:
        """The addresses of the code that multiplies as many vectors as the index says, 0 where none is needed."""
        T, R, V = self.cut.T, self.cut.R, self.cut.V
        counts = {
            n * (i + 1) // parts - n * i // parts for n in self.cut.vectors for parts in (-(-n // R),) for i in range(parts)
        }
        codes = np.zeros(R + 1, np.int64)
        for count in counts:
            codes[count] = multiplier(((),) * T, ((),) * count, ((),) * V)
        return codes

    @cached_property
    def _work(self) -> np.ndarray:
        """Pieces of work that threads take one by one. With few pieces of an image, each thread does some chunks of output
        channels, and all of them transform the same inputs."""
        s, cut = self.shape, self.cut
        ends = np.minimum(np.cumsum([0, *cut.vectors]) * cut.V, np.prod(tiles(s)))
        chunks = -(-s.M // cut.chunk)
        shares = 1 if s.N * len(cut.vectors) >= 3 * self.parts else min(self.parts, chunks)
        return np.array(
            [
                (n, ends[i], ends[i + 1], chunks * k // shares, chunks * (k + 1) // shares)
                for n in range(s.N)
                for i in range(len(cut.vectors))
                for k in range(shares)
            ],
            np.int64,
        )
