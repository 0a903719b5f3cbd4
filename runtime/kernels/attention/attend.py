"""Attention: for each head, scores of its keys, their softmax, and sums of values by these weights, all in one order.

Queries lie in the lanes of registers. Scores of some of them are (keys, queries): the maximum and the sum over keys take no
step across lanes, and what becomes of scores is the right side of the product with values as it lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...emit.exponential import exponential
from ...emit.memory import address, copy_vector, float_at, floats_at, put_float
from ...emit.transpose import SIDE, transpose_tile
from ...jit.host import host_registers
from ...jit.jitted import jit
from ...orders.atomic import call_at, code_of, number_at
from ...orders.made_once import made_once
from ...orders.order import FACTS, OTHER, PIECES, SCRATCH, WORK, X, Y, whole_lines
from ...orders.shared import MOST_PIECES, evenly, order_of_pieces
from ...orders.team import take
from ..matrices.stacks import TOGETHER, pack_left
from ..tiles import multiply as product
from ..tiles.cut import balanced, multipliers, register_tile
from .heads import (
    AS_NUMBERS,
    AS_OPERATOR,
    BIAS,
    KEY_PITCH,
    KEYS,
    OTHERS,
    OUTPUT_PITCH,
    QUERIES,
    QUERY_PITCH,
    REPLACES,
    SCALE,
    SIZE,
    VALUE_PITCH,
    VALUES,
    WEIGHTS,
    WIDTH,
    Heads,
)  # fmt: skip

SCORES_BYTES, PANEL_BYTES = 1 << 20, 24 << 10
"""Bytes of scores, at most, unless those of one vector of queries are more, which stay in a second-level cache; of rows that
are multiplied before the next, which stay in a first-level one."""

(
    STARTS, SIZE_BLOCK, KEY_BLOCK, MULTIPLIERS, OF_VALUES, OF_QUERIES, OF_SCORES, OF_SUMS, OF_COLUMNS, PLACE,
) = range(OTHERS, OTHERS + 10)  # fmt: skip
"""Facts, int64, behind those of all heads: address of the vectors of queries at which parts start; elements of a query, and
keys, that are multiplied before the next; address of the addresses of the code that multiplies as many vectors as the index
says; where in a thread's scratch memory packed values, queries, scores, sums and numbers for each query begin, packed keys
being first, and its bytes."""


@jit
def attender(together, lanes):
    """Address of the code that carries out an order, ``len(together)`` keys and vectors of ``len(lanes)`` queries at once."""
    return code_of((together, lanes), attend)


@jit
def attend(kinds, order, member):
    """Take pieces of the work of the order at address ``order`` until none is left: (query, key, value, output, bias, first
    part, last part), all but the parts as elements before the head's. Bias is (keys, queries)."""
    (together, _), facts, task = kinds, number_at(order, FACTS), np.empty(product.TASK, np.int64)
    place = number_at(order, SCRATCH) + member * number_at(facts, PLACE)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 56 * piece
        keys, values = number_at(order, OTHER) + 4 * number_at(work, 1), number_at(order, VALUES) + 4 * number_at(work, 2)
        pack_left(together, keys, number_at(facts, KEY_PITCH), number_at(facts, KEYS), number_at(facts, SIZE), place)
        _pack_values(together, facts, values, place + number_at(facts, OF_VALUES))
        bias = number_at(order, BIAS) + 4 * number_at(work, 4) if number_at(order, BIAS) != 0 else 0
        queries, outputs = number_at(order, X) + 4 * number_at(work, 0), number_at(order, Y) + 4 * number_at(work, 3)
        for part in range(number_at(work, 5), number_at(work, 6)):
            _attend_part(kinds, facts, task, place, queries, bias, outputs, part)
        piece = take(order, member)


