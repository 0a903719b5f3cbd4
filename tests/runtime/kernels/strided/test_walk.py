"""Walks by strides, and numpy's loops."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.runtime.kernels.strided.loop import copier, loop_of
from tersor.runtime.kernels.strided.walk import View, collapsed, walk
from tersor.runtime.orders.workers import Workers

F32 = np.dtype(np.float32)


def test_axes_that_lie_within_one_another_are_one():
    whole, row, one = View.whole((4, 5, 6), 4), View.broadcast((6,), 4, (4, 5, 6)), View.broadcast((), 4, (4, 5, 6))
    assert collapsed((4, 5, 6), [whole, one, whole]) == [(120, (4, 0, 4))]
    assert collapsed((4, 5, 6), [whole, row, whole]) == [(20, (24, 0, 24)), (6, (4, 4, 4))]
    assert collapsed((1, 1), [View.whole((1, 1), 4)]) == [(1, (0,))]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shape", [(100_000,), (70, 1000), (3, 5, 7, 2), (40_000, 3)])
def test_every_place_is_met_once(shape, threads):
    rng = np.random.default_rng(0)
    x, other = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    y, workers, views = np.zeros(shape, np.float32), Workers(threads), [View.whole(shape, 4)] * 3
    loop = loop_of(np.add, F32, F32, F32)
    assert loop is not None
    work = walk(loop, shape, views, threads)
    for _ in range(2):
        workers.carry_out(work.order(x, y, other, np.zeros(0, np.uint8))[None])
    workers.close()
    np.testing.assert_array_equal(y, x + other)


@pytest.mark.parametrize("dtype", ["?", "u1", "f2", "f4", "i8"])
def test_elements_are_copied_whatever_they_mean(dtype):
    x = np.random.default_rng(0).integers(0, 256, 64, np.uint8).view(dtype if dtype != "?" else "u1")
    loop, y = copier(x.dtype), np.zeros(len(x) * 2, x.dtype)
    assert loop is not None
    size = x.itemsize
    work = walk(loop, x.shape, [View(0, (size,)), View(size * (len(y) - 2), (-2 * size,))], 1)
    Workers(1).carry_out(work.order(x, y, y, np.zeros(0, np.uint8))[None])
    assert y[::-1][1::2].tobytes() == x.tobytes()


def test_loops_that_convert_or_call_python_are_none():
    assert loop_of(np.add, F32, np.dtype(np.int32), F32) is None
    assert loop_of(np.add, F32.newbyteorder(), F32, F32) is None
    assert loop_of(np.add, *[np.dtype(object)] * 3) is None
    assert copier(np.dtype(np.complex128)) is None
