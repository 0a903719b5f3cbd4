"""Rounding with error feedback against a plain loop, and what it is for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.tensors import Order
from tersor.packer.quantize.feedback import round_with_feedback
from tersor.packer.quantize.share import share

ORDERS: tuple[Order, ...] = ("rows", "columns")


def plain(values: np.ndarray, kept: np.ndarray, codebook: np.ndarray, feedback: float) -> np.ndarray:
    """Rows of (rows, columns) one weight after another."""
    out = np.zeros_like(values)
    exact = [float(value) for value in codebook]
    middles = [(low + high) / 2 for low, high in pairwise(exact)]
    for r in range(values.shape[0]):
        error = 0.0
        for c in range(values.shape[1]):
            if kept[r, c]:
                wanted = float(values[r, c]) + feedback * error
                code = sum(wanted > middle for middle in middles)
                out[r, c] = codebook[code]
                error = wanted - float(codebook[code]) if 0 < code < len(codebook) - 1 else 0.0
    return out


@given(
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(1, 6),
    st.floats(0, 1),
    st.sampled_from(ORDERS),
    st.integers(0, 99),
)
def test_equals_a_plain_loop(rows: int, columns: int, k: int, feedback: float, scan: Order, seed: int):
    rng = np.random.default_rng(seed)
    values, kept = rng.standard_normal((rows, columns)).astype(np.float32), rng.random((rows, columns)) < 0.7
    codebook = np.unique(rng.standard_normal(k).astype(np.float32))
    found = round_with_feedback(values, kept, codebook, (0,), scan, feedback)
    np.testing.assert_array_equal(found, plain(values, kept, codebook, feedback))
    turned = round_with_feedback(values.T, kept.T, codebook, (1,), scan, feedback)
    np.testing.assert_array_equal(turned.T, found)


def test_without_feedback_it_is_the_nearest_value():
    weights = np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)
    plain_sharing = share("w", weights, None, (0,), 4)
    none = round_with_feedback(weights, None, np.sort(plain_sharing.codebook), (0,), "rows", 0.0)
    np.testing.assert_array_equal(none, plain_sharing.dense())


def test_errors_cancel_over_a_row():
    weights = np.random.default_rng(1).standard_normal((64, 576)).astype(np.float32)
    sums = [np.abs((share("w", weights, None, (0,), 4, feedback=f).dense() - weights).sum(1)).mean() for f in (0.0, 0.9)]
    assert sums[1] < sums[0] / 2
