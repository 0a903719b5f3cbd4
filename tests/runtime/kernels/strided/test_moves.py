"""Copies of parts against the references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.kernels.strided.moves import Move, kernel_of, lower_view, outline
from tersor.runtime.kernels.strided.transpose import turn
from tersor.runtime.kernels.strided.walk import View
from tersor.runtime.ops import find_lowering, find_operator
from tersor.runtime.ops.pad import lower as pad_lower
from tersor.runtime.ops.pad import pad
from tersor.runtime.orders.workers import Workers

F32 = np.dtype(np.float32)


def check(node: Node, inputs: list[np.ndarray], threads: int = 1, constants: int = 1) -> Kernel:
    """Hold the kernel of a node, whose inputs from number ``constants`` on are constant, to the reference."""
    want = find_operator(node)(*inputs, **node.attributes)
    types = tuple((a.dtype, a.shape) for a in inputs)
    tensors = {i: DenseTensor.of(a) for i, a in enumerate(inputs) if i >= constants}
    lower = find_lowering(node.op_type)
    assert lower is not None
    kernel = lower(Site(node, types, tuple((a.dtype, a.shape) for a in want), tensors, threads=threads))
    assert kernel is not None
    got = [np.full(a.shape, 1, a.dtype) for a in want]
    with_workers(kernel, [inputs[i] for i in kernel.reads], got, threads)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)
    return kernel


def with_workers(kernel: Kernel, inputs: list[np.ndarray], outputs: list[Any], threads: int) -> None:
    workers = Workers(threads)
    kernel.run(inputs, outputs, np.zeros(kernel.scratch, np.uint8), workers)
    workers.close()


DTYPES = st.sampled_from(["?", "i1", "f2", "f4", "i8"])


@given(size=st.lists(st.integers(1, 7), min_size=1, max_size=6), data=st.data(), dtype=DTYPES)
def test_transpositions(size, data, dtype):
    order = data.draw(st.permutations(range(len(size))))
    x = np.arange(np.prod(size)).reshape(size).astype(dtype)
    check(Node("Transpose", "t", ("x",), ("y",), {"perm": tuple(order)}), [x])


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shape", [(300, 400), (2, 3, 70, 90), (1, 5), (100_000, 2), (16, 17), (31, 3, 16)])
def test_large_transpositions(shape, threads):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    check(Node("Transpose", "t", ("x",), ("y",), {}), [x], threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("order", [(1, 0, 3, 2), (1, 3, 0, 2), (3, 1, 0, 2), (2, 1, 0, 3, 4), (2, 0, 1, 4, 3)])
def test_axes_turned_by_tiles_beside_others(order, threads):
    x = np.random.default_rng(0).standard_normal((3, 17, 2, 33, 16)[5 - len(order) :]).astype(np.float32)
    check(Node("Transpose", "t", ("x",), ("y",), {"perm": order}), [x], threads)


@given(
    size=st.lists(st.integers(1, 40), min_size=2, max_size=4).filter(lambda size: np.prod(size) < 100_000),
    data=st.data(),
    start=st.integers(0, 3),
    step=st.sampled_from([1, 2, -1]),
    threads=st.sampled_from([1, 2]),
)
def test_axes_turned_by_tiles(size, data, start, step, threads):
    """Any axes that have neighbours, whatever steps the others go."""
    order, x = data.draw(st.permutations(range(len(size)))), np.random.default_rng(0).random((3 + 2 * size[0], *size[1:]))
    whole = np.empty(x.shape, np.uint8)[start :: abs(step)][: size[0]]
    part = whole[:: -1 if step < 0 else 1].transpose(order)
    x = x.astype(np.float32)
    want = x[start :: abs(step)][: size[0]][:: -1 if step < 0 else 1].transpose(order)
    node = Node("Slice", "s", ("x",), ("y",))
    types = ((F32, x.shape),), ((F32, want.shape),)
    kernel = kernel_of(Site(node, *types, threads=threads), [Move(0, part, outline(want.shape))], (0,))
    assert kernel is not None
    got = np.full(want.shape, np.nan, np.float32)
    with_workers(kernel, [x], [got], threads)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("dtype", "step"), [("u1", 4), ("f2", 2), ("f4", 1), ("f8", 1)])
def test_elements_that_lie_four_bytes_apart(dtype, step):
    """Tiles have elements of four bytes, and so have none of another size."""
    x, shape = np.random.default_rng(0).integers(0, 99, (32, 32 * step)).astype(dtype), (32, 32 * step)
    node, shaped = Node("Slice", "s", ("x",), ("y",)), (x.dtype, shape)
    moves = [Move(0, outline(shape)[:, ::step].T, outline(shape)[:, ::step])]
    kernel, want, got = kernel_of(Site(node, (shaped,), (shaped,)), moves, (0,)), np.zeros_like(x), np.zeros_like(x)
    assert kernel is not None
    want[:, ::step] = x[:, ::step].T
    with_workers(kernel, [x], [got], 1)
    np.testing.assert_array_equal(got, want)


def test_what_is_turned_by_tiles():
    """Arrays of which different axes have the neighbours, if a tile fits into these."""
    whole = View.whole((2, 16, 17), 4)
    assert turn((2, 16, 17), View(0, (1088, 4, 64)), whole, 1) is not None
    assert turn((16, 2, 17), View(0, (4, 1088, 64)), View.whole((16, 2, 17), 4), 1) is not None
    assert turn((2, 16, 17), whole, whole, 1) is None
    assert turn((2, 16, 17), View(0, (4, 136, 8)), whole, 1) is None
    assert turn((16, 15), View(0, (4, 64)), View.whole((16, 15), 4), 1) is None
    assert turn((15, 16), View(0, (4, 60)), View.whole((15, 16), 4), 1) is None


@given(sizes=st.lists(st.integers(0, 4), min_size=1, max_size=4), axis=st.integers(-3, 2), dtype=DTYPES)
def test_concatenations(sizes, axis, dtype):
    rng = np.random.default_rng(0)
    shapes = [[n if a == axis % 3 else 3 for a in range(3)] for n in sizes]
    inputs = [rng.integers(0, 9, shape).astype(dtype) for shape in shapes]
    names = tuple(f"i{i}" for i in range(len(inputs)))
    check(Node("Concat", "c", names, ("y",), {"axis": axis}), inputs, constants=9)


@given(size=st.lists(st.integers(1, 4), min_size=1, max_size=3), to=st.lists(st.integers(1, 4), max_size=4))
def test_expansions(size, to):
    x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    try:
        np.broadcast_shapes(size, to)
    except ValueError:
        assume(False)
    check(Node("Expand", "e", ("x", "s"), ("y",)), [x, np.array(to, np.int64)])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_pieces(axis):
    x = np.arange(216).reshape(6, 6, 6)
    check(Node("Split", "s", ("x", "n"), ("a", "b", "c"), {"axis": axis}), [x, np.array([1, 0, 5])])


def test_pieces_that_nobody_reads():
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    node = Node("Split", "s", ("x", "n"), ("", "b"), {"axis": 1})
    kernel = lower_view(Site(node, ((F32, x.shape), None), ((F32, (3, 3)),), {1: DenseTensor.of(np.array([1, 3]))}))
    assert kernel is not None
    got = np.zeros((3, 3), np.float32)
    with_workers(kernel, [x], [None, got], 1)
    np.testing.assert_array_equal(got, x[:, 1:])


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_blocks(mode):
    x = np.random.default_rng(0).standard_normal((2, 18, 4, 5)).astype(np.float32)
    check(Node("DepthToSpace", "d", ("x",), ("y",), {"blocksize": 3, "mode": mode}), [x])
    check(Node("SpaceToDepth", "s", ("x",), ("y",), {"blocksize": 2}), [x[..., :4].copy()])


def test_elements_of_unusual_sizes_are_declined():
    shaped = np.dtype(np.complex128), (2, 3)
    assert lower_view(Site(Node("Transpose", "t", ("x",), ("y",)), (shaped,), ((shaped[0], (3, 2)),))) is None


def padded(x: np.ndarray, pads: np.ndarray, value: np.ndarray | None, axes: np.ndarray | None, **how: str):
    """The kernel of a Pad, and what the reference gives."""
    want = pad.reference(x, pads, value, axes, **how)
    inputs = (x, pads, value, axes)
    names = tuple("" if a is None else f"i{i}" for i, a in enumerate(inputs))
    types = tuple(None if a is None else (a.dtype, a.shape) for a in inputs)
    constants = {i: DenseTensor.of(a) for i, a in enumerate(inputs) if i and a is not None}
    return pad_lower(Site(Node("Pad", "p", names, ("y",), how), types, ((want.dtype, want.shape),), constants)), want


@settings(max_examples=100)
@given(
    size=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    data=st.data(),
    value=st.sampled_from([None, np.array(2, np.float32), np.array([np.nan], np.float32), np.zeros(0, np.float32)]),
)
def test_padding(size, data, value):
    axes = data.draw(st.permutations(range(len(size))))[: data.draw(st.integers(1, len(size)))]
    widths = st.lists(st.integers(-3, 4), min_size=2 * len(axes), max_size=2 * len(axes))
    pads = np.array(data.draw(widths), np.int64)
    x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    try:
        kernel, want = padded(x, pads, value, np.array(axes, np.int64))
    except PlanError:
        assume(False)  # more is cropped than there is
    assert kernel is not None
    got = np.full(want.shape, 7, np.float32)
    kernel.run([x], [got], np.zeros(0, np.uint8), Workers(1))
    np.testing.assert_array_equal(got, want)


@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=3),
    bounds=st.lists(
        st.tuples(st.integers(-7, 7), st.integers(-7, 7), st.sampled_from([-2, -1, 1, 2, 9])), min_size=3, max_size=3
    ),
    dtype=st.sampled_from(["f4", "f8", "i8", "?", "u1"]),
    count=st.sampled_from([2, 3, 4]),
)
def test_slices_within_known_bounds(shape, bounds, dtype, count):
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    starts, ends, steps = (np.array(column[: len(shape)], np.int64) for column in zip(*bounds, strict=True))
    inputs = [x, starts, ends, np.arange(len(shape))[::-1].copy(), steps][: count + 1]
    node = Node("Slice", "s", ("x", "s", "e", "a", "d")[: count + 1], ("y",))
    want = find_operator(node)(*inputs)[0]
    types = tuple((a.dtype, a.shape) for a in inputs)
    constants = {i: DenseTensor.of(a) for i, a in enumerate(inputs) if i}
    kernel, got = lower_view(Site(node, types, ((want.dtype, want.shape),), constants)), np.empty_like(want)
    assert kernel is not None
    kernel.run([x], [got], np.zeros(0, np.uint8), Workers(1))
    np.testing.assert_array_equal(got, want)


@settings(max_examples=200)
@given(
    size=st.lists(st.integers(0, 4), min_size=1, max_size=3), data=st.data(), mode=st.sampled_from(["reflect", "edge", "wrap"])
)
def test_padding_by_what_is_there(size, data, mode):
    widths = st.lists(st.integers(-2, 4), min_size=2 * len(size), max_size=2 * len(size))
    pads = np.array(data.draw(widths), np.int64)
    x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    try:
        kernel, want = padded(x, pads, None, None, mode=mode)
    except (PlanError, ValueError):
        assume(False)  # more is cropped than there is, or nothing is there
    if kernel is not None:
        got = np.full(want.shape, 7, np.float32)
        kernel.run([x], [got], np.zeros(0, np.uint8), Workers(1))
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("mode", "most"), [("reflect", 3), ("wrap", 4), ("edge", 9)])
def test_padding_that_repeats_what_is_there_is_declined(mode, most):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    for width in (most, most + 1):
        kernel, _ = padded(x, np.array([0, 1, 0, width]), None, None, mode=mode)
        assert (kernel is None) == (width > most and mode != "edge")


def test_slices_within_bounds_that_come_with_a_run_are_declined():
    node, one = Node("Slice", "s", ("x", "s", "e"), ("y",)), (np.dtype(np.int64), (1,))
    constants = {1: DenseTensor.of(np.array([0]))}
    assert lower_view(Site(node, ((F32, (3,)), one, one), ((F32, (2,)),), constants)) is None
