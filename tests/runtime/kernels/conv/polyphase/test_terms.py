"""Products of polyphase components against the convolution that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.runtime.kernels.conv.polyphase.terms import MOST_TAPS, OUTPUTS, PRODUCTS, SUMS, groups_of, products_of, weights_of


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("width", range(1, 13))
def test_sums_of_products_are_two_neighbouring_outputs(width, stride):
    rng = np.random.default_rng(0)
    row, inputs = 4.0 * rng.integers(-9, 10, (1, width)), rng.integers(-9, 10, width + 4 * stride).astype(np.float32)
    groups, sums = groups_of(width, stride), np.zeros(SUMS)
    for point in range(SUMS):
        products = []
        for taps in groups:
            elements = [inputs[taps[0] + k * stride] for k in range(len(taps) + 1)]
            products += [
                elements[i] + factor * elements[j] for number, i, factor, j, _ in PRODUCTS[len(taps)] if number == point
            ]
        if products:
            sums[point] = weights_of(row.astype(np.float32), groups, point)[0] @ products
    assert sums[0] + sums[1] + sums[2] == row[0] @ inputs[:width]
    assert sums[1] - sums[2] - sums[3] == row[0] @ inputs[stride : stride + width]


@pytest.mark.parametrize(("width", "stride", "products"), [(11, 4, 15), (7, 2, 10), (5, 1, 7), (3, 1, 4)])
def test_products_are_fewer_than_multiplications(width, stride, products):
    groups = groups_of(width, stride)
    assert sum(products_of(groups)) == products < OUTPUTS * width
    assert sorted(column for taps in groups for column in taps) == list(range(width))
    assert max(map(len, groups)) == MOST_TAPS
