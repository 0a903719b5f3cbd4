"""Products with weights in the lanes of registers, where pieces, blocks and panels are several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.matrices.matrix import Matrix, matrix_of
from tersor.runtime.kernels.matrices.panels import ByPanels, make_panels
from tersor.runtime.kernels.matrices.products import Finish
from tersor.runtime.orders.order import PIECES, SHARED, aligned_bytes
from tersor.runtime.orders.workers import Workers

WIDE = np.array([-np.inf, np.inf], np.float32)


def multiply(matrix: Matrix, x: np.ndarray, residual: np.ndarray | None, finish: Finish, parts: int) -> np.ndarray:
    """Outputs and scratch memory begin as NaN, and a guard behind the scratch memory stays as it is."""
    product = ByPanels(make_panels(matrix), (*x.shape, matrix.rows), finish, parts)
    y, scratch = np.full((len(x), matrix.rows), np.nan, np.float32), aligned_bytes(product.scratch + 64)
    scratch[:] = 255
    Workers(parts).carry_out(product.orders(x, y, residual, scratch[: product.scratch]))
    assert (scratch[product.scratch :] == 255).all()
    return y


@pytest.mark.parametrize(("coded", "far"), [(False, 0), (False, 1 << 30), (True, 0)])
@given(
    vectors=st.integers(1, 30), inputs=st.integers(1, 300), outputs=st.integers(1, 300), parts=st.sampled_from([1, 2, 3]),
)  # fmt: skip
def test_products(share, coded, far, vectors, inputs, outputs, parts):
    rng = np.random.default_rng(0)
    w = rng.integers(-9, 9, (outputs, inputs)).astype(np.float32)
    tensor = share(w, (0,), "rows", np.uint8, sparse=False) if coded else DenseTensor.of(w)
    x, residual = (rng.integers(-9, 9, (vectors, n)).astype(np.float32) for n in (inputs, outputs))
    shift = rng.integers(-9, 9, outputs).astype(np.float32)
    finish = Finish(np.full(outputs, 2, np.float32), shift, WIDE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tersor.runtime.kernels.matrices.panels.FLOAT_BYTES", 0)
        patch.setattr("tersor.runtime.kernels.matrices.panels.FAR_BYTES", far)
        patch.setattr("tersor.runtime.kernels.matrices.panels.LEFT_BYTES", 12_000)
        y = multiply(matrix_of(tensor, (0,), "w"), x, residual, finish, parts)
    np.testing.assert_array_equal(y, 2 * (x @ w.T) + shift + residual)


def test_threads_share_the_vectors_of_a_single_panel():
    rng, ones = np.random.default_rng(1), np.ones(10, np.float32)
    w, x = rng.integers(-9, 9, (10, 20)).astype(np.float32), rng.integers(-9, 9, (200, 20)).astype(np.float32)
    matrix, finish = matrix_of(DenseTensor.of(w), (0,), "w"), Finish(ones, 0 * ones, WIDE)
    product = ByPanels(make_panels(matrix), (200, 20, 10), finish, 2)
    y = np.empty((200, 10), np.float32)
    (order,) = product.orders(x, y, None, aligned_bytes(product.scratch))
    assert (order[PIECES], order[SHARED]) == (2, 1)
    np.testing.assert_array_equal(multiply(matrix, x, None, finish, 2), x @ w.T)


def test_what_is_not_a_number_stays_where_it_is():
    w, x = np.ones((40, 5), np.float32), np.ones((6, 5), np.float32)
    w[7, 2], x[5, 1] = np.nan, np.inf
    ones = np.ones(40, np.float32)
    y = multiply(matrix_of(DenseTensor.of(w), (0,), "w"), x, None, Finish(ones, 0 * ones, WIDE), 1)
    np.testing.assert_array_equal(y, x @ w.T)
