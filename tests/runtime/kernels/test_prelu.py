"""PRelu against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.runtime.kernels.prelu import lower_prelu
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.ops.arithmetic import prelu
from tersor.runtime.orders.workers import Workers

F32 = np.dtype(np.float32)


def lowered(x: np.ndarray, slope: np.ndarray, threads: int = 1) -> Kernel | None:
    types = ((F32, x.shape), (F32, slope.shape)), ((F32, np.broadcast_shapes(x.shape, slope.shape)),)
    return lower_prelu(Site(Node("PRelu", "p", ("x", "s"), ("y",)), *types, threads=threads))


def assert_equal(x: np.ndarray, slope: np.ndarray, threads: int = 1) -> None:
    kernel = lowered(x, slope, threads)
    assert kernel is not None
    got = np.full_like(x, 7)
    kernel.run([x, slope], [got], np.zeros(0, np.uint8), Workers(threads))
    np.testing.assert_array_equal(got, prelu.reference(x, slope))


@given(sizes=st.lists(st.integers(1, 5), min_size=2, max_size=4), data=st.data(), seed=st.integers(0, 99))
def test_slopes_along_any_axes_but_the_last(sizes, data, seed):
    rng, rank = np.random.default_rng(seed), len(sizes)
    first = data.draw(st.integers(0, rank - 1))
    end = data.draw(st.integers(first, rank - 1))
    shape = [*[1] * first, *sizes[first:end], *[1] * (rank - end)][data.draw(st.integers(0, first)) :]
    assert_equal(rng.standard_normal(sizes).astype(np.float32), rng.standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("shape", [(640, 1, 1), (1,), (), (1, 640, 1, 1)])
def test_on_threads(shape):
    rng = np.random.default_rng(0)
    x, slope = rng.standard_normal((2, 640, 20, 21)).astype(np.float32), rng.standard_normal(shape)
    assert_equal(x, np.asarray(slope, np.float32), threads=2)


def test_of_edges():
    x = np.array([[np.nan, np.inf, -np.inf, -0.0, 0, -1e-45]], np.float32)
    assert_equal(x, np.array([[0.25]], np.float32))


@pytest.mark.parametrize("shape", [(5,), (3, 1, 5), (2, 1, 1, 1)])
def test_others_are_left_to_the_reference(shape):
    x = np.ones((3, 4, 5), np.float32) if len(shape) < 4 else np.ones((2, 3, 4, 0), np.float32)
    assert lowered(x, np.ones(shape, np.float32)) is None


def test_slopes_that_make_more_of_the_input_are_left_to_the_reference():
    assert lowered(np.ones(4, np.float32), np.ones((4, 1), np.float32)) is None
