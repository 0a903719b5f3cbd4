"""What numpy fills in place against the references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.elementwise import FILLS, lower_batchnorm, lower_elementwise, lower_slice
from tersor.runtime.kernels.site import Site
from tersor.runtime.ops import find_operator
from tersor.runtime.ops.pad import lower as pad_lower
from tersor.runtime.ops.pad import pad
from tersor.runtime.orders.workers import Workers

F32 = np.dtype(np.float32)
TWO = {"Add", "Sub", "Mul", "Div"}
ATTRIBUTES = {
    "Softmax": {"axis": 1}, "Concat": {"axis": 1}, "Transpose": {"perm": (2, 0, 1)},
}  # fmt: skip


def compare(node, inputs, constants=()):
    want = find_operator(node)(*inputs, **node.attributes)[0]
    types = tuple(None if a is None else (a.dtype, a.shape) for a in inputs)
    tensors = {i: DenseTensor.of(inputs[i]) for i in constants}
    kernel = (lower_batchnorm if constants else lower_elementwise)(Site(node, types, ((want.dtype, want.shape),), tensors))
    assert kernel is not None
    got = np.full(want.shape, np.nan, np.float32)
    kernel.run([inputs[i] for i in kernel.reads], [got], np.zeros(0, np.uint8), Workers(1))
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("op", sorted(FILLS))
def test_fill_equals_reference(op):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    x = np.abs(x) + 0.1 if op in ("Log", "Sqrt") else x
    others = [rng.standard_normal((4, 1)).astype(np.float32)] if op in TWO else []
    others = [x + 1, x - 2] if op in ("Sum", "Concat") else others
    others = [x[:1] - 0.5, x[:, :1], x] if op in ("Max", "Min") else others
    if op == "Clip":
        others = [np.float32(-0.5).reshape(()), np.float32(0.7).reshape(())]
    if op == "Pow":
        others = [np.float32(2).reshape(())]
    names = tuple(f"i{i}" for i in range(1 + len(others)))
    compare(Node(op, op, names, ("y",), ATTRIBUTES.get(op, {})), [x, *others])


def test_clip_without_bounds_and_powers():
    x = np.random.default_rng(0).random((2, 3)).astype(np.float32)
    compare(Node("Clip", "c", ("x",), ("y",)), [x])
    compare(Node("Clip", "c", ("x", "", "h"), ("y",)), [x, None, np.array(0.5, np.float32)])
    for exponent in (0.5, 3.0):
        compare(Node("Pow", "p", ("x", "e"), ("y",)), [x, np.array([exponent], np.float32)])


def test_cubes_have_the_sign_of_what_they_are_of():
    x = np.array([-2, -0.0, 0, 3, 1e-20, -1e13, np.inf, -np.inf, np.nan], np.float32)
    with np.errstate(over="ignore", under="ignore"):
        compare(Node("Pow", "p", ("x", "e"), ("y",)), [x, np.array(3, np.float32)])


@pytest.mark.parametrize("op", ["Max", "Min", "Sum"])
def test_inputs_of_any_number_and_shape_are_combined(op: str):
    arrays = [np.random.default_rng(i).standard_normal(s).astype(np.float32) for i, s in enumerate([(4,), (3, 1), (2, 3, 4)])]
    arrays[1][0] = np.nan
    for inputs in (arrays, arrays[:1], arrays[:2], arrays[::-1]):
        compare(Node(op, op, tuple(f"i{i}" for i in range(len(inputs))), ("y",)), inputs)


def test_other_types_are_declined():
    integer = (np.dtype(np.int64), (2,))
    assert lower_elementwise(Site(Node("Add", "a", ("x", "y"), ("z",)), (integer, integer), (integer,))) is None


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3), (1, 3, 4)])
def test_batch_normalization(shape):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    statistics = [rng.random(3).astype(np.float32) + 0.5 for _ in range(4)]
    node = Node("BatchNormalization", "bn", ("x", "s", "b", "m", "v"), ("y",), {"epsilon": 1e-3})
    compare(node, [x, *statistics], constants=(1, 2, 3, 4))


def padded(x: np.ndarray, pads: np.ndarray, value: np.ndarray | None, axes: np.ndarray | None, **given: str):
    """The kernel of a Pad, and what the reference gives."""
    want = pad.reference(x, pads, value, axes, **given)
    inputs = (x, pads, value, axes)
    names = tuple("" if a is None else f"i{i}" for i, a in enumerate(inputs))
    types = tuple(None if a is None else (a.dtype, a.shape) for a in inputs)
    constants = {i: DenseTensor.of(a) for i, a in enumerate(inputs) if i and a is not None}
    return pad_lower(Site(Node("Pad", "p", names, ("y",), given), types, ((want.dtype, want.shape),), constants)), want


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
    kernel, got = lower_slice(Site(node, types, ((want.dtype, want.shape),), constants)), np.empty_like(want)
    assert kernel is not None
    kernel.run([x], [got], np.zeros(0, np.uint8), Workers(1))
    np.testing.assert_array_equal(got, want)


def test_padding_by_what_is_there_is_declined():
    kernel, _ = padded(np.ones((2, 3), np.float32), np.ones(4, np.int64), None, None, mode="edge")
    assert kernel is None


def test_slices_within_bounds_that_come_with_a_run_are_declined():
    node, one = Node("Slice", "s", ("x", "s", "e"), ("y",)), (np.dtype(np.int64), (1,))
    constants = {1: DenseTensor.of(np.array([0]))}
    assert lower_slice(Site(node, ((F32, (3,)), one, one), ((F32, (2,)),), constants)) is None
