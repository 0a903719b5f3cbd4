"""Resizing to the nearest elements against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.ops.resize import COORDINATES, NEAREST_MODES, lower, resize
from tersor.runtime.orders.workers import Workers

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)


def lowered(x: np.ndarray, sizes: np.ndarray, want: np.ndarray, threads: int = 1, **attributes: Any) -> Kernel | None:
    node = Node("Resize", "r", ("x", "", "", "s"), ("y",), attributes)
    types = ((x.dtype, x.shape), None, None, (I64, sizes.shape)), ((x.dtype, want.shape),)
    return lower(Site(node, *types, {3: DenseTensor.of(sizes)}, threads=threads))


def assert_equal(x: np.ndarray, *sizes: int, threads: int = 1, **attributes: Any) -> None:
    wanted = np.array(sizes, np.int64)
    want = resize.reference(x, None, None, wanted, **attributes)
    kernel = lowered(x, wanted, want, threads, **attributes)
    assert kernel is not None
    got = np.full(want.shape, np.nan, np.float32)
    kernel.run([x], [got], np.zeros(0, np.uint8), Workers(threads))
    np.testing.assert_array_equal(got, want)


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 40)),
    wanted=st.tuples(st.integers(1, 30), st.integers(1, 90)),
    coordinates=st.sampled_from([mode for mode in COORDINATES if mode != "tf_crop_and_resize"]),
    nearest=st.sampled_from(NEAREST_MODES),
)
def test_planes_of_any_size(size, wanted, coordinates, nearest):
    x = np.random.default_rng(0).standard_normal((2, 3, *size)).astype(np.float32)
    assert_equal(x, 2, 3, *wanted, coordinate_transformation_mode=coordinates, nearest_mode=nearest)
    assert_equal(x, *wanted, axes=(2, 3), coordinate_transformation_mode=coordinates, nearest_mode=nearest)


def test_lines():
    x = np.random.default_rng(0).standard_normal((2, 3, 50)).astype(np.float32)
    assert_equal(x, 2, 3, 100)
    assert_equal(x, 2, 9, 50)


def test_on_threads():
    x = np.random.default_rng(0).standard_normal((1, 64, 40, 30)).astype(np.float32)
    assert_equal(x, 1, 64, 80, 60, threads=2)


@pytest.mark.parametrize(
    ("kind", "sizes", "given"),
    [(np.float32, (1, 4, 8, 8), {}), (np.float64, (1, 2, 8, 8), {}), (np.float32, (1, 2, 8, 8), {"mode": "linear"})],
)
def test_others_are_left_to_the_reference(kind, sizes, given):
    x, wanted = np.ones((1, 2, 4, 4), kind), np.array(sizes, np.int64)
    assert lowered(x, wanted, resize.reference(x, None, None, wanted, **given), **given) is None
