"""Products of a matrix of weights with one vector or many, ready to run on threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..plan.workers import Workers
from ._jit import jit
from .lines import Lines, multiply_columns, multiply_rows
from .segment_tile import multiply_segments, scratch_floats
from .segments import Segments
from .whole import Whole, multiply_whole, multiply_whole_rows, multiply_whole_values

EMPTY = np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class Finish:
    """What becomes of each sum: ``clip(sum * scale + shift + residual, low, high)``; ``scale`` and ``shift`` (M,) float32."""

    scale: np.ndarray
    shift: np.ndarray
    low: np.float32
    high: np.float32

    def __call__(self, sums: np.ndarray, y: np.ndarray, residual: np.ndarray | None, rows: slice) -> None:
        """``sums`` (parts, rows) are added up into ``y``, which may be their memory; ``y`` and ``residual`` (rows,)."""
        other = EMPTY if residual is None else residual
        self._kernel(sums, y, other, self.scale[rows], self.shift[rows], self.low, self.high)

    @cached_property
    def _kernel(self) -> Callable[..., None]:
        return finish.once()


@jit
def finish(sums, y, residual, scale, shift, low, high):
    """``y = clip(sums.sum(axis=0) * scale + shift + residual, low, high)``; the residual is absent when it is empty."""
    for i in range(len(y)):
        total = sums[0, i]
        for part in range(1, len(sums)):
            total += sums[part, i]
        value = total * scale[i] + shift[i]
        if len(residual):
            value += residual[i]
        value = low if value < low else value
        y[i] = high if value > high else value


@dataclass(frozen=True, eq=False)
class ByLines:
    """Products of single vectors, one after another; each of ``parts`` threads takes as many weights."""

    lines: Lines
    finish: Finish
    parts: int

    @cached_property
    def cuts(self) -> np.ndarray:
        """(parts + 1,): the lines at which parts start."""
        start = self.lines.start
        inner = np.searchsorted(start, start[-1] * np.arange(1, self.parts) / self.parts)
        return np.array([0, *inner, len(start) - 1])

    @cached_property
    def _multiply(self) -> Callable[..., None]:
        return (multiply_rows if self.lines.by_rows else multiply_columns).once()

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory: sums of each thread."""
        return 0 if self.lines.by_rows else 4 * self.parts * self.lines.rows

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """``x`` (B, K) and ``y`` (B, M), C-contiguous."""
        run = self._rows if self.lines.by_rows else self._columns
        for b in range(len(x)):
            run(x[b], y[b], None if residual is None else residual[b], scratch, workers)

    def _rows(self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers) -> None:
        def work(part: int) -> None:
            lines, rows = self.lines, slice(self.cuts[part], self.cuts[part + 1])
            self._multiply(x, lines.start[rows.start :], lines.minor, lines.code, lines.codebook, y[rows])
            self.finish(y[None, rows], y[rows], None if residual is None else residual[rows], rows)

        workers.each(work, self.parts)

    def _columns(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        sums = scratch.view(np.float32).reshape(self.parts, -1)

        def work(part: int) -> None:
            lines, columns = self.lines, slice(self.cuts[part], self.cuts[part + 1])
            sums[part] = 0
            self._multiply(x[columns], lines.start[columns.start :], lines.minor, lines.code, lines.codebook, sums[part])

        workers.each(work, self.parts)
        self.finish(sums, y, residual, slice(None))


@dataclass(frozen=True, eq=False)
class ByWhole:
    """As :class:`ByLines`, for weights that have a code each."""

    weights: Whole
    finish: Finish
    parts: int

    scratch = 0
    """No scratch memory."""

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """``x`` (B, K) and ``y`` (B, M), C-contiguous."""
        cuts = np.arange(self.parts + 1) * y.shape[1] // self.parts

        def work(part: int) -> None:
            rows = slice(cuts[part], cuts[part + 1])
            for b in range(len(x)):
                target = y[b, rows]
                self._multiply(x[b], rows, target)
                self.finish(target[None], target, None if residual is None else residual[b, rows], rows)

        workers.each(work, self.parts)

    def _multiply(self, x: np.ndarray, rows: slice, y: np.ndarray) -> None:
        weights = self.weights
        if weights.by_rows:
            multiply_whole_rows(x, weights.code[rows], y)
        elif weights.code.dtype == np.float32:
            multiply_whole_values(x, weights.code, rows.start, y)
        else:
            multiply_whole(x, weights.code, weights.codebook, rows.start, y)


@dataclass(frozen=True, eq=False)
class BySegments:
    """Products of many vectors at once, the vectors in the lanes of registers."""

    segments: Segments
    registers: int
    finish: Finish
    parts: int

    @property
    def part_floats(self) -> int:
        """Floats of scratch memory that one thread needs, whole cache lines."""
        return scratch_floats(self.registers, self.segments.width, int(np.diff(self.segments.panels).max()))

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory."""
        return 4 * self.parts * self.part_floats

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """``x`` (B, K) and ``y`` (B, M), C-contiguous."""
        (B, K), M, weights, last = x.shape, y.shape[1], self.segments, self.finish
        source, target, other = x.reshape(-1), y.reshape(-1), EMPTY if residual is None else residual.reshape(-1)
        room, size = scratch.view(np.float32), self.part_floats
        panels = (len(weights.panels) - 1) // self.parts

        def work(part: int) -> None:
            multiply_segments(
                (False,) * self.registers, source, target, other, room[part * size : (part + 1) * size], K, M, B,
                weights.width, weights.panels, part * panels, (part + 1) * panels, weights.start, weights.row,
                weights.offset, weights.code, weights.codebook, last.scale, last.shift, last.low, last.high,
            )  # fmt: skip

        workers.each(work, self.parts)


Product = Callable[[np.ndarray, np.ndarray, "np.ndarray | None", np.ndarray, Workers], None]
