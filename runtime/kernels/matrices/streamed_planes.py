"""Fully connected layers from weights in byte planes: block after block is decoded into scratch memory and multiplied.

Blocks end wherever they have enough weights, in the middle of rows too: every thread has sums of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...decode.planes import PLACE, OpenPlanes
from ...emit.memory import address
from ...emit.walk import dot, scatter
from ...jit.jitted import jit
from ...orders.made_once import made_once
from ...orders.workers import Workers
from .products import Finish
from .streamed import cut_blocks

WORD = ((),) * 4
"""Bytes of a place, and of a weight."""


@jit
def multiply_listed(x, y, position, minor_length, places, weights, by_rows):
    """Add products with the float32 ``weights`` at ``places``, uint32 and ascending, behind ``position`` in the scan order of a
    matrix, whose majors have ``minor_length`` elements, to ``y``.

    ``x`` (B, K) and ``y`` (B, M) float32. By rows a major is an output, by columns an input.
    """
    index, entries = address(places), address(weights)
    major, begin, first = position // minor_length, -(position % minor_length), np.int64(0)
    while first < len(places):
        past = np.int64(places[first]) - begin
        major, begin = major + past // minor_length, begin + past // minor_length * minor_length
        stop = first
        while stop < len(places) and np.int64(places[stop]) - begin < minor_length:
            stop += 1
        for b in range(len(x)):
            if by_rows:
                y[b, major] += dot(WORD, WORD, address(x[b]) - 4 * begin, index, entries, entries, first, stop)
            elif x[b, major] != 0:
                scatter(WORD, WORD, address(y[b]) - 4 * begin, index, entries, entries, x[b, major], first, stop)
        first = stop


def decoded_blocks(opened: OpenPlanes, first: int, stop: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Decode blocks ``first`` to ``stop`` of a float32 tensor, one by one: each one's first position, its uint32 places behind
    that, and its weights, which the next block is decoded over.

    Raises:
        FormatError: a block's bits are malformed.
    """
    counts, gapped, signs = np.diff(opened.ends), opened.head.gap_symbols > 0, np.diff(opened.sign_ends)
    most = int(counts[first:stop].max(initial=0))
    words, places = np.empty(most, np.uint32), np.empty(most, PLACE) if gapped else np.arange(most, dtype=PLACE)
    for block in range(first, stop):
        count = int(counts[block])
        opened.decode(block, block + 1, (words[:count], places[: count * gapped], np.empty(signs[block], np.uint8)))
        yield block * opened.head.block, places[:count], words[:count].view(np.float32)


@dataclass(frozen=True, eq=False)
class ByPlanes:
    """Products of vectors with a matrix in byte planes, ``shape`` being (vectors, inputs, outputs); ``by_rows`` when outputs
    are its first axis."""

    opened: OpenPlanes
    by_rows: bool
    shape: tuple[int, int, int]
    finish: Finish
    parts: int

    @property
    def label(self) -> str:
        """The kernel's name."""
        return f"streamed {'rows' if self.by_rows else 'columns'} planes"

    @made_once
    def pieces(self) -> list[tuple[int, int]]:
        """(first, stop) of the blocks of each thread."""
        return cut_blocks(self.opened.ends, self.parts)

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory: the sums of each thread."""
        batch, _, M = self.shape
        return 4 * self.parts * batch * M

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """``x`` (B, K) and ``y`` (B, M), C-contiguous.

        Raises:
            FormatError: a block's bits are malformed.
        """
        sums = scratch.view(np.float32).reshape(self.parts, *y.shape)
        sums[:] = 0
        workers.each(lambda part: self._multiply(part, x, sums[part]), self.parts)
        for b in range(len(x)):
            self.finish(sums[:, b], y[b], None if residual is None else residual[b], slice(None))

    def _multiply(self, part: int, x: np.ndarray, sums: np.ndarray) -> None:
        _, K, M = self.shape
        for position, places, weights in decoded_blocks(self.opened, *self.pieces[part]):
            self._multiply_listed(x, sums, position, K if self.by_rows else M, places, weights, self.by_rows)

    @made_once
    def _multiply_listed(self) -> Callable[..., None]:
        return multiply_listed.once()
