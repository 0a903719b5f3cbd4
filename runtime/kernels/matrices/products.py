"""Products of a matrix of weights with one vector or many, ready to run on threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...emit.finish import LANES, gate_of, passed_one
from ...emit.memory import address
from ...jit.jitted import jit
from ...orders.made_once import made_once
from ...orders.shared import MOST_PIECES, Shared, evenly
from .batch import batch_multiplier, scratch_floats
from .lines import SortedLines, line_multiplier
from .runs import Runs
from .whole import Whole, whole_multiplier

EMPTY = np.zeros(0, np.float32)

PIECE = 10_000
"""Weights of a piece of work, at least."""


@dataclass(frozen=True, eq=False)
class Finish:
    """What becomes of each sum, see :mod:`~tersor.runtime.emit.finish`: ``scale`` and ``shift`` (M,), ``bounds`` (low, high)
    and the numbers of a gate, all float32."""

    scale: np.ndarray
    shift: np.ndarray
    bounds: np.ndarray

    @property
    def gate(self) -> tuple[tuple[()], ...]:
        """The gate, as kernels are told it."""
        return gate_of(self.bounds)

    @made_once
    def _padded(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scales and shifts for whole vectors, and bounds."""
        absent = np.zeros(LANES, np.float32)
        return np.append(self.scale, absent), np.append(self.shift, absent), self.bounds

    @property
    def addresses(self) -> list[int]:
        """Of scales, shifts and bounds, for :func:`~tersor.runtime.emit.finish.finish_line`."""
        return [array.ctypes.data for array in self._padded]

    def __call__(self, sums: np.ndarray, y: np.ndarray, residual: np.ndarray | None, rows: slice) -> None:
        """``sums`` (parts, rows) are added up into ``y``, which may be their memory; ``y`` and ``residual`` (rows,)."""
        other = EMPTY if residual is None else residual
        self._kernel(self.gate, sums, y, other, self.scale[rows], self.shift[rows], self.bounds)

    @made_once
    def _kernel(self) -> Callable[..., None]:
        return finish.once()


@jit
def finish(gate, sums, y, residual, scale, shift, bounds):
    """What becomes of ``sums.sum(axis=0) * scale + shift + residual`` in ``y``; the residual is absent when it is empty."""
    for i in range(len(y)):
        total = sums[0, i]
        for part in range(1, len(sums)):
            total += sums[part, i]
        value = total * scale[i] + shift[i]
        if len(residual):
            value += residual[i]
        y[i] = passed_one(gate, value, address(bounds))


def _bytes(count: int) -> tuple[tuple[()], ...]:
    """A number as kernels are told it: as the length of a tuple."""
    return ((),) * count


