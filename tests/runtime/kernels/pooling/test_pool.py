"""Pooling and local response normalisation against the references."""

from __future__ import annotations

import sys
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Node
from tersor.runtime.kernels.lrn import CHUNK, lower_lrn
from tersor.runtime.kernels.pooling.pool import lower_pool
from tersor.runtime.kernels.site import Site
from tersor.runtime.ops import find_operator
from tersor.runtime.orders.workers import Workers

F32 = np.dtype(np.float32)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    op=st.sampled_from(["MaxPool", "AveragePool"]),
    rank=st.integers(1, 2),
    ceil_mode=st.integers(0, 1),
    include_pad=st.integers(0, 1),
    planes=st.sampled_from([1, 3, 40]),
    threads=st.integers(1, 3),
)
def test_pooling(both, data, op, rank, ceil_mode, include_pad, planes, threads):
    def axes(low, high):
        return data.draw(st.tuples(*[st.integers(low, high)] * rank))

    kernel, strides, dilations = axes(1, 4), axes(1, 5), axes(1, 2)
    begin, end = (tuple(min(p, k - 1) for p, k in zip(axes(0, 2), kernel, strict=True)) for _ in range(2))
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    size = [max(1, e + n - ceil_mode * (s - 1)) for e, n, s in zip(extent, axes(0, 40), strides, strict=True)]
    attributes = {
        "kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": (*begin, *end), "ceil_mode": ceil_mode,
    }  # fmt: skip
    if op == "AveragePool":
        attributes["count_include_pad"] = include_pad
    x = np.random.default_rng(0).standard_normal((1, planes, *size)).astype(np.float32)
    got, want = both(lower_pool, Node(op, "pool", ("x",), ("y",), attributes), x, threads)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(sys.platform == "win32", reason="guard pages are made with mmap and mprotect")
@pytest.mark.parametrize("width", [5, 17, 33, 64])
@pytest.mark.parametrize(("taps", "stride", "left", "right"), [
    (2, 1, 0, 0), (2, 2, 1, 0), (3, 1, 1, 1), (3, 2, 0, 0), (3, 2, 1, 1), (5, 2, 2, 4), (6, 2, 2, 0), (3, 3, 0, 1),
    (4, 4, 0, 0), (5, 4, 1, 2), (1, 3, 0, 0),
])  # fmt: skip
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_whole_vectors_are_read_and_written_within_arrays(lanes, taps, stride, left, right, width):
    from tests.fuzz.guard import guarded, guarded_copy

    x = np.random.default_rng(0).standard_normal((1, 3, 9, width)).astype(np.float32)
    attributes = {"kernel_shape": (taps, taps), "strides": (stride, stride), "pads": (left, left, right, right)}
    node = Node("MaxPool", "pool", ("x",), ("y",), attributes)
    want = find_operator(node)(x, **node.attributes)[0]
    with patch("tersor.runtime.kernels.pooling.pool.host_registers", lambda: (32, lanes)):
        kernel = lower_pool(Site(node, ((F32, x.shape),), ((F32, want.shape),)))
    assert kernel is not None
    y = guarded(want.shape, np.float32)
    kernel.run([guarded_copy(x)], [y], guarded(kernel.scratch, np.uint8), Workers(1))
    np.testing.assert_array_equal(y, want)


@settings(max_examples=60, deadline=None)
@given(
    planes=st.integers(1, 9),
    rows=st.integers(1, 12),
    outputs=st.integers(1, 40),
    taps=st.integers(1, 6),
    lanes=st.sampled_from([4, 8, 16]),
)
def test_windows_beside_one_another_along_rows(planes, rows, outputs, taps, lanes):
    x = np.random.default_rng(0).standard_normal((1, planes, rows, outputs * taps)).astype(np.float32)
    attributes = {"kernel_shape": (1, taps), "strides": (1, taps)}
    node, want = Node("MaxPool", "pool", ("x",), ("y",), attributes), x.reshape(1, planes, rows, outputs, taps).max(axis=-1)
    with patch("tersor.runtime.kernels.pooling.pool.host_registers", lambda: (32, lanes)):
        kernel = lower_pool(Site(node, ((F32, x.shape),), ((F32, want.shape),)))
    assert kernel is not None
    y = np.full(want.shape, np.nan, np.float32)
    kernel.run([x], [y], np.zeros(kernel.scratch, np.uint8), Workers(1))
    np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_a_stride_beyond_the_input_takes_no_memory(both, op):
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 7)).astype(np.float32)
    attributes = {"kernel_shape": (3, 3), "strides": (1 << 30, (1 << 31) - 1)}
    got, want = both(lower_pool, Node(op, "pool", ("x",), ("y",), attributes), x)
    assert got.shape == (1, 2, 1, 1)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_numbers_that_leave_64_bits_are_refused():
    node = Node(
        "MaxPool", "pool", ("x",), ("y",), {"kernel_shape": (1, 2), "strides": (1, 1 << 62), "pads": (0, 1 << 62, 0, 0)}
    )
    site = Site(node, ((F32, (1, 1, 4, 4)),), ((F32, (1, 1, 4, 1)),))
    with pytest.raises(PlanError, match="strides must be 2 integers of at most 2,147,483,647"):
        lower_pool(site)


