"""Convolutions whose pieces threads carry out one by one, each with a place of its own in scratch memory: what they have in
common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._jit import Kernel
from ._property import made_once
from .layout import Shape2D
from .multiply import multiplier
from .order import CODE, FACTS, PIECES, SHARED, WORK, Ordered, order_of

GEOMETRY, WEIGHTS, CODEBOOK, SCALE, SHIFT, BOUNDS, MULTIPLIERS, PACKER = range(FACTS, FACTS + 8)
"""Numbers of an order beside those of every one: addresses of the geometry, of weights and codebook (0 when they are float32),
of scale, shift and bounds, of the addresses of the code that multiplies, by its vectors, and of code that packs. ``x`` is
(N, C, H, W), ``y`` and a residual are (N, M, OH, OW)."""


@dataclass(frozen=True)
class Cut:
    """How the outputs are cut: ``T`` output channels and at most ``R`` vectors of ``V`` elements multiplied at once; the
    ``total`` vectors of an image in ``pieces`` of about the same size, ``chunk`` output channels of which are done at a time;
    ``block`` input channels."""

    T: int
    R: int
    V: int
    total: int
    pieces: int
    chunk: int
    block: int

    @property
    def most(self) -> int:
        """Vectors of the largest piece."""
        return -(-self.total // self.pieces)

    def ends(self, pieces: int) -> np.ndarray:
        """(pieces + 1,) int64: elements, whole vectors, between which the first ``pieces`` lie. As many of the larger ones are
        before the middle as behind it, where threads come from both ends."""
        return (2 * self.total * np.arange(pieces + 1) + self.pieces) // (2 * self.pieces) * self.V

    @property
    def counts(self) -> frozenset[int]:
        """Numbers of vectors that are multiplied at once."""
        return counts_of({self.total // self.pieces, self.most}, self.R)

    @property
    def cycles(self) -> float:
        """Estimated cycles of a vector of products: the fewer vectors are multiplied at once, the more of them are loads."""
        at_once = self.total / self.pieces / -(-self.most // self.R)
        return 0.75 * (1 + 0.6 / at_once)


def counts_of(sizes: Collection[int], R: int) -> frozenset[int]:
    """Numbers of vectors, at most ``R``, that are multiplied at once in pieces of some sizes."""
    parts = {(n, -(-n // R)) for n in sizes}
    return frozenset(count for n, among in parts for count in (n // among, -(-n // among)))


def multipliers(tile: tuple[int, int, int], vectors: int) -> np.ndarray:
    """The addresses of the code that multiplies as many vectors as the index says, (R + 1,) int64, for float32 in a ``tile``
    (T, R, V): those that ``vectors`` are cut into, 0 elsewhere."""
    T, R, V = tile
    codes = np.zeros(R + 1, np.int64)
    for count in counts_of({vectors}, R):
        codes[count] = multiplier(((),) * T, ((),) * count, ((),) * V, (), (), ())
    return codes


def register_tile(registers: tuple[int, int], together: int) -> tuple[int, int, int]:
    """(T, R, V) for a processor, ``registers`` being those of :func:`~tersor.runtime.kernels.host.host_registers`: sums, inputs
    and one weight have registers. ``T`` is ``together`` output channels unless that leaves registers for one vector only."""
    count, width = registers
    V = max(8, width)
    most = {T: (count - 1) // (V // width) // (T + 1) for T in (together, 4)}
    T = together if most[together] > 1 else 4
    return T, max(1, most[T]), V


def in_units(rows: np.ndarray, T: int) -> np.ndarray:
    """Rows of weights (M, columns) as (units, columns, T), with zeros for output channels that are not there."""
    units = -(-len(rows) // T)
    grid = np.zeros((units * T, rows.shape[1]), rows.dtype)
    grid[: len(rows)] = rows
    return np.ascontiguousarray(grid.reshape(units, T, -1).transpose(0, 2, 1))


def kept(shape: Shape2D, cut: Cut) -> int:
    """Output channels whose sums are kept at once: those of a chunk where one block holds all input channels, else all."""
    return cut.chunk if cut.block >= shape.C else -(-shape.M // cut.chunk) * cut.chunk


@dataclass(frozen=True, eq=False)
class InPieces(Ordered):
    """A convolution with everything chosen.

    ``weights`` are uint8 codes for ``codebook``, or float32, in the order of the kernel; ``parts`` threads share the work.
    """

    shape: Shape2D
    cut: Cut
    weights: np.ndarray
    codebook: np.ndarray | None
    scale: np.ndarray
    shift: np.ndarray
    bounds: np.ndarray
    parts: int

    @property
    @abstractmethod
    def density(self) -> float:
        """Multiplications done, of those of the dense convolution."""

    @property
    @abstractmethod
    def place_bytes(self) -> int:
        """Bytes of a place in scratch memory, whole cache lines."""

    @property
    @abstractmethod
    def elements(self) -> int:
        """Elements of an image that pieces share out among them."""

    @abstractmethod
    def geometry(self) -> np.ndarray:
        """What the kernel knows of the shape, see :mod:`.geometry`."""

    @property
    @abstractmethod
    def kernel(self) -> tuple[Kernel, tuple[Any, ...]]:
        """The kernel that tells the address of the code, and its arguments."""

    @abstractmethod
    def multiplier(self, count: int) -> int:
        """The address of the code that multiplies ``count`` vectors at once."""

    @property
    def counts(self) -> frozenset[int]:
        """Numbers of vectors that are multiplied at once."""
        return self.cut.counts

    @property
    def packer(self) -> int:
        """The address of code that packs positions, 0 where the kernel prepares its inputs itself."""
        return 0

    @property
    def lone_code(self) -> int:
        """The address of the code for what whole vectors leave over, 0 where a last one takes it."""
        return 0

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a run reads."""
        return self.weights.nbytes + (0 if self.codebook is None else self.codebook.nbytes)

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch memory for all threads."""
        return self.parts * self.place_bytes

    def blank(self) -> np.ndarray:
        """As :meth:`Ordered.blank`."""
        tables = {WORK: self._work, GEOMETRY: self._geometry, WEIGHTS: self.weights, MULTIPLIERS: self._multipliers}
        tables |= {SCALE: self.scale, SHIFT: self.shift, BOUNDS: self.bounds}
        if self.codebook is not None:
            tables[CODEBOOK] = self.codebook
        pieces = len(self._work)
        kernel, arguments = self.kernel
        code, shared = kernel(*arguments), min(pieces, self.parts) > 1
        numbers = {CODE: code, SHARED: shared, PIECES: pieces, PACKER: self.packer}
        return order_of(numbers | {place: table.ctypes.data for place, table in tables.items()})

    @made_once
    def _geometry(self) -> np.ndarray:
        return self.geometry()

    @made_once
    def _multipliers(self) -> np.ndarray:
        """The addresses of the code that multiplies as many vectors as the index says, 0 where none is needed; for no vector,
        that of what is left over."""
        codes = np.zeros(self.cut.R + 1, np.int64)
        codes[0] = self.lone_code
        for count in self.counts:
            codes[count] = self.multiplier(count)
        return codes

    @made_once
    def _work(self) -> np.ndarray:
        """Pieces, int64: (image, first element, last element, first chunk of output channels, last chunk).

        Each thread gets as many as any other. Those that are left over are in the middle, where threads meet, coming from both
        ends: each does some chunks of them, and all of them prepare the same inputs.
        """
        cut, count, chunks = self.cut, self.shape.N * self.cut.pieces, -(-self.shape.M // self.cut.chunk)
        ends = cut.ends(cut.pieces)
        ends[-1] = self.elements
        left, shares = count % self.parts, min(self.parts, chunks)
        before, after = np.split(np.arange(count - left), [(count - left) // 2])
        cuts = chunks * np.arange(shares + 1) // shares
        number = np.concatenate([before, np.repeat(np.arange(left) + len(before), shares), after + left])
        first = np.concatenate([np.zeros_like(before), np.tile(cuts[:-1], left), np.zeros_like(after)])
        last = np.concatenate([np.full_like(before, chunks), np.tile(cuts[1:], left), np.full_like(after, chunks)])
        n, piece = np.divmod(number, cut.pieces)
        return np.stack([n, ends[piece], ends[piece + 1], first, last], axis=1)