@jit
def _pack_values(together, facts, source, target):
    """Pack the values of a head as (units, keys, ``len(together)``), the last element standing for those that are not there."""
    T, keys, width = len(together), number_at(facts, KEYS), number_at(facts, WIDTH)
    for key in range(keys):
        row = source + 4 * key * number_at(facts, VALUE_PITCH)
        for unit in range(width // T):
            copy_vector(together, target + 4 * (unit * keys + key) * T, row + 4 * unit * T)
        for i in range(width // T * T, (width + T - 1) // T * T):
            put_float(target + 4 * ((i // T * keys + key) * T + i % T), float_at(row + 4 * min(i, width - 1)))


@jit
def _attend_part(kinds, facts, task, place, source, bias, target, part):
    """Write the outputs of one part of the queries of a head, whose keys and values are packed."""
    (together, lanes), starts = kinds, number_at(facts, STARTS)
    T, V, size, width, keys = len(together), len(lanes), number_at(facts, SIZE), number_at(facts, WIDTH), number_at(facts, KEYS)
    begin, vectors = number_at(starts, part) * V, number_at(starts, part + 1) - number_at(starts, part)
    pitch, columns = vectors * V, min(number_at(facts, QUERIES) - begin, vectors * V)
    values, queries = place + number_at(facts, OF_VALUES), place + number_at(facts, OF_QUERIES)
    scores, sums = place + number_at(facts, OF_SCORES), place + number_at(facts, OF_SUMS)
    marks = place + number_at(facts, OF_COLUMNS)
    _pack_queries(facts, source + 4 * begin * number_at(facts, QUERY_PITCH), columns, pitch, queries)
    task[product.STEP], task[product.PITCH], task[product.CODEBOOK] = pitch, pitch, 0
    code = number_at(number_at(facts, MULTIPLIERS), vectors)
    _multiply(T, task, code, place, keys, queries, size, number_at(facts, SIZE_BLOCK), scores)
    _weigh(facts, scores, bias + 4 * begin if bias != 0 else 0, columns, pitch, marks)
    _multiply(T, task, code, values, width, scores, keys, number_at(facts, KEY_BLOCK), sums)
    pitches = number_at(facts, OUTPUT_PITCH), pitch
    _write(sums, marks, width, columns, pitches, target + 4 * begin * number_at(facts, OUTPUT_PITCH))


@jit
def _pack_queries(facts, source, columns, pitch, target):
    """Write (elements, ``pitch``): scaled queries side by side, followed by zeros."""
    scale, size, between = float_at(number_at(facts, SCALE)), number_at(facts, SIZE), number_at(facts, QUERY_PITCH)
    if columns == pitch and columns % SIDE == 0 and size % SIDE == 0:
        for column in range(0, columns, SIDE):
            for k in range(0, size, SIDE):
                at, to = source + 4 * (column * between + k), target + 4 * (k * pitch + column)
                transpose_tile(to, 4 * pitch, at, 4 * between, SIDE, 0)
        packed = floats_at(target, size * pitch)
        for i in range(size * pitch):
            packed[i] *= scale
    else:
        for column in range(pitch):
            row = source + 4 * column * between
            for k in range(size):
                put_float(
                    target + 4 * (k * pitch + column), float_at(row + 4 * k) * scale if column < columns else np.float32(0)
                )


@jit
def _multiply(T, task, code, left, rows, right, inner, block, sums):
    """Write products of ``rows`` packed rows of ``inner`` elements with the matrix at ``right``, ``block`` at a time."""
    task[product.UNITS], task[product.UNIT], task[product.SUMS] = (rows + T - 1) // T, inner * T, sums
    for k in range(0, inner, block):
        task[product.ROWS], task[product.FIRST] = min(block, inner - k), k == 0
        task[product.WEIGHTS], task[product.INPUTS] = left + 4 * k * T, right + 4 * k * task[product.PITCH]
        call_at(code, address(task))


@jit(fastmath={"contract"})
def _weigh(facts, scores, bias, columns, pitch, marks):
    """Make exponentials of scores, and write the inverse of the sum for each query to ``marks`` (3 ``pitch``,): of one that is
    told by :data:`WEIGHTS` to have none, all exponentials are 0."""
    keys, low, zero, one = number_at(facts, KEYS), np.float32(-np.inf), np.float32(0), np.float32(1)
    blind, replaces = bias != 0 and number_at(facts, WEIGHTS) == AS_OPERATOR, number_at(facts, REPLACES) != 0
    total, top = floats_at(marks, pitch), floats_at(marks + 4 * pitch, pitch)
    seen = floats_at(marks + 8 * pitch, pitch)
    for c in range(pitch):
        total[c], top[c], seen[c] = zero, low, zero if blind else one
    for key in range(keys):
        row = floats_at(scores + 4 * key * pitch, pitch)
        if bias != 0:
            added = floats_at(bias + 4 * key * number_at(facts, QUERIES), columns)
            for c in range(columns):
                row[c] = (row[c] if added[c] != added[c] else added[c]) if replaces else row[c] + added[c]
                seen[c] = one if added[c] != low else seen[c]
        for c in range(pitch):
            top[c] = row[c] if row[c] > top[c] else top[c]
    for c in range(pitch):
        top[c] = zero if top[c] == low else top[c]
    for key in range(keys):
        row = floats_at(scores + 4 * key * pitch, pitch)
        for c in range(pitch):
            value = exponential(row[c] - top[c])
            row[c] = value if seen[c] != zero else zero
            total[c] += row[c]
    if number_at(facts, WEIGHTS) == AS_NUMBERS:
        _clear(scores, keys, columns, pitch, total, seen)
    for c in range(pitch):
        total[c] = one / (total[c] if seen[c] != zero else one)


@jit
def _clear(scores, keys, columns, pitch, total, seen):
    """Make exponentials 0 whose ``total`` is none, or no number, and say so in ``seen``."""
    for c in range(columns):
        if not total[c] > 0:
            seen[c] = 0
            for key in range(keys):
                put_float(scores + 4 * (key * pitch + c), np.float32(0))


@jit
def _write(sums, factors, width, columns, pitches, target):
    """Write ``columns`` outputs, ``pitches[0]`` elements apart, of sums (``width``, ``pitches[1]``) and a factor for each."""
    for column in range(columns):
        row, factor = floats_at(target + 4 * column * pitches[0], width), float_at(factors + 4 * column)
        for k in range(width):
            row[k] = float_at(sums + 4 * (k * pitches[1] + column)) * factor


@dataclass(frozen=True, eq=False)
class Packed(Heads):
    """Heads whose keys and values are packed for many queries."""

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch memory for all threads."""
        return self.parts * sum(self._bytes)

    def blank(self) -> np.ndarray:
        """As :meth:`Ordered.blank`."""
        T, _, V = self._tile
        code = attender(((),) * T, ((),) * V)
        return order_of_pieces(code, len(self._work), self.parts, self._work, self._facts)

    @made_once
    def _tile(self) -> tuple[int, int, int]:
        T, R, V = register_tile(host_registers(), TOGETHER)
        return T, max(1, min(R, SCORES_BYTES // (4 * V * self.keys))), V

    @made_once
    def _starts(self) -> np.ndarray:
        """(parts + 1,) int64: vectors of queries at which those that are multiplied at once start."""
        _, R, V = self._tile
        vectors = -(-self.queries // V)
        return evenly(vectors, -(-vectors // R))

    @made_once
    def _work(self) -> np.ndarray:
        """Pieces, int64, see :func:`attend`: whole heads on one thread, or where there are many."""
        parts, heads = len(self._starts) - 1, len(self.places)
        groups = evenly(parts, 1 if self.parts == 1 else min(parts, max(1, MOST_PIECES * self.parts // heads)))
        head, group = (a.ravel() for a in np.indices((heads, len(groups) - 1)))
        return np.column_stack([self.places[head], groups[group], groups[group + 1]]).astype(np.int64)

    @made_once
    def _bytes(self) -> tuple[int, ...]:
        """Bytes of packed keys, packed values, queries, scores, sums, and numbers for each query, whole cache lines."""
        T, R, V = self._tile
        keys, width = -(-self.keys // T) * T, -(-self.width // T) * T
        counts = keys * self.size, width * self.keys, self.size * R * V, keys * R * V, width * R * V, 3 * R * V
        return tuple(whole_lines(4 * count) for count in counts)

    @made_once
    def _facts(self) -> np.ndarray:
        _, R, V = self._tile
        blocks = [balanced(inner, PANEL_BYTES // (4 * R * V)) for inner in (self.size, self.keys)]
        listing = self._starts.ctypes.data, *blocks, self._multipliers.ctypes.data
        return np.array([*self.common, *listing, *np.cumsum(self._bytes)], np.int64)

    @made_once
    def _multipliers(self) -> np.ndarray:
        return multipliers(self._tile, int(self._starts[-1]))