def test_pooling_declines_indices_and_three_dimensions():
    node = Node("MaxPool", "pool", ("x",), ("y", "i"), {"kernel_shape": (2, 2)})
    types = ((F32, (1, 1, 4, 4)),)
    assert lower_pool(Site(node, types, ((F32, (1, 1, 3, 3)), (np.dtype(np.int64), (1, 1, 3, 3))))) is None
    assert lower_pool(Site(node, ((F32, (1, 1, 4, 4, 4)),), ((F32, (1, 1, 3, 3, 3)),))) is None


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_windows_far_larger_than_the_input(both, op):
    attributes = {"kernel_shape": (3, 1), "dilations": (1 << 20, 1), "pads": (1 << 20, 0, 1 << 20, 0)}
    for turned in (False, True):
        if turned:
            attributes = {name: values[::-1] if len(values) == 2 else (0, 1 << 20) * 2 for name, values in attributes.items()}
        x = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)
        got, want = both(lower_pool, Node(op, "pool", ("x",), ("y",), attributes), x)
        np.testing.assert_allclose(got, want)


@pytest.mark.parametrize("include_pad", [0, 1])
@pytest.mark.parametrize("size", [(2, 2), (3,)])
def test_a_window_as_large_as_the_input_and_dilated_beyond_it(both, size, include_pad):
    rank = len(size)
    attributes = {"kernel_shape": size, "dilations": (2,) * rank, "strides": (4,) * rank, "ceil_mode": 1}
    x = np.random.default_rng(0).standard_normal((1, 2, *size)).astype(np.float32)
    node = Node("AveragePool", "pool", ("x",), ("y",), {**attributes, "count_include_pad": include_pad})
    got, want = both(lower_pool, node, x)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_memory_of_a_wide_window_is_counted():
    node = Node(
        "MaxPool", "pool", ("x",), ("y",), {"kernel_shape": (1, 2), "dilations": (1, 1 << 28), "pads": (0, 1 << 28) * 2}
    )
    kernel = lower_pool(Site(node, ((F32, (1, 1, 3, 3)),), ((F32, (1, 1, 3, 3 + (1 << 28))),)))
    assert kernel is not None
    assert kernel.scratch > 4 << 28


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 7, 3, 5), (1, 4, CHUNK + 1, 2), (2, 3)])
@pytest.mark.parametrize(("size", "beta"), [(1, 0.75), (3, 0.75), (5, 0.5), (4, 1.3)])
def test_lrn(both, shape, size, beta):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 30
    node = Node("LRN", "lrn", ("x",), ("y",), {"size": size, "beta": beta, "alpha": 0.01, "bias": 2.0})
    got, want = both(lower_lrn, node, x, threads=2)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bias", [0.0, -1.0, 2.0, np.inf])
def test_lrn_of_extremes(both, bias):
    x = np.random.default_rng(0).standard_normal((1, 5, 4, 9)).astype(np.float32)
    x[0, 1, 0, :4], x[0, :, 2], x[0, 2, 3] = (np.inf, -np.inf, np.nan, 1e-30), 0, 1e25
    node = Node("LRN", "lrn", ("x",), ("y",), {"size": 3, "beta": 0.75, "alpha": 3.0, "bias": bias})
    with np.errstate(all="ignore"):
        got, want = both(lower_lrn, node, x)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-30)
