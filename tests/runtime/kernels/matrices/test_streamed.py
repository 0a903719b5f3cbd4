"""Products with encoded matrices, block by block, against the plain product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.coding import CodecId
from tersor.format_spec.errors import FormatError
from tersor.packer.encode._forms import leave_zeros_out, normalise
from tersor.runtime.kernels.matrices.products import Finish
from tersor.runtime.kernels.matrices.streamed import ByBlocks
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    density=st.sampled_from([0.05, 0.4, 1.0]),
    codec=st.sampled_from([CodecId.SHARED, CodecId.SPARSE, CodecId.PAPER, CodecId.GROUPED]),
    order=st.sampled_from(["rows", "columns"]),
    block_majors=st.sampled_from([1, 3, 40]),
    batch=st.integers(1, 3),
    parts=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_blocks_equal_product(share, pruned, opened, rows, columns, density, codec, order, block_majors, batch, parts, seed):
    rng = np.random.default_rng(seed)
    w = pruned(rng, (rows, columns), density, 20)
    w[rng.integers(rows), rng.integers(columns)] = 1
    tensor = normalise(share(w, (0,), order, np.uint8, sparse=codec != CodecId.SHARED))
    x = rng.standard_normal((batch, columns)).astype(np.float32) * (rng.random((batch, columns)) < 0.6)
    scale, shift = rng.standard_normal((2, rows)).astype(np.float32)
    residual = rng.standard_normal((batch, rows)).astype(np.float32)
    finish = Finish(scale, shift, np.array([-1, 2], np.float32))
    product = ByBlocks(opened(tensor, codec, block_majors), tensor.order == "rows", rows, batch, finish, parts)
    y = np.full((batch, rows), np.nan, np.float32)
    product(x, y, residual, aligned_bytes(product.scratch), Workers(parts))
    np.testing.assert_allclose(y, np.clip(x @ w.T * scale + shift + residual, -1, 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("codec", [CodecId.SPARSE, CodecId.GROUPED])
def test_many_blocks_on_several_threads(share, pruned, opened, codec):
    rng = np.random.default_rng(0)
    w = pruned(rng, (300, 700), 0.5)
    tensor = leave_zeros_out(normalise(share(w, (0,), "rows", np.uint8)))
    coded = opened(tensor, codec, 20)
    assert coded.block_count > 1
    ones = np.ones(300, np.float32)
    product = ByBlocks(coded, True, 300, 1, Finish(ones, 0 * ones, np.array([-np.inf, np.inf], np.float32)), 2)
    x, y = rng.standard_normal((1, 700)).astype(np.float32), np.empty((1, 300), np.float32)
    product(x, y, None, aligned_bytes(product.scratch), Workers(2))
    np.testing.assert_allclose(y, x @ w.T, rtol=1e-3, atol=1e-3)


def test_damaged_block_is_an_error(share, pruned, opened):
    w = pruned(np.random.default_rng(0), (40, 50), 0.5)
    coded = opened(normalise(share(w, (0,), "rows", np.uint8)), CodecId.SPARSE, 10)
    coded.entries.counts[2, 0] -= 1
    ones = np.ones(40, np.float32)
    product = ByBlocks(coded, True, 40, 1, Finish(ones, ones, np.array([0, 1], np.float32)), 1)
    with pytest.raises(FormatError, match="block 2"):
        product(np.ones((1, 50), np.float32), np.empty((1, 40), np.float32), None, aligned_bytes(0), Workers(1))
