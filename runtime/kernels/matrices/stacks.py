"""Products of two stacks of matrices, neither of them constant: both are packed while they are multiplied.

Numpy's are of a library that starts threads of its own, as many as there are processors, and lets them spin: where these are
busy with other work, the small products of attention take hundreds of times as long as one thread does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ...emit.memory import address, copy_lanes, copy_vector, float_at, put_float
from ...jit.host import host_registers
from ...jit.jitted import jit
from ...orders.atomic import call_at, code_of, number_at
from ...orders.made_once import made_once
from ...orders.order import FACTS, OTHER, PIECES, SCRATCH, WORK, Ordered, X, Y, whole_lines
from ...orders.shared import one_order, order_of_pieces
from ...orders.team import take
from ..site import Kernel, Site
from ..tiles import multiply as product
from ..tiles.cut import balanced, multipliers, register_tile

if TYPE_CHECKING:
    from ...ops import Shaped

TOGETHER = 4
"""Rows of the left matrix multiplied at once: each is a load, which as many vectors as possible should share."""

ROWS, LEFT_BYTES, RIGHT_BYTES = 64, 256 << 10, 256 << 10
"""Rows of a piece, at most, and packed elements of either matrix, which stay in a second-level cache."""

INNER, WIDTH, BLOCK, VECTORS, MULTIPLIERS, LEFT, RIGHT, PLACE = range(8)
"""Facts, int64: columns of the left matrix, and of the right one; those of the left that are multiplied before the next;
vectors multiplied at once, at most; address of the addresses of the code that multiplies as many as the index says; bytes of
packed elements of either matrix, and of scratch memory of one thread."""


@jit
def stack_multiplier(together, lanes):
    """Address of the code that carries out an order, ``len(together)`` rows and vectors of ``len(lanes)`` columns at once."""
    return code_of((together, lanes), multiply_stacks)


@jit
def multiply_stacks(kinds, order, member):
    """Take pieces of the work of the order at address ``order`` until none is left: (left matrix, right matrix, product, first
    row, last row), the first three as elements before them. ``x`` is the left stack, the right one stands for a residual."""
    facts = number_at(order, FACTS)
    place = number_at(order, SCRATCH) + member * number_at(facts, PLACE)
    task = np.empty(product.TASK, np.int64)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 40 * piece
        first, rows, K = number_at(work, 3), number_at(work, 4) - number_at(work, 3), number_at(facts, INNER)
        pack_left(kinds[0], number_at(order, X) + 4 * (number_at(work, 0) + first * K), K, rows, K, place)
        right = number_at(order, OTHER) + 4 * number_at(work, 1)
        target = number_at(order, Y) + 4 * (number_at(work, 2) + first * number_at(facts, WIDTH))
        _multiply(kinds, facts, task, place, right, target, rows)
        piece = take(order, member)


@jit
def pack_left(together, source, pitch, rows, K, target):
    """Pack ``rows`` rows of ``K`` elements, ``pitch`` apart, as (units, ``K``, ``len(together)``); the last row stands for
    those that are not there."""
    T = len(together)
    for row in range((rows + T - 1) // T * T):
        begin, end = source + 4 * min(row, rows - 1) * pitch, target + 4 * (row // T * K * T + row % T)
        for k in range(K):
            put_float(end + 4 * k * T, float_at(begin + 4 * k))


@jit
def _multiply(kinds, facts, task, packed, right, target, rows):
    """Write the products of the packed rows with the matrix at ``right``."""
    (together, lanes), K, N = kinds, number_at(facts, INNER), number_at(facts, WIDTH)
    T, V, most, block = len(together), len(lanes), number_at(facts, VECTORS), number_at(facts, BLOCK)
    panel = packed + number_at(facts, LEFT)
    sums = panel + number_at(facts, RIGHT)
    vectors = (N + V - 1) // V
    parts = (vectors + most - 1) // most
    task[product.UNITS], task[product.UNIT], task[product.CODEBOOK] = (rows + T - 1) // T, K * T, 0
    task[product.INPUTS], task[product.SUMS] = panel, sums
    for part in range(parts):
        begin, end = vectors * part // parts, vectors * (part + 1) // parts
        pitch, columns = (end - begin) * V, min(N - begin * V, (end - begin) * V)
        task[product.STEP], task[product.PITCH] = pitch, pitch
        for k in range(0, K, block):
            count = min(block, K - k)
            for row in range(count):
                _copy_row(lanes, panel + 4 * row * pitch, right + 4 * ((k + row) * N + begin * V), columns, pad=True)
            task[product.ROWS], task[product.FIRST], task[product.WEIGHTS] = count, k == 0, packed + 4 * k * T
            call_at(number_at(number_at(facts, MULTIPLIERS), end - begin), address(task))
        for row in range(rows):
            _copy_row(lanes, target + 4 * (row * N + begin * V), sums + 4 * row * pitch, columns, pad=False)


@jit
def _copy_row(lanes, target, source, count, pad):
    """Copy ``count`` elements; with ``pad``, zeros follow them up to a whole vector."""
    V = len(lanes)
    whole = count - count % V
    for at in range(0, whole, V):
        copy_vector(lanes, target + 4 * at, source + 4 * at)
    if pad and whole < count:
        copy_lanes(lanes, target + 4 * whole, source + 4 * whole, 0, count - whole)
    elif not pad:
        for at in range(whole, count):
            put_float(target + 4 * at, float_at(source + 4 * at))


@dataclass(frozen=True, eq=False)
class Stacks(Ordered):
    """Products of matrices (``rows``, ``inner``) and (``inner``, ``width``): ``left`` and ``right`` (products,) say which of
    their stacks. ``parts`` threads share the work."""

    left: np.ndarray
    right: np.ndarray
    rows: int
    inner: int
    width: int
    parts: int

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch memory for all threads."""
        return self.parts * sum(self._bytes)

    def blank(self) -> np.ndarray:
        """As :meth:`Ordered.blank`."""
        T, _, V = self._tile
        code = stack_multiplier(((),) * T, ((),) * V)
        return order_of_pieces(code, len(self._work), self.parts, self._work, self._facts)

    @made_once
    def _tile(self) -> tuple[int, int, int]:
        return register_tile(host_registers(), TOGETHER)

    @made_once
    def _chunk(self) -> int:
        """Rows of a piece, at most."""
        T = self._tile[0]
        most = max(T, min(ROWS, LEFT_BYTES // (4 * self.inner)) // T * T)
        return -(-balanced(self.rows, most) // T) * T

    @made_once
    def _work(self) -> np.ndarray:
        """Pieces, int64, see :func:`multiply_stacks`."""
        first = np.arange(0, self.rows, self._chunk)
        last = np.minimum(first + self._chunk, self.rows)
        number, chunk = (a.ravel() for a in np.indices((len(self.left), len(first))))
        sizes = self.rows * self.inner, self.inner * self.width, self.rows * self.width
        places = [a * size for a, size in zip((self.left[number], self.right[number], number), sizes, strict=True)]
        return np.stack([*places, first[chunk], last[chunk]], axis=1).astype(np.int64)

    @made_once
    def _block(self) -> int:
        """Columns of the left matrix that are multiplied before the next."""
        _, R, V = self._tile
        return balanced(self.inner, RIGHT_BYTES // (4 * R * V))

    @made_once
    def _bytes(self) -> tuple[int, ...]:
        """Bytes of packed elements of the left matrix, of the right one, and of sums, whole cache lines."""
        _, R, V = self._tile
        counts = self._chunk * self.inner, self._block * R * V, self._chunk * R * V
        return tuple(whole_lines(4 * count) for count in counts)

    @made_once
    def _facts(self) -> np.ndarray:
        multipliers, (left, right, _) = self._multipliers.ctypes.data, self._bytes
        facts = (self.inner, self.width, self._block, self._tile[1], multipliers, left, right, sum(self._bytes))
        return np.array(facts, np.int64)

    @made_once
    def _multipliers(self) -> np.ndarray:
        return multipliers(self._tile, -(-self.width // self._tile[2]))


def lower_stacks(site: Site) -> Kernel | None:
    """A kernel for a MatMul of two float32 stacks of matrices that are not empty. Single rows are left to numpy: what is packed
    for them would be used once."""
    x, w, y = site.type(0), site.type(1), site.outputs[0]
    if x is None or w is None or not site.all_float32 or 0 in (*x[1], *w[1]) or min(len(x[1]), len(w[1])) < 2:
        return None
    stacks = _stacks(x, w, y, site.threads)
    if stacks.rows == 1:
        return None
    facts = {"reads": (0, 1), "macs": prod(y[1]) * stacks.inner, "scratch": stacks.scratch_bytes}
    return Kernel.of_orders("product of stacks", one_order(stacks), **facts)


def _stacks(x: Shaped, w: Shaped, y: Shaped, threads: int) -> Stacks:
    """The products: one of all rows where there is one matrix on the right."""
    (*left, rows, inner), (*right, _, width) = x[1], w[1]
    if prod(right) == 1:
        return Stacks(np.zeros(1, np.int64), np.zeros(1, np.int64), prod(x[1][:-1]), inner, width, threads)
    of_left, of_right = (np.broadcast_to(np.arange(prod(stack)).reshape(stack), y[1][:-2]).ravel() for stack in (left, right))
    return Stacks(of_left, of_right, rows, inner, width, threads)
