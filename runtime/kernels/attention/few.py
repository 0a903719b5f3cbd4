"""Attention of few queries to many keys, as of a decoder to what it has said: rows of keys and values are read where they lie,
once for each query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...emit.exponential import exponential
from ...emit.memory import float_at, floats_at, put_float
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.made_once import made_once
from ...orders.order import FACTS, OTHER, PIECES, SCRATCH, WORK, X, Y, whole_lines
from ...orders.shared import order_of_pieces
from ...orders.team import take
from ..rowwise import product_of, sum_of
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

FEW = 4
"""Queries, at most: packing keys and values, which others spare themselves, pays for more."""

OF_QUERY, PLACE = OTHERS, OTHERS + 1
"""Facts, int64, behind those of all heads: where in a thread's scratch memory a scaled query begins, a score for each key being
first, and its bytes."""


@jit
def few_attender(kinds):
    """Address of the code that carries out an order, see :func:`attend_few`; ``kinds`` is empty."""
    return code_of(kinds, attend_few)


@jit
def attend_few(kinds, order, member):
    """Take pieces of the work of the order at address ``order`` until none is left: (query, key, value, output, bias, number of
    the query), all but the last as elements before the head's. Bias is (keys, queries)."""
    facts = number_at(order, FACTS)
    place = number_at(order, SCRATCH) + member * number_at(facts, PLACE)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 48 * piece
        row = number_at(work, 5)
        query = number_at(order, X) + 4 * (number_at(work, 0) + row * number_at(facts, QUERY_PITCH))
        _score(facts, query, number_at(order, OTHER) + 4 * number_at(work, 1), place)
        seen = True
        if number_at(order, BIAS) != 0:
            seen = _change(facts, number_at(order, BIAS) + 4 * (number_at(work, 4) + row), place)
        factor = _weigh(facts, place, seen)
        target = number_at(order, Y) + 4 * (number_at(work, 3) + row * number_at(facts, OUTPUT_PITCH))
        _sum_values(facts, number_at(order, VALUES) + 4 * number_at(work, 2), place, factor, target)
        piece = take(order, member)


@jit
def _score(facts, query, key, target):
    """Write the scores of a query."""
    scale, size, keys = float_at(number_at(facts, SCALE)), number_at(facts, SIZE), number_at(facts, KEYS)
    place, scores = target + number_at(facts, OF_QUERY), floats_at(target, keys)
    for k in range(size):
        put_float(place + 4 * k, float_at(query + 4 * k) * scale)
    for i in range(keys):
        scores[i] = product_of(place, key + 4 * i * number_at(facts, KEY_PITCH), size)


@jit
def _change(facts, bias, target):
    """Add the bias to scores, or put it in their place; returns whether one key is seen, where that makes a difference."""
    keys, replaces, blind = number_at(facts, KEYS), number_at(facts, REPLACES) != 0, number_at(facts, WEIGHTS) == AS_OPERATOR
    scores, seen = floats_at(target, keys), not blind
    for i in range(keys):
        added = float_at(bias + 4 * i * number_at(facts, QUERIES))
        seen = seen or added != np.float32(-np.inf)
        scores[i] = (scores[i] if added != added else added) if replaces else scores[i] + added
    return seen


@jit(fastmath={"contract"})
def _weigh(facts, target, seen):
    """Make exponentials of scores, and return the inverse of their sum; all are 0 where a query sees no key, or where they are
    no numbers and shall be."""
    keys, low, zero = number_at(facts, KEYS), np.float32(-np.inf), np.float32(0)
    scores, top = floats_at(target, keys), low
    for i in range(keys):
        top = scores[i] if scores[i] > top else top
    top = zero if top == low else top
    for i in range(keys):
        scores[i] = exponential(scores[i] - top)
    total = sum_of(target, keys)
    if not seen or (number_at(facts, WEIGHTS) == AS_NUMBERS and not total > zero):
        for i in range(keys):
            scores[i] = zero
        return zero
    return np.float32(1) / total


@jit(fastmath={"contract"})
def _sum_values(facts, values, weights, factor, target):
    """Write the sum of values by their weights, times ``factor``."""
    keys, width, pitch = number_at(facts, KEYS), number_at(facts, WIDTH), 4 * number_at(facts, VALUE_PITCH)
    out, weight = floats_at(target, width), floats_at(weights, keys)
    for k in range(width):
        out[k] = np.float32(0)
    whole = keys - keys % 4
    for i in range(0, whole, 4):
        row = values + i * pitch
        a, b = floats_at(row, width), floats_at(row + pitch, width)
        c, d = floats_at(row + 2 * pitch, width), floats_at(row + 3 * pitch, width)
        for k in range(width):
            out[k] += (weight[i] * a[k] + weight[i + 1] * b[k]) + (weight[i + 2] * c[k] + weight[i + 3] * d[k])
    for i in range(whole, keys):
        row = floats_at(values + i * pitch, width)
        for k in range(width):
            out[k] += weight[i] * row[k]
    for k in range(width):
        out[k] *= factor


@dataclass(frozen=True, eq=False)
class Few(Heads):
    """Heads of few queries."""

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch memory for all threads."""
        return self.parts * sum(self._bytes)

    def blank(self) -> np.ndarray:
        """As :meth:`Ordered.blank`."""
        return order_of_pieces(few_attender(()), len(self._work), self.parts, self._work, self._facts)

    @made_once
    def _bytes(self) -> tuple[int, int]:
        """Bytes of scores and of a query, whole cache lines."""
        return whole_lines(4 * self.keys), whole_lines(4 * self.size)

    @made_once
    def _work(self) -> np.ndarray:
        """Pieces, int64, see :func:`attend_few`."""
        head, query = (a.ravel() for a in np.indices((len(self.places), self.queries)))
        return np.column_stack([self.places[head], query]).astype(np.int64)

    @made_once
    def _facts(self) -> np.ndarray:
        return np.array([*self.common, *np.cumsum(self._bytes)], np.int64)
