"""Heads that attend: what every order for them says, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...orders.made_once import made_once
from ...orders.order import FACTS, Ordered
from .written import Weights

VALUES, BIAS = FACTS + 1, FACTS + 2
"""Numbers of an order: addresses of the values, and of what is added to scores, 0 for none. ``x`` are queries, the keys stand
for a residual."""

SIZE, WIDTH, QUERIES, KEYS, QUERY_PITCH, KEY_PITCH, VALUE_PITCH, OUTPUT_PITCH, SCALE, WEIGHTS, REPLACES, OTHERS = range(12)
"""Facts, int64: elements of a query or key, and of a value; queries and keys of a head; elements from a query, key, value or
output to the next; address of the scale, float32; which of :data:`WAYS` weights go; whether a bias that is a number stands for
the score instead of being added; others."""

WAYS: Sequence[Weights] = ("attention", "softmax", "numbers")
AS_OPERATOR, AS_SOFTMAX, AS_NUMBERS = range(3)
"""What becomes of weights that are no numbers, by name and by number."""


@dataclass(frozen=True, eq=False)
class Heads(Ordered):
    """Attention of ``queries`` of ``size`` elements to ``keys``, whose values have ``width``, for each of ``places`` (heads, 5)
    int64: elements before a head's queries, keys, values, outputs and bias. ``pitches`` are the elements from a query, key,
    value or output to the next. ``parts`` threads share the work. ``weights`` says which are none, ``replaces``
    whether numbers of the bias stand for scores."""

    size: int
    width: int
    queries: int
    keys: int
    scale: float
    pitches: Sequence[int]
    places: np.ndarray
    parts: int
    weights: Weights = "attention"
    replaces: bool = False

    @property
    def common(self) -> tuple[int, ...]:
        """The facts before :data:`OTHERS`."""
        ways = WAYS.index(self.weights), int(self.replaces)
        return self.size, self.width, self.queries, self.keys, *self.pitches, self._factor.ctypes.data, *ways

    @made_once
    def _factor(self) -> np.ndarray:
        return np.full(1, self.scale, np.float32)
