"""Walks by strides, and numpy's loops."""

from __future__ import annotations

from math import prod
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


LAID = st.tuples(st.permutations(range(4)), st.lists(st.sampled_from([1, 2, 3, -1, -2, 0]), min_size=4, max_size=4))
"""The order of axes in memory, and how many elements apart they have neighbours; 0 where all are the same one."""


def lying(size: list[int], laid: tuple[list[int], list[int]], array: np.ndarray, *, written: bool) -> tuple[np.ndarray, View]:
    """A part of ``array`` of that size, and where it lies."""
    order, steps = [axis for axis in laid[0] if axis < len(size)], [step or int(written) for step in laid[1]]
    memory = array[3 : 3 + prod(size[axis] * abs(steps[axis] or 1) for axis in order)]
    memory = memory.reshape([size[axis] * abs(steps[axis] or 1) for axis in order])
    part = memory.transpose(np.argsort(order))[
        tuple(slice(0, 1) if s == 0 else slice(None, None, s) for s in steps[: len(size)])
    ]
    part = np.broadcast_to(part, size) if not written else part
    return part, View(part.__array_interface__["data"][0] - array.__array_interface__["data"][0], part.strides)


@given(
    size=st.lists(st.integers(1, 12), min_size=1, max_size=4), laid=st.tuples(LAID, LAID, LAID), threads=st.sampled_from([1, 3])
)
def test_operands_of_any_size_that_lie_anyhow(size, laid, threads):
    rng, room = np.random.default_rng(0), 3 + prod(size) * 3 ** len(size)
    arrays = (
        rng.integers(0, 99, room).astype(np.float32),
        rng.integers(-3, 3, room).astype(np.int32),
        np.zeros(room, np.float32),
    )
    x, power, y = (lying(size, how, array, written=i == 2) for i, (how, array) in enumerate(zip(laid, arrays, strict=True)))
    loop = loop_of(np.ldexp, F32, np.dtype(np.int32), F32)
    assert loop is not None
    want = np.zeros(room, np.float32)
    np.ldexp(x[0], power[0], out=lying(size, laid[2], want, written=True)[0])
    with patch("tersor.runtime.kernels.strided.walk.PIECE", 1):
        work = walk(loop, size, [x[1], power[1], y[1]], threads)
    Workers(1).carry_out(work.order(arrays[0], arrays[2], arrays[1], np.zeros(0, np.uint8))[None])
    np.testing.assert_array_equal(arrays[2], want)


def test_a_loop_gets_what_numpy_tells_it():
    """The address of a function of C's, for one."""
    x, two = np.linspace(0.1, 9, 40).astype(np.float32), np.array(2, np.float32)
    loop, y = loop_of(np.fmod, F32, F32, F32), np.zeros_like(x)
    assert loop is not None
    assert loop.data
    whole = View.whole(x.shape, 4)
    work = walk(loop, x.shape, [whole, View.broadcast((), 4, x.shape), whole], 1)
    Workers(1).carry_out(work.order(x, y, two, np.zeros(0, np.uint8))[None])
    np.testing.assert_array_equal(y, np.fmod(x, two))


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
