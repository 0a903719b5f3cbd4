"""A dense convolution and the pool that alone reads it: by bands of rows, which stay in a cache until they are pooled.

Each thread does a band by itself. Rows that the windows of two bands share are computed twice.

Inputs are packed row by row: for every input channel and kernel column the elements that a row of outputs meets. The rows that
a kernel stretches over follow one another, so that those of one output row are the rows of a matrix, and those of the next
begin a stride further on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....emit.memory import address
from ....jit.jitted import Jitted, jit
from ....orders.atomic import call_at, code_of, number_at
from ....orders.made_once import made_once
from ....orders.order import FACTS, PIECES, SCRATCH, WORK, X, Y, whole_lines
from ....orders.team import take
from ...pooling.geometry import Pooling
from ...pooling.pool import OH as POOLED_H
from ...pooling.pool import OW as POOLED_W
from ...pooling.pool import facts_of, pool_rows, pooler_of, window_pooler
from ...tiles import multiply as product
from ...tiles.cut import Cut, counts_of, in_units
from ..cost_model import FAR
from ..geometry import DILATION_W, KERNEL_H, KERNEL_W, OWN, PHASE, STRIDE_H, TOP, C, H, M, W, geometry_of
from ..layout import Shape2D
from ..pack import pack_copies
from ..pieces import BOUNDS, CODEBOOK, GEOMETRY, MULTIPLIERS, SCALE, SHIFT, WEIGHTS
from .conv import INPUT_BYTES, DenseConv, Multiplied

TOGETHER, MOST, ROWS, BAND, PLACE = range(OWN, OWN + 5)
"""Numbers of the geometry beside those of every convolution, a phase being a row of outputs in whole vectors: output channels
multiplied at once; vectors multiplied at once, at most; rows of a band, at most, and where in a place it begins, in bytes; the
bytes of a place in scratch memory."""

POOLED = FACTS + 8
"""The number of an order beside those of convolutions: the address of the facts of the pool, int64."""

BAND_BYTES = 500 << 10
"""Outputs of a band, at most: they stay in a second-level cache of 1 MiB beside packed inputs."""

SAVED, PACKED = 5, 10
"""Cycles that a vector of outputs takes less where it need not leave the second-level cache, and those of a vector that is
not packed."""

FEWEST = 4
"""Output channels multiplied at once, at least, by as many vectors of a row as possible."""


@jit
def banded_convolver(lanes, windows):
    """Address of the code that carries out an order, given by its address, with vectors of ``len(lanes)`` outputs; ``windows``
    are the lengths that :func:`~tersor.runtime.kernels.pooling.pool.window_pooler` is given."""
    return code_of((lanes, windows), pool_bands)


@jit
def pool_bands(kinds, order, member):
    """Take bands of the work of the order at address ``order`` until none is left.

    One is (image, first row of results, last, first row of outputs, last). Each thread takes one of the places in scratch
    memory: packed inputs, and the outputs of a band, (channels, rows, phase).
    """
    (lanes, windows), geometry, facts = kinds, number_at(order, GEOMETRY), number_at(order, POOLED)
    place, length = number_at(order, SCRATCH) + member * number_at(geometry, PLACE), 4 * number_at(geometry, PHASE)
    band, channels, task = place + number_at(geometry, BAND), number_at(geometry, M), np.empty(product.TASK, np.int64)
    _describe(order, geometry, task)
    plane = 4 * number_at(facts, POOLED_H) * number_at(facts, POOLED_W)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 40 * piece
        n, top, end = number_at(work, 0), number_at(work, 3), number_at(work, 4)
        _pack_band(lanes, order, geometry, place, n, top, end)
        for row in range(end - top):
            _multiply_row(lanes, order, geometry, task, place, band, row)
        for m in range(channels):
            source = band + (m * number_at(geometry, ROWS) - top) * length
            target = number_at(order, Y) + (n * channels + m) * plane
            pool_rows(windows, facts, source, length, target, number_at(work, 1), number_at(work, 2))
        piece = take(order, member)


@jit
def _describe(order, geometry, task):
    """Write down what is the same for all rows."""
    channels, T, length = number_at(geometry, M), number_at(geometry, TOGETHER), number_at(geometry, PHASE)
    rows = number_at(geometry, KERNEL_H) * number_at(geometry, C) * number_at(geometry, KERNEL_W)
    task[product.STEP], task[product.ROWS], task[product.FIRST], task[product.RESIDUAL] = length, rows, 1, 0
    task[product.UNITS], task[product.UNIT], task[product.CHANNELS] = (channels + T - 1) // T, rows * T, channels
    task[product.WEIGHTS], task[product.CODEBOOK] = number_at(order, WEIGHTS), number_at(order, CODEBOOK)
    task[product.SCALE], task[product.SHIFT] = number_at(order, SCALE), number_at(order, SHIFT)
    task[product.BOUNDS], task[product.PLANE] = number_at(order, BOUNDS), number_at(geometry, ROWS) * length


@jit
def _pack_band(lanes, order, geometry, packed, n, top, end):
    """Pack the inputs of the rows ``[top, end)`` of outputs of image ``n``: (input rows, channels, kernel columns, phase)."""
    channels, copies, length = number_at(geometry, C), number_at(geometry, KERNEL_W), number_at(geometry, PHASE)
    plane, down = 4 * number_at(geometry, H) * number_at(geometry, W), number_at(geometry, STRIDE_H)
    rows, first = (end - top - 1) * down + number_at(geometry, KERNEL_H), top * down - number_at(geometry, TOP)
    size, apart = 4 * copies * length, (copies, number_at(geometry, DILATION_W))
    if end > top:
        for c in range(channels):
            source = number_at(order, X) + (n * channels + c) * plane
            pack_copies(lanes, packed + c * size, channels * size, source, first, rows, length, apart, geometry)


@jit
def _multiply_row(lanes, order, geometry, task, packed, band, row):
    """Compute a row of the outputs of a band, of all channels."""
    V, length, most = len(lanes), number_at(geometry, PHASE), number_at(geometry, MOST)
    down = number_at(geometry, STRIDE_H) * number_at(geometry, C) * number_at(geometry, KERNEL_W)
    inputs, outputs, vectors = packed + 4 * row * down * length, band + 4 * row * length, length // V
    parts = (vectors + most - 1) // most
    for part in range(parts):
        begin, end = vectors * part // parts, vectors * (part + 1) // parts
        task[product.INPUTS], task[product.OUTPUTS] = inputs + 4 * begin * V, outputs + 4 * begin * V
        call_at(number_at(number_at(order, MULTIPLIERS), end - begin), address(task))


@dataclass(frozen=True, eq=False)
class PooledConv(Multiplied):
    """A dense convolution without a residual, and the ``pooling`` of its outputs, which is what is written."""

    pooling: Pooling

    @property
    def elements(self) -> int:
        """Rows of results."""
        return self.pooling.target[0]

    @property
    def counts(self) -> frozenset[int]:
        """As :attr:`InPieces.counts`, of rows."""
        return counts_of({self._length // self.cut.V}, self.cut.R)

    @property
    def place_bytes(self) -> int:
        """Packed inputs, and the outputs of a band."""
        return whole_lines(self._packed_bytes + 4 * self.shape.M * self.largest * self._length)

    @property
    def kernel(self) -> tuple[Jitted, tuple[Any, ...]]:
        """As :attr:`InPieces.kernel`."""
        _, *windows = pooler_of(*self.pooling.columns[:3], average=self.pooling.average)
        return banded_convolver, (((),) * self.cut.V, tuple(windows))

    def geometry(self) -> np.ndarray:
        """Its own numbers are those of this module."""
        own = (self.cut.T, self.cut.R, self.largest, self._packed_bytes, self.place_bytes)
        return geometry_of(self.shape, self._length, *own)

    def blank(self) -> np.ndarray:
        """As :meth:`Ordered.blank`."""
        order = super().blank()
        order[POOLED] = self._facts.ctypes.data
        return order

    @property
    def repeated(self) -> float:
        """Rows that are computed twice, and columns that fill up vectors, of all."""
        rows = int(np.sum(self._work[:, 4] - self._work[:, 3])) / (self.shape.N * self.shape.OH)
        return rows * self._length / self.shape.OW - 1

    @property
    def _length(self) -> int:
        """Elements of a row of outputs, whole vectors."""
        return -(-self.shape.OW // self.cut.V) * self.cut.V

    @made_once
    def largest(self) -> int:
        """Rows of the largest band."""
        return max(end - top for *_, top, end in self._work.tolist())

    @made_once
    def _packed_bytes(self) -> int:
        """Bytes of packed inputs."""
        s = self.shape
        return 4 * ((self.largest - 1) * s.strides[0] + s.kernel[0]) * s.C * s.kernel[1] * self._length

    @made_once
    def _facts(self) -> np.ndarray:
        return facts_of(self.pooling)

    @made_once
    def _work(self) -> np.ndarray:
        """Bands, int64, as many for each thread."""
        rows, parts, results = self.pooling.rows, self.parts, self.pooling.target[0]
        room = max(1, BAND_BYTES // (4 * self.shape.M * self._length))
        needed = -(-self.shape.OH // room)
        count = min(results, -(-needed // parts) * parts)
        ends = results * np.arange(count + 1) // count
        last = rows[:, 0] + (rows[:, 1] - 1) * self.pooling.dilation + 1
        bands = []
        for first, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            inside = np.flatnonzero(rows[first:end, 1] > 0) + first  # some windows may be padding alone
            top, stop = (rows[inside, 0].min(), last[inside].max()) if len(inside) else (0, 0)
            bands.append((first, end, int(top), int(stop)))
        return np.array([(n, *band) for n in range(self.shape.N) for band in bands], np.int64)


def pooled(conv: DenseConv, pooling: Pooling) -> PooledConv | None:
    """``conv`` and the pool of its outputs, where that is quicker: these would leave the second-level cache, few of them are
    computed twice, and inputs are few. Rows of kernels have to be neighbours."""
    shape = conv.shape
    if pooler_of(*pooling.columns[:3], average=pooling.average)[0] is not window_pooler or shape.dilations[0] > 1:
        return None
    if pooling.source != (shape.OH, shape.OW) or shape.M * shape.OH * shape.OW <= FAR:
        return None
    cut = _cut_rows(conv.cut, shape.M, shape.OW)
    weights = _by_rows(conv.weights, shape, cut.T)
    both = PooledConv(shape, cut, weights, conv.codebook, conv.scale, conv.shift, conv.bounds, conv.parts, pooling)
    if both.largest == 0:  # all windows are padding alone
        return None
    packed = shape.C * (shape.taps - shape.kernel[1] * min(shape.kernel[0], shape.strides[0]))
    few = both.place_bytes <= BAND_BYTES + INPUT_BYTES
    more = both.repeated * conv.cut.cycles * shape.C * shape.taps
    return both if few and more < SAVED + PACKED * packed / shape.M else None


def _cut_rows(cut: Cut, channels: int, width: int) -> Cut:
    """``cut`` with a register tile as large, that parts rows of ``width`` outputs in as few and as equal parts as possible, and
    channels in parts that leave few of the last one empty."""
    vectors, size = -(-width // cut.V), (cut.T + 1) * cut.R
    parts = -(-vectors // max(1, size // (FEWEST + 1)))
    R = -(-vectors // parts)
    most = max(1, size // R - 1)
    return replace(cut, T=min(range(most, min(FEWEST, most) - 1, -1), key=lambda T: -channels % T), R=R)


def _by_rows(weights: np.ndarray, shape: Shape2D, T: int) -> np.ndarray:
    """Weights (units, columns, any number) of columns (input channel, kernel row, kernel column) with the kernel row first,
    (units, columns, T)."""
    rows = weights.transpose(0, 2, 1).reshape(-1, shape.C, *shape.kernel)[: shape.M]
    return in_units(rows.transpose(0, 2, 1, 3).reshape(shape.M, -1), T)
