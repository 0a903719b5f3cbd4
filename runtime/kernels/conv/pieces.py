"""Convolutions whose pieces threads carry out one by one, each with a place of its own in scratch memory: what they have in
common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...jit.jitted import Jitted
from ...orders.made_once import made_once
from ...orders.order import CODE, FACTS, PIECES, SHARED, WORK, Ordered, order_of
from ..tiles.cut import Cut
from .layout import Shape2D

GEOMETRY, WEIGHTS, CODEBOOK, SCALE, SHIFT, BOUNDS, MULTIPLIERS, PACKER = range(FACTS, FACTS + 8)
"""Numbers of an order beside those of every one: addresses of the geometry, of weights and codebook (0 when they are float32),
of scale, shift and bounds, of the addresses of the code that multiplies, by its vectors, and of code that packs. ``x`` is
(N, C, H, W), ``y`` and a residual are (N, M, OH, OW)."""


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
    def kernel(self) -> tuple[Jitted, tuple[Any, ...]]:
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
