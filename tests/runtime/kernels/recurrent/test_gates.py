"""The activations of recurrent cells, many at a time, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.runtime.kernels.recurrent.gates import bend, squash

EDGES = np.array([0, np.nan, np.inf, -np.inf, 88, -88, 104, -104, 1e-30, 0.625, 0.6250001, 3e38], np.float32)


def activated(kernel, x):
    y = x.copy()
    kernel(y)
    return y


@given(st.integers(0, 70), st.sampled_from([1e-4, 0.3, 1, 5, 60]), st.integers(0, 99))
@settings(deadline=None)
def test_many(count, spread, seed):
    x = (np.random.default_rng(seed).standard_normal(count) * spread).astype(np.float32)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(activated(bend, x), np.tanh(exact), rtol=4e-7)
    np.testing.assert_allclose(activated(squash, x), 1 / (1 + np.exp(-exact)), rtol=4e-7, atol=1e-37)


@pytest.mark.parametrize("count", [1, 40])
def test_edges(count):
    x = np.repeat(EDGES, count)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(activated(bend, x), np.tanh(exact), rtol=4e-7)
    np.testing.assert_allclose(activated(squash, x), 1 / (1 + np.exp(-exact)), rtol=4e-7, atol=1e-37)
