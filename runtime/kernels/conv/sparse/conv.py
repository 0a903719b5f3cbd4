"""Convolution from codebook indices: any kernel, stride, dilation, padding and number of groups, in one or two dimensions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from ....emit.finish import lanes_of
from ....jit.host import host_registers
from ....orders.made_once import made_once
from ....orders.order import CODE, PIECES, SHARED, WORK, Ordered, floats_of_lines, order_of
from ....orders.shared import sharing
from ..cost_model import cost, shared_parts
from ..geometry import geometry_of
from ..layout import SHAPES, Shape2D, Tiling, tiles
from ..pack import packing_code
from .convolve import BLOCK_CHANNELS, BLOCK_VISITS, BLOCKS, GEOMETRY, PACKER, PREPARED, SPANS, TILE, convolver
from .stream import Stream
from .visits import SCALE, TASK, WORDS, visits

MOST_PIECES, PIECE = 8, 25_000
"""Pieces of work for each thread, at most, and the estimated cycles of one, at least."""


@dataclass(frozen=True, eq=False)
class SparseConv(Ordered):
    """A convolution with everything chosen. Where only the ``mean`` of each channel's outputs is written, they are one tile."""

    shape: Shape2D
    tiling: Tiling
    stream: Stream
    scale: np.ndarray
    shift: np.ndarray
    bounds: np.ndarray
    parts: int
    mean: bool = False

    @made_once
    def packed_floats(self) -> int:
        """Floats of one thread's packed block and of the vector that may run over its end, whole cache lines."""
        most = int(np.diff(self.stream.block_channels).max(initial=1))
        return floats_of_lines((most * self.tiling.packed + 1) * self.tiling.V)

    @made_once
    def sum_floats(self) -> int:
        """Floats of one thread's sums, whole cache lines: none are kept where one block holds all inputs."""
        if len(self.stream.block_channels) == 2:
            return 0
        return floats_of_lines((self.shape.M + self.tiling.T - 1) * self.tiling.R * self.tiling.V)

    @made_once
    def image(self) -> tuple[int, int]:
        """Rows, and elements of a phase, of a channel's padded copy, from which flat tiles are packed."""
        R, V = self.tiling.R, self.tiling.V
        return self.shape.image(R * V, V) if self.tiling.shape == "flat" else (0, 0)

    @made_once
    def scratch_floats(self) -> int:
        """Floats of scratch memory that one thread needs, whole cache lines."""
        rows, length = self.image
        image = rows * length * self.shape.strides[1] + self.tiling.V
        return self.packed_floats + self.sum_floats + floats_of_lines(image)

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch memory for all threads."""
        return 4 * self.parts * self.scratch_floats

    @property
    def density(self) -> float:
        """Multiplications done, of those of the dense convolution."""
        return self.stream.nonzeros / max(1, self.shape.dense)

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a run reads."""
        return self.stream.bytes

    def blank(self) -> np.ndarray:
        """As :meth:`Ordered.blank`."""
        stream, pieces, tiling = self.stream, self._pieces, self.tiling
        tables = {WORK: pieces, GEOMETRY: self._geometry, SPANS: self.tiling.spans, PREPARED: self.task}
        tables |= {BLOCK_CHANNELS: stream.block_channels, BLOCK_VISITS: stream.block_visits}
        numbers = {CODE: _convolver(self.tiling.V), SHARED: len(pieces) != 1, PIECES: len(pieces)}
        numbers |= {
            TILE: _visitor(self.tile),
            BLOCKS: len(stream.block_channels) - 1,
            PACKER: packing_code(tiling.V) if tiling.shape == "flat" else 0,
        }
        return order_of(numbers | {place: table.ctypes.data for place, table in tables.items()})

    @property
    def tile(self) -> tuple[tuple[Any, ...], ...]:
        """The arguments of :func:`~tersor.runtime.kernels.conv.sparse.visits.visits`."""
        tiling, coded = self.tiling, self.stream.codebook is not None
        channels, rows, *others = (((),) * length for length in (tiling.T, tiling.R, tiling.shifts, coded, self.mean))
        return channels, rows, lanes_of(tiling.V, self.bounds), *others

    @made_once
    def task(self) -> np.ndarray:
        """(TASK,) int64: what the tile's code reads the same in every run."""
        stream, (scale, shift) = self.stream, self._padded
        weights = (stream.words, stream.codebook, stream.start, stream.channels, stream.flags)
        addresses = [0 if array is None else array.ctypes.data for array in (*weights, shift, self.bounds)]
        task = np.zeros(TASK, np.int64)
        task[WORDS:], task[SCALE] = addresses, scale.ctypes.data
        return task

    @made_once
    def _padded(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift with more elements, for the partner of a channel that is left over."""
        absent = np.zeros(self.tiling.T - 1, np.float32)
        return np.concatenate([self.scale, absent]), np.concatenate([self.shift, absent])

    @made_once
    def _geometry(self) -> np.ndarray:
        """In the order of :mod:`..pack` and :mod:`.convolve`."""
        tiling, shape = self.tiling, self.shape
        if tiling.shifts > 1:  # a copy serves as many columns of the kernel
            shape = replace(shape, kernel=(shape.kernel[0], tiling.copies), dilations=(shape.dilations[0], tiling.shifts))
        packing = (tiling.rows, len(tiling.spans))
        places = (self.packed_floats, self.sum_floats, self.scratch_floats)
        shared = (self._whole, tiles(self.shape, tiling), self._cuts, self._at_once, self._whole == self.parts > 1)
        sizes = (*packing, SHAPES[tiling.shape], tiling.R, tiling.columns, *places, *shared)
        return geometry_of(shape, self.image[1], *sizes, 1 if self.mean else shape.OH * shape.OW)

    @property
    def _cuts(self) -> int:
        """Parts of the output channels."""
        return self.stream.block_visits.shape[1] - 1

    @property
    def _at_once(self) -> int:
        """Parts that a thread does at once of a tile that is shared: all that it can take where one block holds all inputs; its
        share where it takes them in the first of several, which tells little of the others; one of groups."""
        if self.shape.groups > 1:
            return 1
        several = len(self.stream.block_channels) > 2
        return max(1, self._cuts // self.parts) if several else self._cuts

    @made_once
    def _whole(self) -> int:
        """Tiles that one thread does each; the others are shared."""
        return whole_tiles(self.shape, self.tiling, self.stream.nonzeros, self.parts)

    @made_once
    def _pieces(self) -> np.ndarray:
        """(first tile, last tile) of pieces of work that threads take one by one: more than threads, so that one that wakes up
        late leaves more to the others. A single piece is all work of one thread. Threads come from both ends, and the pieces
        become smaller towards the middle, where one waits for the other."""
        cycles = _alone(self.shape, self.tiling, self.stream.nonzeros)
        if sharing(self.parts, cycles) == 1:
            return np.array([(0, self._whole)], np.int64)
        pieces = min(self._whole, self.parts * max(1, min(MOST_PIECES, round(cycles / PIECE / self.parts))))
        outside = 1 - 2 * np.arange(pieces + 1) / max(1, pieces)  # from 1 to -1
        ends = np.rint(self._whole / 2 * (1 - outside * np.abs(outside))).astype(np.int64)
        ends = ends[np.diff(ends, prepend=-1) > 0]
        return np.stack([ends[:-1], ends[1:]], axis=1)


@cache
def _convolver(V: int) -> int:
    """The address of the kernel's code; looking it up takes longer than a small layer."""
    return convolver(((),) * V)


@cache
def _visitor(tile: tuple[tuple[Any, ...], ...]) -> int:
    """The address of the tile's code."""
    return visits(*tile)


def whole_tiles(shape: Shape2D, tiling: Tiling, nonzeros: int, threads: int) -> int:
    """Tiles that one thread does each: as many for each thread. Little work stays on one."""
    count = tiles(shape, tiling)
    return count - count % sharing(threads, _alone(shape, tiling, nonzeros))


def _alone(shape: Shape2D, tiling: Tiling, nonzeros: int) -> float:
    """Estimated cycles of one thread of this processor."""
    return cost(shape, tiling, nonzeros, host_registers()[1])


def cuts_of(shape: Shape2D, tiling: Tiling, nonzeros: int, threads: int) -> int:
    """Parts that the output channels are cut into, for threads to share the tiles that one of them does not do alone."""
    if whole_tiles(shape, tiling, nonzeros, threads) == tiles(shape, tiling):
        return 1
    return shared_parts(shape, tiling, threads)
