"""Conversions against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.graph import Node
from tersor.runtime.kernels.site import Site
from tersor.runtime.kernels.strided.cast import ELEMENTS, FROM_FLOATS, lower_cast
from tersor.runtime.ops._dtypes import DTYPES
from tersor.runtime.orders.workers import Workers

NUMBERS = {dtype.name: number for number, dtype in DTYPES.items()}
VALUES = np.array([0, 1, 2, -1, -3, 127, 128, -128, 255, 256, 40000, -70000, 2**31 - 128, -(2**31)], np.float64)


def converted(x: np.ndarray, to: str, threads: int = 1) -> np.ndarray | None:
    shape = x.shape
    node = Node("Cast", "c", ("x",), ("y",), {"to": NUMBERS[to]})
    kernel = lower_cast(Site(node, ((x.dtype, shape),), ((np.dtype(to), shape),), threads=threads))
    if kernel is None:
        return None
    y, workers = np.ones(shape, to), Workers(threads)
    kernel.run([[x][i] for i in kernel.reads], [y], np.zeros(0, np.uint8), workers)
    workers.close()
    return y


@pytest.mark.parametrize("source", ELEMENTS)
def test_every_conversion(source):
    rng = np.random.default_rng(0)
    small = np.concatenate([VALUES, rng.integers(-100, 100, 50)])
    x = small.astype(np.int64).astype(source) if source[0] != "f" else np.append(small, [0.4, -0.6, 3.9, -3.9]).astype(source)
    for target in ELEMENTS if source[0] != "f" else FROM_FLOATS:
        got = converted(x, target)
        assert got is not None
        np.testing.assert_array_equal(got, x.astype(target), err_msg=target)


def test_what_is_no_number():
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32)
    for target in ("bool", "float64"):
        np.testing.assert_array_equal(converted(x, target), x.astype(target))


@pytest.mark.parametrize("threads", [1, 3])
def test_many_elements(threads):
    x = np.random.default_rng(0).random((300, 701)) < 0.5
    np.testing.assert_array_equal(converted(x, "float32", threads), x.astype(np.float32))


def test_other_types_are_declined():
    assert converted(np.ones(2, np.float16), "float32") is None
    assert converted(np.ones(2, np.float32), "uint8") is None
    assert converted(np.ones(2, ">i4"), "float32") is None
    assert converted(np.ones((2, 0), np.int32), "float32") is None
