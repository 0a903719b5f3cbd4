"""A dense convolution and the pool of its outputs at once, against one after the other."""

from __future__ import annotations

import sys
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Node
from tersor.runtime.jit.host import host_registers
from tersor.runtime.kernels.conv.dense import pooled as pooled_module
from tersor.runtime.kernels.conv.dense.conv import cut_dense
from tersor.runtime.kernels.conv.dense.pooled import pooled
from tersor.runtime.kernels.conv.layout import Shape2D
from tersor.runtime.kernels.pooling.geometry import pooling_of
from tersor.runtime.kernels.site import Epilogue, Site
from tersor.runtime.ops import find_operator
from tersor.runtime.orders.workers import Workers
from tests.runtime.kernels.conv.dense.test_dense_conv import geometries, made

F32 = np.dtype(np.float32)
RECTIFIED = np.array([0, np.inf], np.float32)


def pool_site(node: Node, x: np.ndarray) -> tuple[Site, np.ndarray]:
    """The site of a pool of ``x``, and what it gives."""
    want = find_operator(node)(x, **node.attributes)[0]
    return Site(node, ((F32, x.shape),), ((F32, want.shape),)), want


@pytest.fixture
def always(monkeypatch) -> None:
    """Convolutions take in their pools however small they are."""
    monkeypatch.setattr(pooled_module, "FAR", 0)
    monkeypatch.setattr(pooled_module, "SAVED", np.inf)


@settings(max_examples=60, deadline=None)
@given(
    geometry=geometries(rows_apart=1),
    average=st.booleans(),
    taps=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    dilation=st.integers(1, 2),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    ceil_mode=st.integers(0, 1),
    room=st.sampled_from([1, 3000, 1 << 20]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_equals_one_after_the_other(
    share, pruned, carry_out, geometry, average, taps, strides, dilation, pads, ceil_mode, room, threads, seed
):
    (shape, _), rng = geometry, np.random.default_rng(seed)
    pads = tuple(min(p, t - 1) for p, t in zip(pads, taps * 2, strict=True))
    tensor = share(pruned(rng, (shape.M, shape.C, *shape.kernel), 0.8), (0,), "rows", np.uint8)
    x = rng.standard_normal((shape.N, shape.C, shape.H, shape.W)).astype(np.float32)
    conv = made(tensor, shape, cut_dense(shape, host_registers()), Epilogue(), RECTIFIED, threads)
    outputs = np.full((shape.N, shape.M, shape.OH, shape.OW), np.nan, np.float32)
    carry_out(conv, x, outputs, None)
    attributes = {"kernel_shape": taps, "strides": strides, "dilations": (dilation, 1), "pads": pads, "ceil_mode": ceil_mode}
    node = Node("AveragePool" if average else "MaxPool", "pool", ("x",), ("y",), attributes)
    try:
        site, want = pool_site(node, outputs)
    except PlanError:
        assume(False)  # a window that does not fit
    pooling = pooling_of(site)
    assert pooling is not None
    assume(pooling.rows[:, 1].any())  # windows of padding alone stay apart
    with patch.multiple(pooled_module, FAR=0, SAVED=np.inf, BAND_BYTES=room):
        both = pooled(conv, pooling)
        assert both is not None
        y = np.full(want.shape, np.nan, np.float32)
        carry_out(both, x, y, None, threads)
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(sys.platform == "win32", reason="guard pages are made with mmap and mprotect")
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("width", [16, 33, 111])
@pytest.mark.parametrize("padding", [0, 1])
def test_only_arrays_are_read_and_written(share, pruned, carry_out, width, padding):
    from tests.fuzz.guard import guarded, guarded_copy

    rng, out = np.random.default_rng(0), (9, width)
    shape = Shape2D(N=1, C=3, H=20, W=2 * width + 1, M=5, OH=9, OW=width, kernel=(3, 3), strides=(2, 2))
    tensor = share(pruned(rng, (5, 3, 3, 3), 1.0), (0,), "rows", np.uint8)
    conv = made(tensor, shape, cut_dense(shape, host_registers()), Epilogue(), RECTIFIED)
    attributes = {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (padding,) * 4}
    node = Node("MaxPool", "pool", ("x",), ("y",), attributes)
    site, want = pool_site(node, np.zeros((1, 5, *out), np.float32))
    pooling = pooling_of(site)
    assert pooling is not None
    both, y = pooled(conv, pooling), guarded(want.shape, np.float32)
    assert both is not None
    x = rng.standard_normal((1, 3, 20, 2 * width + 1)).astype(np.float32)
    inputs, scratch = guarded_copy(x), guarded(both.scratch_bytes, np.uint8)
    Workers(1).carry_out(both.order(inputs, y, None, scratch)[None])
    outputs = np.empty((1, 5, *out), np.float32)
    carry_out(conv, x, outputs, None)
    np.testing.assert_allclose(y, pool_site(node, outputs)[1], rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("always")
def test_windows_of_padding_alone_stay_apart(share, pruned):
    shape = Shape2D(N=1, C=3, H=8, W=9, M=5, OH=2, OW=9, kernel=(1, 3), strides=(4, 1), begin=(0, 1))
    tensor = share(pruned(np.random.default_rng(0), (5, 3, 1, 3), 1.0), (0,), "rows", np.uint8)
    attributes = {"kernel_shape": (1, 1), "strides": (3, 1), "pads": (1, 0, 1, 0)}
    site, want = pool_site(Node("AveragePool", "pool", ("x",), ("y",), attributes), np.ones((1, 5, 2, 9), np.float32))
    pooling = pooling_of(site)
    assert pooling is not None
    assert not want.any()
    assert pooled(made(tensor, shape, cut_dense(shape, host_registers())), pooling) is None


def test_little_and_what_is_computed_twice_stay_apart(share, pruned):
    rng = np.random.default_rng(0)

    def joined(taps: int, size: int, dilation: int = 1, **pool) -> bool:
        shape = Shape2D(1, 3, 2 * size, 2 * size, 64, size, size, (taps, taps), (2, 2), (dilation, 1), (3, 3))
        tensor = share(pruned(rng, (64, 3, taps, taps), 1.0), (0,), "rows", np.uint8)
        conv = made(tensor, shape, cut_dense(shape, host_registers()))
        attributes = {"kernel_shape": (3, 3), "strides": (2, 2), **pool}
        site, _ = pool_site(Node("MaxPool", "pool", ("x",), ("y",), attributes), np.zeros((1, 64, size, size), np.float32))
        pooling = pooling_of(site)
        assert pooling is not None
        return pooled(conv, pooling) is not None

    assert joined(3, 110)
    assert joined(7, 110)
    assert joined(7, 97) == (host_registers()[1] < 16)  # an eighth of the columns fill up vectors of 16
    assert not joined(7, 110, kernel_shape=(5, 5), strides=(1, 1))  # a quarter of the rows are computed twice
    assert not joined(3, 110, dilation=2)
    assert not joined(3, 40)
    assert not joined(3, 110, kernel_shape=(6, 6))
    assert not joined(3, 110, dilations=(1, 2))
