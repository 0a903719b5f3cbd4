"""Products of two stacks of matrices against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.runtime.kernels.matrices.stacks import lower_stacks
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers

Shape = tuple[int, ...]


def kernel_of(a: Shape, b: Shape, dtype: str = "float32", threads: int = 1) -> Kernel | None:
    """A kernel for stacks of two shapes."""
    kind = np.dtype(dtype)
    shape = np.matmul(np.zeros(a, bool), np.zeros(b, bool)).shape
    return lower_stacks(
        Site(Node("MatMul", "m", ("a", "b"), ("y",)), ((kind, a), (kind, b)), ((kind, shape),), threads=threads)
    )


def check(a: Shape, b: Shape, threads: int = 1) -> None:
    """Random numbers, scratch memory full of NaN."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in (a, b))
    want, kernel = x.astype(np.float64) @ w, kernel_of(a, b, threads=threads)
    assert kernel is not None
    got, scratch = np.full(want.shape, np.nan, np.float32), aligned_bytes(kernel.scratch)
    scratch[:] = 255
    kernel.run([x, w], [got], scratch, Workers(threads))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.sqrt(x.shape[-1]))


@given(
    stack=st.sampled_from([((), ()), ((3,), (3,)), ((2, 1), (3,)), ((1, 2), (2, 2)), ((4,), ()), ((), (4,)), ((1,), (3, 1))]),
    rows=st.integers(2, 70),
    inner=st.integers(1, 70),
    width=st.integers(1, 240),
    threads=st.sampled_from([1, 2]),
)
def test_products(stack, rows, inner, width, threads):
    check((*stack[0], rows, inner), (*stack[1], inner, width), threads)


@pytest.mark.parametrize("inner", [700, 1500, 20_000])
def test_many_inner_columns_are_multiplied_in_blocks(inner):
    check((1, 70, inner), (1, inner, 33))


def test_what_is_not_a_number_stays_where_it_is():
    x, w = np.ones((2, 5, 3), np.float32), np.ones((2, 3, 4), np.float32)
    w[1, 2, 3] = np.nan
    kernel = kernel_of(x.shape, w.shape)
    assert kernel is not None
    got = np.zeros((2, 5, 4), np.float32)
    kernel.run([x, w], [got], aligned_bytes(kernel.scratch), Workers(1))
    np.testing.assert_array_equal(got, x @ w)


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [
        ((4, 1, 3), (4, 3, 2), "float32"),
        ((3,), (3, 2), "float32"),
        ((2, 3), (3,), "float32"),
        ((0, 2, 3), (3, 2), "float32"),
        ((2, 0), (0, 2), "float32"),
        ((2, 3), (3, 2), "float64"),
    ],
)
def test_others_are_declined(a, b, dtype):
    assert kernel_of(a, b, dtype) is None
