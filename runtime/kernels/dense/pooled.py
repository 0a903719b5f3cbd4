"""A dense convolution and the pool that alone reads it: by bands of rows, which stay in a cache until they are pooled.

Each thread does a band by itself. Rows that the windows of two bands share are computed twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import multiply as product
from .. import pack
from .._atomic import code_of, number_at
from .._jit import Kernel, jit
from .._property import made_once
from ..cost_model import FAR
from ..geometry import OW, M
from ..order import FACTS, PIECES, SCRATCH, WORK, Y
from ..pieces import GEOMETRY, counts_of
from ..pool import DIVISOR_W, facts_of, pool_rows, pooler_of, window_pooler
from ..pool import OH as POOLED_H
from ..pool import OW as POOLED_W
from ..pooling import Pooling
from ..team import take
from .conv import DenseConv
from .convolve import CHUNK, PLACE, multiply_positions

POOLED = FACTS + 8
"""The number of an order beside those of a dense convolution: the address of the facts of the pool, int64."""

VECTORS, BAND = DIVISOR_W + 1, DIVISOR_W + 2
"""Facts beside those of every pool: vectors of a piece of a band, at most, and where in a place the band begins, in bytes."""

BAND_BYTES = 500 << 10
"""Outputs of a band, at most: they stay in a second-level cache of 1 MiB beside packed inputs."""

SAVED = 5
"""Cycles that a vector of outputs takes less where it need not leave the second-level cache."""


@jit
def banded_convolver(lanes, windows):
    """Address of the code that carries out an order, given by its address, with vectors of ``len(lanes)`` outputs; ``windows``
    are the lengths that :func:`~tersor.runtime.kernels.pool.window_pooler` is given."""
    return code_of((lanes, windows), pool_bands)


@jit
def pool_bands(kinds, order, member):
    """Take bands of the work of the order at address ``order`` until none is left.

    One is (image, first row of results, last, first row of outputs, last). Each thread takes one of the places in scratch
    memory: that of a dense convolution, and the outputs of a band.
    """
    (lanes, windows), geometry, facts = kinds, number_at(order, GEOMETRY), number_at(order, POOLED)
    place = number_at(order, SCRATCH) + member * number_at(geometry, PLACE)
    task, packing = np.empty(product.TASK, np.int64), np.empty(pack.PACKING, np.int64)
    packing[pack.GEOMETRY] = geometry
    V, width, channels, chunk = len(lanes), number_at(geometry, OW), number_at(geometry, M), number_at(geometry, CHUNK)
    chunks, pooled_plane = (0, (channels + chunk - 1) // chunk), 4 * number_at(facts, POOLED_H) * number_at(facts, POOLED_W)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 40 * piece
        n, start, end = number_at(work, 0), number_at(work, 3) * width, number_at(work, 4) * width
        plane, band = end - start, place + number_at(facts, BAND) - 4 * start
        vectors = (plane + V - 1) // V
        parts = (vectors + number_at(facts, VECTORS) - 1) // number_at(facts, VECTORS)
        for part in range(parts):
            begin, stop = start + vectors * part // parts * V, min(start + vectors * (part + 1) // parts * V, end)
            planes = band, 0, plane
            multiply_positions(lanes, order, geometry, task, packing, place, (n, begin, stop), chunks, planes)
        for m in range(channels):
            target = number_at(order, Y) + (n * channels + m) * pooled_plane
            pool_rows(windows, facts, band + 4 * m * plane, target, number_at(work, 1), number_at(work, 2))
        piece = take(order, member)


@dataclass(frozen=True, eq=False)
class PooledConv(DenseConv):
    """A dense convolution, all of whose inputs are one block, without a residual; what is written is its ``pooling``."""

    pooling: Pooling

    @property
    def counts(self) -> frozenset[int]:
        """As :attr:`InPieces.counts`, of pieces of bands."""
        vectors = {-(-(end - top) * self.shape.OW // self.cut.V) for *_, top, end in self._work.tolist()}
        parts = {(n, -(-n // self.cut.most)) for n in vectors if n > 0}
        return counts_of({size for n, among in parts for size in (n // among, -(-n // among))}, self.cut.R)

    @property
    def place_bytes(self) -> int:
        """As those of the convolution, and the outputs of a band."""
        rows = max(end - top for *_, top, end in self._work.tolist())
        return super().place_bytes + -(-4 * self.shape.M * rows * self.shape.OW // 64) * 64

    @property
    def kernel(self) -> tuple[Kernel, tuple[Any, ...]]:
        """As :attr:`InPieces.kernel`."""
        _, *windows = pooler_of(*self.pooling.columns[:3], average=self.pooling.average)
        return banded_convolver, (((),) * self.cut.V, tuple(windows))

    def blank(self) -> np.ndarray:
        """As :meth:`Ordered.blank`."""
        order = super().blank()
        order[POOLED] = self._facts.ctypes.data
        return order

    @property
    def repeated(self) -> float:
        """Rows that are computed twice, of all."""
        return int(np.sum(self._work[:, 4] - self._work[:, 3])) / (self.shape.N * self.shape.OH) - 1

    @made_once
    def _facts(self) -> np.ndarray:
        return np.append(facts_of(self.pooling), [self.cut.most, super().place_bytes])

    @made_once
    def _work(self) -> np.ndarray:
        """Bands, int64, as many for each thread."""
        rows, parts, results = self.pooling.rows, self.parts, self.pooling.target[0]
        room = max(1, BAND_BYTES // (4 * self.shape.M * self.shape.OW))
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
    """``conv`` and the pool of its outputs, where that is quicker: these would leave the second-level cache, and few of them
    are computed twice."""
    shape, cut = conv.shape, conv.cut
    if pooler_of(*pooling.columns[:3], average=pooling.average)[0] is not window_pooler or cut.block < shape.C:
        return None
    if pooling.source != (shape.OH, shape.OW) or shape.M * shape.OH * shape.OW <= FAR:
        return None
    both = PooledConv(shape, cut, conv.weights, conv.codebook, conv.scale, conv.shift, conv.bounds, conv.parts, pooling)
    return both if both.repeated * cut.cycles * shape.C * shape.taps < SAVED else None
