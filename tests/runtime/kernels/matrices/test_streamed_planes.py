"""Products with matrices in byte planes, block by block, against the plain product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec import codecs
from tersor.format_spec.coding import CodecId
from tersor.format_spec.errors import FormatError
from tersor.format_spec.limits import Limits
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.decode.planes import OpenPlanes, open_planes
from tersor.runtime.kernels.matrices.products import Finish
from tersor.runtime.kernels.matrices.streamed_planes import ByPlanes
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers


def opened(w: np.ndarray, block: int, gap_symbols: int, *, signed: bool = False) -> OpenPlanes:
    record = TensorRecord("w", w.dtype, w.shape, (), CodecId.PLANES)
    encode = codecs.find_codec(CodecId.PLANES).encode
    payload = encode(DenseTensor.of(w), block=min(block, w.size), gap_symbols=gap_symbols, signed=signed)
    return open_planes(record, payload, Limits())


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    outputs=st.integers(1, 40),
    inputs=st.integers(1, 40),
    density=st.sampled_from([0.0, 0.05, 0.4, 1.0]),
    block=st.sampled_from([50, 64, 333, 2000]),
    coding=st.sampled_from([(0, False), (2, False), (16, False), (16, True)]),
    by_rows=st.booleans(),
    batch=st.integers(1, 3),
    parts=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_blocks_equal_product(outputs, inputs, density, block, coding, by_rows, batch, parts, seed):
    rng = np.random.default_rng(seed)
    w = (rng.standard_normal((outputs, inputs)) * (rng.random((outputs, inputs)) < density)).astype(np.float32)
    x = rng.standard_normal((batch, inputs)).astype(np.float32) * (rng.random((batch, inputs)) < 0.6)
    scale, shift = rng.standard_normal((2, outputs)).astype(np.float32)
    residual = rng.standard_normal((batch, outputs)).astype(np.float32)
    gap_symbols, signed = coding
    stored = opened(np.ascontiguousarray(w if by_rows else w.T), block, gap_symbols, signed=signed)
    finish = Finish(scale, shift, np.array([-1, 2], np.float32))
    product = ByPlanes(stored, by_rows, (batch, inputs, outputs), finish, parts)
    y = np.full((batch, outputs), np.nan, np.float32)
    product(x, y, residual, aligned_bytes(product.scratch), Workers(parts))
    np.testing.assert_allclose(y, np.clip(x @ w.T * scale + shift + residual, -1, 2), rtol=1e-4, atol=1e-4)


def test_damaged_block_is_an_error():
    w = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)
    stored, ones = opened(w, 500, 8), np.ones(40, np.float32)
    stored.entries.counts[2, 1] -= 1
    product = ByPlanes(stored, True, (1, 50, 40), Finish(ones, ones, np.array([0, 1], np.float32)), 1)
    with pytest.raises(FormatError, match="block 2"):
        product(np.ones((1, 50), np.float32), np.empty((1, 40), np.float32), None, aligned_bytes(product.scratch), Workers(1))