class _OneByOne(ABC):
    """Products of single vectors, one after another, on ``parts`` threads."""

    parts: int

    @abstractmethod
    def share(self) -> Shared:
        """The product of one."""

    @made_once
    def _shared(self) -> Shared:
        return self.share()

    def orders(self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray) -> np.ndarray:
        """For ``x`` (B, K) and ``y`` (B, M), C-contiguous: an order for each vector."""
        others = [None] * len(x) if residual is None else residual
        return np.array([self._shared.order(x[b], y[b], others[b], scratch) for b in range(len(x))])

    def _pieces(self, weights: int) -> int:
        most = 1 if self.parts == 1 else MOST_PIECES * self.parts
        return max(self.parts, min(most, weights // PIECE))


@dataclass(frozen=True, eq=False)
class ByLines(_OneByOne):
    """Products by the nonzeros of lines, on ``parts`` threads."""

    lines: SortedLines
    finish: Finish
    parts: int

    @property
    def label(self) -> str:
        """What is walked, and what weights are."""
        return f"{'rows' if self.lines.by_rows else 'columns'} {self.lines.code.dtype.name}"

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a run reads."""
        return self.lines.bytes

    @made_once
    def cuts(self) -> np.ndarray:
        """(pieces + 1,) int64: the lines at which pieces start, of about equally many weights.

        There are more pieces than threads: one that wakes up late leaves more to the others.
        """
        start = self.lines.start
        pieces = self._pieces(int(start[-1]))
        inner = np.searchsorted(start, start[-1] * np.arange(1, pieces) / pieces)
        return np.array([0, *inner, len(start) - 1], np.int64)

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory: sums, by columns those of each piece."""
        return 4 * _padded(self.lines.rows) * (1 if self.lines.by_rows else len(self.cuts) - 1)

    def share(self) -> Shared:
        """As :meth:`_OneByOne.share`."""
        lines = self.lines
        kinds = *map(_bytes, (lines.by_rows, lines.minor.itemsize, lines.code.itemsize)), self.finish.gate
        listing = [array.ctypes.data for array in (lines.start, lines.minor, lines.code, lines.codebook, lines.place)]
        facts = np.array([lines.rows, *listing, *self.finish.addresses], np.int64)
        kept = lines, self.finish
        return Shared(lambda: line_multiplier(*kinds), len(self.cuts) - 1, self.parts, self.cuts, facts, kept)


@dataclass(frozen=True, eq=False)
class ByWhole(_OneByOne):
    """As :class:`ByLines`, for weights that have a code each, (inputs, outputs) being ``shape``."""

    weights: Whole
    shape: tuple[int, int]
    finish: Finish
    parts: int

    @property
    def label(self) -> str:
        """As :attr:`ByLines.label`."""
        return f"{'rows' if self.weights.by_rows else 'columns'} {self.weights.code.dtype.name} whole"

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a run reads."""
        return self.weights.bytes

    @made_once
    def cuts(self) -> np.ndarray:
        """(pieces + 1,) int64: the outputs at which pieces start, whole vectors."""
        K, M = self.shape
        pieces = min(-(-M // LANES), self._pieces(K * M))
        return np.minimum(evenly(-(-M // LANES), pieces) * LANES, M)

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory: sums."""
        return 4 * _padded(self.shape[1])

    def share(self) -> Shared:
        """As :meth:`_OneByOne.share`."""
        weights = self.weights
        listing = [array.ctypes.data for array in (weights.code, weights.codebook)]
        facts = np.array([*self.shape, *listing, *self.finish.addresses], np.int64)
        kinds = _bytes(weights.by_rows), _bytes(weights.code.itemsize), self.finish.gate
        return Shared(
            lambda: whole_multiplier(*kinds),
            len(self.cuts) - 1,
            self.parts,
            self.cuts,
            facts,
            (weights, self.finish),
        )


def _padded(count: int) -> int:
    """``count`` as a whole number of vectors."""
    return -(-count // LANES) * LANES


@dataclass(frozen=True, eq=False)
class ByRuns:
    """Products of many vectors at once, the vectors in the lanes of registers."""

    runs: Runs
    registers: int
    finish: Finish
    shape: tuple[int, int, int]
    """Vectors, inputs, outputs."""
    parts: int

    @property
    def label(self) -> str:
        """How many vectors are multiplied at once, and what weights are."""
        return f"batch {self.registers}x{LANES} {self.runs.code.dtype.name}"

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a run reads."""
        return self.runs.bytes

    @property
    def part_floats(self) -> int:
        """Floats of scratch memory that one thread needs, whole cache lines."""
        return scratch_floats(self.registers, self.runs.width, int(np.diff(self.runs.panels).max()))

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory."""
        return 4 * self.parts * self.part_floats

    def orders(self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray) -> np.ndarray:
        """For ``x`` (B, K) and ``y`` (B, M), C-contiguous."""
        return self._shared.order(x, y, residual, scratch)[None]

    @made_once
    def _shared(self) -> Shared:
        runs, (B, K, M) = self.runs, self.shape
        arrays = (runs.panels, runs.first, runs.entry, runs.row, runs.length, runs.offset, runs.code, runs.codebook)
        sizes = [K, M, B, runs.width, len(runs.panels) - 1]
        listing = [array.ctypes.data for array in arrays]
        facts = np.array([*sizes, *listing, *self.finish.addresses, 4 * self.part_floats], np.int64)
        kinds = _bytes(self.registers), _bytes(runs.code.itemsize), self.finish.gate
        pieces = -(-B // (self.registers * LANES)) * (len(runs.panels) - 1)
        return Shared(lambda: batch_multiplier(*kinds), pieces, self.parts, runs.panels, facts, (runs, self.finish))
