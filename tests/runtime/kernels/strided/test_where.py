"""Choices against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.kernels.strided.where import lower_where
from tersor.runtime.ops.where import where
from tersor.runtime.orders.workers import Workers


def kernel_of(inputs: list[np.ndarray], threads: int = 1) -> tuple[Kernel | None, np.ndarray]:
    want = where.reference(*inputs)
    types = tuple((a.dtype, a.shape) for a in inputs)
    return lower_where(
        Site(Node("Where", "w", ("c", "x", "y"), ("z",)), types, ((want.dtype, want.shape),), threads=threads)
    ), want


def check(inputs: list[np.ndarray], threads: int = 1) -> None:
    kernel, want = kernel_of(inputs, threads)
    assert kernel is not None
    got, workers = np.ones_like(want), Workers(threads)
    kernel.run([inputs[i] for i in kernel.reads], [got], np.zeros(0, np.uint8), workers)
    workers.close()
    np.testing.assert_array_equal(got, want)


@given(
    size=st.lists(st.integers(1, 6), max_size=4),
    kept=st.lists(st.tuples(*[st.booleans()] * 3), min_size=4, max_size=4),
    dtype=st.sampled_from(["?", "u1", "f2", "i4", "f4", "f8", "i8"]),
)
def test_choices(size, kept, dtype):
    rng = np.random.default_rng(0)
    shapes = [[n if keep[i] else 1 for n, keep in zip(size, kept, strict=False)] for i in range(3)]
    c, x, y = (np.array(rng.integers(-60_000, 60_000, shape)) for i, shape in enumerate(shapes))
    check([np.asarray(c > 0), x.astype(dtype), y.astype(dtype)])


@pytest.mark.parametrize("threads", [1, 3])
def test_many(threads):
    rng = np.random.default_rng(0)
    check([rng.random((400, 1, 300)) < 0.5, rng.random((2, 1)), rng.random(300)], threads)


def test_elements_of_unusual_sizes_and_none_are_declined():
    flag = np.ones(2, bool)
    assert kernel_of([flag, np.ones(2, complex), np.ones(2, complex)])[0] is None
    assert kernel_of([flag[:0], np.ones(0), np.ones(0)])[0] is None


def test_elements_of_two_types_are_declined():
    flag, floats, doubles = np.ones(2, bool), np.ones(2, np.float32), np.ones(2)
    for inputs in ([flag, floats, doubles], [flag, doubles, floats], [flag.astype(np.int8), doubles, doubles]):
        assert kernel_of(inputs)[0] is None
