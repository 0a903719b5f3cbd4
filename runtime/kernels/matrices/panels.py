"""A matrix that lacks few weights or none, its outputs in the lanes of registers, and its products with several vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...emit.finish import LANES, finish_line
from ...emit.memory import address, float_at, put_float
from ...jit.host import host_registers
from ...jit.jitted import jit
from ...orders.atomic import call_at, code_of, number_at
from ...orders.made_once import made_once
from ...orders.order import FACTS, OTHER, PIECES, SCRATCH, WORK, X, Y, aligned_bytes, whole_lines
from ...orders.shared import MOST_PIECES, Shared, evenly
from ...orders.team import take
from ..tiles import multiply as product
from ..tiles.cut import balanced, multipliers, register_tile
from .matrix import Layout, Matrix
from .products import Finish
from .stacks import TOGETHER, pack_left
from .whole import whole_rows

VECTORS, LEFT_BYTES, RIGHT_BYTES = 256, 512 << 10, 24 << 10
"""Vectors of a piece, at most, and their packed elements, which stay in a second-level cache; weights that are multiplied
before the next, which stay in a first-level one."""

FAR_BYTES = 1 << 20
"""Float32 weights that take more than this come from memory: those that follow are asked for while some are multiplied."""

FLOAT_BYTES = 400 << 10
"""Shared weights that take no more than this as float32 are kept so: looking them up would take longer than reading them."""

(
    INPUTS, OUTPUTS, BLOCK, STARTS, WEIGHTS, CODEBOOK, MULTIPLIERS, SCALE, SHIFT, BOUNDS, LEFT, RIGHT, PLACE,
) = range(13)  # fmt: skip
"""Facts, int64: inputs and outputs; inputs that are multiplied before the next; addresses of the registers at which panels
start, of weights, or their codes, of the codebook, of the addresses of the code that multiplies as many registers as the index
says, of scales and shifts, padded, and of (low, high) and the numbers of a gate; bytes of packed inputs, of weights looked up,
and of scratch memory of one thread."""


@dataclass(frozen=True, eq=False)
class Panels(Layout):
    """``weights``: for each panel of outputs (inputs, outputs), whole registers, of float32 or of codes for ``codebook``, which
    is empty for float32. ``starts`` (panels + 1,) int64: the registers at which panels start."""

    weights: np.ndarray
    codebook: np.ndarray
    starts: np.ndarray


def make_panels(matrix: Matrix) -> Panels:
    """Weights in panels of as many outputs as are multiplied at once."""
    rows, codebook = whole_rows(matrix)
    if codebook is not None and 4 * rows.size <= FLOAT_BYTES:
        rows, codebook = codebook[rows], None
    _, R, V = register_tile(host_registers(), TOGETHER)
    registers = -(-matrix.rows // V)
    starts = evenly(registers, -(-registers // R))
    weights = aligned_bytes(registers * V * matrix.columns * rows.itemsize).view(rows.dtype)
    for begin, end in zip(starts * V, starts[1:] * V, strict=False):
        panel = weights[begin * matrix.columns : end * matrix.columns].reshape(matrix.columns, end - begin)
        count = min(end, matrix.rows) - begin
        panel[:, :count] = rows[begin:end].T
        panel[:, count:] = 0
    return Panels(weights, np.zeros(0, np.float32) if codebook is None else codebook, starts)


@jit
def panel_multiplier(together, lanes, coded, gate):
    """Address of the code that carries out an order, for ``len(together)`` vectors and registers of ``len(lanes)`` outputs at
    once; ``coded`` is empty where weights are float32, ``gate`` is as in :mod:`~tersor.runtime.emit.finish`."""
    return code_of((together, lanes, coded, gate), multiply_panels)


@jit
def multiply_panels(kinds, order, member):
    """Take pieces of the work of the order at address ``order`` until none is left: (first vector, last vector, first panel,
    last panel). ``x`` is (vectors, inputs), ``y`` and a residual (vectors, outputs)."""
    facts, task, packed = number_at(order, FACTS), np.empty(product.TASK, np.int64), -1
    place, K = number_at(order, SCRATCH) + member * number_at(facts, PLACE), number_at(facts, INPUTS)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 32 * piece
        first, count = number_at(work, 0), number_at(work, 1) - number_at(work, 0)
        if first != packed:
            pack_left(kinds[0], number_at(order, X) + 4 * first * K, K, count, K, place)
            packed = first
        for panel in range(number_at(work, 2), number_at(work, 3)):
            _multiply_panel(kinds, order, task, place, panel, first, count)
        piece = take(order, member)


@jit
def _multiply_panel(kinds, order, task, packed, panel, first, count):
    """Outputs of one panel for ``count`` packed vectors from ``first`` on."""
    (together, lanes, coded, gate), facts = kinds, number_at(order, FACTS)
    T, V, K, M = len(together), len(lanes), number_at(facts, INPUTS), number_at(facts, OUTPUTS)
    starts, codebook, block = number_at(facts, STARTS), number_at(facts, CODEBOOK), number_at(facts, BLOCK)
    begin, registers = number_at(starts, panel) * V, number_at(starts, panel + 1) - number_at(starts, panel)
    looked_up, size, pitch = packed + number_at(facts, LEFT), 1 if len(coded) else 4, registers * V
    sums, weights = looked_up + number_at(facts, RIGHT), number_at(facts, WEIGHTS) + size * begin * K
    task[product.UNITS], task[product.UNIT], task[product.CODEBOOK] = (count + T - 1) // T, K * T, 0
    task[product.SUMS], task[product.STEP], task[product.PITCH] = sums, pitch, pitch
    task[product.AHEAD] = weights
    for k in range(0, K, block):
        task[product.ROWS], task[product.FIRST], task[product.WEIGHTS] = min(block, K - k), k == 0, packed + 4 * k * T
        task[product.INPUTS] = weights + size * k * pitch
        task[product.AHEAD] += size * task[product.ROWS] * pitch
        if len(coded):
            _look_up(looked_up, task[product.INPUTS], codebook, task[product.ROWS] * pitch)
            task[product.INPUTS] = looked_up
        call_at(number_at(number_at(facts, MULTIPLIERS), registers), address(task))
    for vector in range(count):
        at = 4 * ((first + vector) * M + begin)
        other = number_at(order, OTHER) + at if number_at(order, OTHER) != 0 else 0
        finish_line(
            gate, number_at(order, Y) + at, sums + 4 * vector * pitch, 1, 0, min(pitch, M - begin),
            number_at(facts, SCALE) + 4 * begin, number_at(facts, SHIFT) + 4 * begin, number_at(facts, BOUNDS), other,
        )  # fmt: skip


@jit
def _look_up(target, codes, codebook, count):
    """Write the weights of ``count`` codes, whole registers."""
    for i in range(0, count, 8):
        word = number_at(codes + i, 0)
        for k in range(8):
            put_float(target + 4 * (i + k), float_at(codebook + 4 * (word >> 8 * k & 255)))


@dataclass(frozen=True, eq=False)
class ByPanels:
    """Products of ``shape`` (vectors, inputs, outputs) on ``parts`` threads."""

    panels: Panels
    shape: tuple[int, int, int]
    finish: Finish
    parts: int

    @property
    def label(self) -> str:
        """What weights are."""
        return f"panels {self.panels.weights.dtype.name}"

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a run reads."""
        return self.panels.bytes

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory for all threads."""
        return self.parts * sum(self._bytes)

    def orders(self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray) -> np.ndarray:
        """For ``x`` (B, K) and ``y`` (B, M), C-contiguous."""
        return self._shared.order(x, y, residual, scratch)[None]

    @made_once
    def _shared(self) -> Shared:
        T, _, V = self._tile
        coded = len(self.panels.codebook) > 0
        return Shared(
            lambda: panel_multiplier(((),) * T, ((),) * V, ((),) * coded, self.finish.gate),
            len(self._work), self.parts, self._work, self._facts, (self.panels, self.finish, self._multipliers),
        )  # fmt: skip

    @made_once
    def _tile(self) -> tuple[int, int, int]:
        return register_tile(host_registers(), TOGETHER)

    @made_once
    def _ends(self) -> np.ndarray:
        """Vectors at which pieces start, and how many there are: as many pieces, with those of all panels, as threads."""
        T, (B, K, _) = self._tile[0], self.shape
        apart = -(-self.parts // max(1, len(self.panels.starts) - 1))
        most = max(T, min(VECTORS, LEFT_BYTES // (4 * K), -(-B // apart)) // T * T)
        chunk = -(-balanced(B, most) // T) * T
        return np.append(np.arange(0, B, chunk), B)

    @made_once
    def _work(self) -> np.ndarray:
        """Pieces, int64, see :func:`multiply_panels`."""
        vectors, panels = self._ends, len(self.panels.starts) - 1
        chunks = len(vectors) - 1
        groups = evenly(panels, 1 if self.parts == 1 else min(panels, max(1, MOST_PIECES * self.parts // chunks)))
        chunk, group = (a.ravel() for a in np.indices((chunks, len(groups) - 1)))
        pieces = [vectors[chunk], vectors[chunk + 1], groups[group], groups[group + 1]]
        return np.stack(pieces, axis=1).astype(np.int64)

    @made_once
    def _block(self) -> int:
        """Inputs that are multiplied before the next."""
        _, R, V = self._tile
        return balanced(self.shape[1], RIGHT_BYTES // (4 * R * V))

    @made_once
    def _bytes(self) -> tuple[int, ...]:
        """Bytes of packed inputs, of weights looked up, and of sums, whole cache lines: a line of sums is read up to whole
        vectors of those that finish it."""
        T, R, V = self._tile
        rows = -(-int(np.diff(self._ends).max()) // T) * T
        looked_up = self._block * R * V if len(self.panels.codebook) else 0
        return tuple(whole_lines(4 * count) for count in (rows * self.shape[1], looked_up, rows * R * V + LANES))

    @made_once
    def _facts(self) -> np.ndarray:
        panels, (left, right, _) = self.panels, self._bytes
        listing = [array.ctypes.data for array in (panels.starts, panels.weights, panels.codebook, self._multipliers)]
        facts = [*self.shape[1:], self._block, *listing, *self.finish.addresses, left, right, sum(self._bytes)]
        return np.array(facts, np.int64)

    @made_once
    def _multipliers(self) -> np.ndarray:
        far = self.panels.weights.nbytes > FAR_BYTES and self.panels.weights.dtype == np.float32
        return multipliers(self._tile, int(self.panels.starts[-1]), asks=far)
