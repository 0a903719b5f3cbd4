"""Extremes, sums and softmax over axes against the references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.kernels.strided.reduce import lower_extreme, lower_softmax_across, lower_sum
from tersor.runtime.ops import find_operator
from tersor.runtime.orders.order import SHARED
from tersor.runtime.orders.workers import Workers


def reduced(
    lower, op: str, x: np.ndarray, axes: list[int] | None, threads: int = 1, **how: int
) -> tuple[Kernel | None, np.ndarray]:
    node = Node(op, op, ("x",) if axes is None else ("x", "a"), ("y",), how)
    inputs = [x] if axes is None else [x, np.array(axes, np.int64)]
    want = find_operator(node)(*inputs, **how)[0]
    constants = {} if axes is None else {1: DenseTensor.of(inputs[1])}
    types = tuple((a.dtype, a.shape) for a in inputs)
    return lower(Site(node, types, ((want.dtype, want.shape),), constants, threads=threads)), want


def result(kernel: Kernel | None, x: np.ndarray, want: np.ndarray, threads: int = 1) -> np.ndarray:
    assert kernel is not None
    got, workers = np.full(want.shape, 1, want.dtype), Workers(threads)
    kernel.run([x], [got], np.zeros(kernel.scratch, np.uint8), workers)
    workers.close()
    return got


@given(
    op=st.sampled_from(["ReduceMax", "ReduceMin"]),
    size=st.lists(st.integers(0, 20), min_size=1, max_size=4),
    dtype=st.sampled_from(["?", "u1", "i4", "i8", "f2", "f4", "f8"]),
    threads=st.sampled_from([1, 3]),
    data=st.data(),
)
def test_extremes(op, size, dtype, threads, data):
    axes = data.draw(st.none() | st.lists(st.integers(0, len(size) - 1), max_size=len(size), unique=True))
    x = np.random.default_rng(0).integers(0, 50, size).astype(dtype)
    if dtype[0] == "f" and x.size:
        x = -x
        x.reshape(-1)[0] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tersor.runtime.kernels.strided.walk.PIECE", 20)
        kernel, want = reduced(lower_extreme, op, x, axes, threads, keepdims=data.draw(st.integers(0, 1)))
    if want.size:
        np.testing.assert_array_equal(result(kernel, x, want, threads), want)


@pytest.mark.parametrize(("axes", "shared"), [([2, 3], True), ([1], True), ([0, 1], False)])
def test_threads_share_extremes_where_no_two_meet(axes, shared):
    x = np.random.default_rng(1).standard_normal((2, 30, 40, 50)).astype(np.float32)
    kernel, want = reduced(lower_extreme, "ReduceMax", x, axes, 2)
    y = np.empty_like(want)
    assert kernel is not None
    assert kernel.orders is not None
    assert kernel.orders([x], [y], np.zeros(0, np.uint8))[-1, SHARED] == shared
    np.testing.assert_array_equal(result(kernel, x, want, 2), want)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean"])
@pytest.mark.parametrize("shape", [(3, 40), (2, 300, 3), (1, 30, 2500), (40, 3, 70, 9), (1, 1, 1, 1)])
def test_sums_over_neighbouring_axes(op, shape, threads):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for first in range(len(shape)):
        for last in range(first, len(shape)):
            kernel, want = reduced(lower_sum, op, x, [*range(first, last + 1)], threads, keepdims=0)
            if prod_of(shape, first, last) > 1:
                np.testing.assert_allclose(result(kernel, x, want, threads), want, rtol=1e-6, atol=1e-6)


def prod_of(shape: tuple[int, ...], first: int, last: int) -> int:
    return int(np.prod(shape[first : last + 1]))


def test_sums_that_cancel():
    x = np.array([[1e8, 1], [1, 1], [-1e8, 1]], np.float32)
    kernel, want = reduced(lower_sum, "ReduceSum", x, [0])
    np.testing.assert_array_equal(result(kernel, x, want), [[1, 3]])
    kernel, want = reduced(lower_sum, "ReduceSum", x.T.copy(), [1])
    np.testing.assert_array_equal(result(kernel, x.T.copy(), want), [[1], [3]])


def test_other_sums_are_declined():
    x = np.ones((2, 3, 4), np.float32)
    assert reduced(lower_sum, "ReduceSum", x, [0, 2])[0] is None
    assert reduced(lower_sum, "ReduceSum", x, [], noop_with_empty_axes=1)[0] is None
    assert reduced(lower_sum, "ReduceSum", x.astype(np.int64), [1])[0] is None


@given(
    size=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    axis=st.integers(0, 3),
    threads=st.sampled_from([1, 3]),
    seed=st.integers(0, 9),
)
def test_softmax_along_any_axis(size, axis, threads, seed):
    axis %= len(size)
    x = np.random.default_rng(seed).standard_normal(size).astype(np.float32) * 9
    node = Node("Softmax", "s", ("x",), ("y",), {"axis": axis})
    want = find_operator(node)(x, axis=axis)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tersor.runtime.kernels.strided.walk.PIECE", 20)
        kernel = lower_softmax_across(Site(node, ((x.dtype, x.shape),), ((x.dtype, x.shape),), threads=threads))
    np.testing.assert_allclose(result(kernel, x, want, threads), want, rtol=1e-6, atol=1e-30)
