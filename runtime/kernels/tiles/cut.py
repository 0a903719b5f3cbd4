"""How products are cut into tiles of registers, and which code multiplies a tile."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from .multiply import asking_multiplier, multiplier


@dataclass(frozen=True)
class Cut:
    """How the outputs are cut: ``T`` output channels and at most ``R`` vectors of ``V`` elements multiplied at once; the
    ``total`` vectors of an image in ``pieces`` of about the same size, ``chunk`` output channels of which are done at a time;
    ``block`` input channels. Behind the vectors there are ``lone`` elements."""

    T: int
    R: int
    V: int
    total: int
    pieces: int
    chunk: int
    block: int
    lone: int = field(default=0, kw_only=True)

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


def multipliers(tile: tuple[int, int, int], vectors: int, *, asks: bool = False) -> np.ndarray:
    """The addresses of the code that multiplies as many vectors as the index says, (R + 1,) int64, for float32 in a ``tile``
    (T, R, V): those that ``vectors`` are cut into, 0 elsewhere. ``asks`` says whether it asks for memory ahead."""
    T, R, V = tile
    codes = np.zeros(R + 1, np.int64)
    for count in counts_of({vectors}, R):
        kinds = ((),) * T, ((),) * count, ((),) * V
        codes[count] = asking_multiplier(*kinds) if asks else multiplier(*kinds, (), (), ())
    return codes


def register_tile(registers: tuple[int, int], together: int) -> tuple[int, int, int]:
    """(T, R, V) for a processor, ``registers`` being those of :func:`~tersor.runtime.jit.host.host_registers`: sums, inputs
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


def balanced(channels: int, most: int) -> int:
    """Channels to a block, at most ``most``, so that a group's blocks are about equally large."""
    if channels == 0 or most >= channels:
        return max(1, channels)
    return -(-channels // -(-channels // most))
