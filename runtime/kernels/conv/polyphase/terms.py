"""Winograd's method in one dimension, F(2, 3), over the polyphase components of a kernel's rows.

Two neighbouring outputs of a row meet the taps of one phase, every ``stride``-th of the kernel, as a convolution of stride 1:
three taps take four products instead of six, two take three instead of four, and one that is left over takes two. All are added
to the same four sums, of which the outputs are ``s0 + s1 + s2`` and ``s1 - s2 - s3`` (Winograd 1980; Lavin and Gray 2016).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

OUTPUTS, SUMS, MOST_TAPS = 2, 4, 3
"""Neighbouring outputs that are computed together, the sums that they are made of, and taps that are taken together."""

PRODUCTS = {
    1: ((0, 0, 0, 0, (1,)), (3, 1, 0, 0, (-1,))),
    2: ((0, 0, -1, 1, (1, 0)), (1, 1, 0, 0, (1, 1)), (3, 1, -1, 2, (0, 1))),
    3: ((0, 0, -1, 2, (1, 0, 0)), (1, 1, 1, 2, (0.5, 0.5, 0.5)), (2, 2, -1, 1, (0.5, -0.5, 0.5)), (3, 1, -1, 3, (0, 0, 1))),
}
"""For so many taps the products ``(sum, i, factor, j, shares)``: the sum that each is added to; its input, element ``i`` of the
phase from the first output's first tap on, and ``factor`` times element ``j``; the shares of the taps in its weight."""


@lru_cache(maxsize=256)  # they come from files
def groups_of(width: int, stride: int) -> tuple[tuple[int, ...], ...]:
    """The taps of a row of a kernel that are taken together, by their columns."""
    phases = [range(phase, width, stride) for phase in range(min(stride, width))]
    return tuple(tuple(taps[k : k + MOST_TAPS]) for taps in phases for k in range(0, len(taps), MOST_TAPS))


def products_of(groups: tuple[tuple[int, ...], ...]) -> list[int]:
    """How many products of a row of a kernel are added to each of the sums."""
    return [sum(product[0] == point for taps in groups for product in PRODUCTS[len(taps)]) for point in range(SUMS)]


def weights_of(rows: np.ndarray, groups: tuple[tuple[int, ...], ...], point: int) -> np.ndarray:
    """The weights (..., products) for the sum ``point``, of ``rows`` (..., kernel columns) float32."""
    with np.errstate(invalid="ignore"):  # of infinite weights
        found = [
            rows[..., list(taps)] @ np.array(shares, np.float32)
            for taps in groups
            for number, *_, shares in PRODUCTS[len(taps)]
            if number == point
        ]
    return np.stack(found, axis=-1)
