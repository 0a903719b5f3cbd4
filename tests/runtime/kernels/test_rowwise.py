"""Means and softmax of rows against the references."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.rowwise import lower_global_average, lower_global_max, lower_mean, lower_softmax
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.ops.reduction import reduce_mean
from tersor.runtime.orders.workers import Workers

F32 = np.dtype(np.float32)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 7), (1, 4, 33), (1, 640, 20, 20)])
def test_mean_of_planes(both, shape, threads):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    got, want = both(lower_global_average, Node("GlobalAveragePool", "mean", ("x",), ("y",)), x, threads)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 7), (1, 4, 33), (1, 512, 508), (3, 2)])
def test_largest_of_planes(both, shape, lanes, threads):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for strange in (None, np.nan, np.inf, -np.inf):
        if strange is not None:
            x.reshape(shape[0] * shape[1], -1)[1::2, -1] = strange
            x.reshape(shape[0] * shape[1], -1)[::3, 0] = strange
        with patch("tersor.runtime.kernels.rowwise.host_registers", lambda: (32, lanes)):
            got, want = both(lower_global_max, Node("GlobalMaxPool", "max", ("x",), ("y",)), x, threads)
        np.testing.assert_array_equal(got, want)


def mean_of(x: np.ndarray, axes: tuple[int, ...] | None, **given: int) -> tuple[Kernel | None, np.ndarray]:
    """The kernel of a ReduceMean, and what the reference gives."""
    listed = None if axes is None else np.array(axes, np.int64)
    want = reduce_mean.reference(x, listed, **given)
    types = [(F32, x.shape)] if listed is None else [(F32, x.shape), (np.dtype(np.int64), listed.shape)]
    constants = {} if listed is None else {1: DenseTensor.of(listed)}
    node = Node("ReduceMean", "mean", ("x", "axes")[: len(types)], ("y",), given)
    return lower_mean(Site(node, tuple(types), ((F32, want.shape),), constants)), want


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [None, (-1,), (3,), (2, 3), (3, 1, 2), (0, 1, 2, 3)])
def test_means_over_the_last_axes(axes, keepdims):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 70)).astype(np.float32)
    kernel, want = mean_of(x, axes, keepdims=keepdims)
    assert kernel is not None
    got = np.full(want.shape, np.nan, np.float32)
    kernel.run([x], [got], np.zeros(0, np.uint8), Workers(1))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("axes", "noop"), [((1,), 0), ((0, 2), 0), ((), 1)])
def test_other_means_are_left_to_the_reference(axes, noop):
    assert mean_of(np.ones((2, 3, 4), np.float32), axes, noop_with_empty_axes=noop)[0] is None


@given(rows=st.integers(1, 5), elements=st.integers(1, 300), spread=st.sampled_from([0.1, 3, 300]), seed=st.integers(0, 99))
def test_softmax(both, rows, elements, spread, seed):
    x = np.random.default_rng(seed).standard_normal((rows, elements, 1)).astype(np.float32) * np.float32(spread)
    got, want = both(lower_softmax, Node("Softmax", "softmax", ("x",), ("y",), {"axis": 1}), x)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-36)


def test_softmax_on_threads(both):
    x = np.random.default_rng(0).standard_normal((64, 9000)).astype(np.float32)
    got, want = both(lower_softmax, Node("Softmax", "softmax", ("x",), ("y",)), x, threads=2)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_softmax_of_what_is_not_a_number():
    rows = np.array([[np.nan, 1, 2], [np.inf, 1, 2], [-np.inf] * 3, [-np.inf, 0, 0]], np.float32)
    kernel = lower_softmax(Site(Node("Softmax", "softmax", ("x",), ("y",)), ((F32, (4, 3)),), ((F32, (4, 3)),)))
    assert kernel is not None
    got = np.empty_like(rows)
    kernel.run([rows], [got], np.zeros(0, np.uint8), Workers(1))
    assert np.isnan(got[:3]).all()
    assert got[3].tolist() == [0, 0.5, 0.5]


def test_softmax_across_memory_is_declined():
    kind = (F32, (2, 3, 4))
    assert lower_softmax(Site(Node("Softmax", "softmax", ("x",), ("y",), {"axis": 1}), (kind,), (kind,))) is None
