"""Element-wise kernels against the references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.elementwise import ANY, FLOATS, lower_batchnorm, lower_elementwise
from tersor.runtime.kernels.site import Site
from tersor.runtime.ops import find_operator
from tersor.runtime.orders.workers import Workers

F32 = np.dtype(np.float32)
TWO = {"Add", "Sub", "Mul", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
ON_FLOATS = sorted({*FLOATS, *ANY} - {"And", "Not", "Or", "Xor"})
NUMBERS = ["Abs", "Add", "Clip", "Max", "Min", "Mul", "Neg", "Sub", "Sum"]
COMPARISONS = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]


def compare(node, inputs, constants=()):
    inputs = [None if a is None else np.asarray(a, order="C") for a in inputs]
    want = find_operator(node)(*inputs, **node.attributes)[0]
    types = tuple(None if a is None else (a.dtype, a.shape) for a in inputs)
    tensors = {i: DenseTensor.of(inputs[i]) for i in constants}
    kernel = (lower_batchnorm if node.op_type == "BatchNormalization" else lower_elementwise)(
        Site(node, types, ((want.dtype, want.shape),), tensors)
    )
    assert kernel is not None
    got = np.full(want.shape, 7, want.dtype)
    kernel.run([inputs[i] for i in kernel.reads], [got], np.zeros(0, np.uint8), Workers(1))
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("op", ON_FLOATS)
def test_fill_equals_reference(op):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    x = np.abs(x) + 0.1 if op in ("Log", "Sqrt") else x
    others = [rng.standard_normal((4, 1)).astype(np.float32)] if op in TWO else []
    others = [x + 1, x - 2] if op == "Sum" else others
    others = [x[:1] - 0.5, x[:, :1], x] if op in ("Max", "Min") else others
    if op == "Clip":
        others = [np.float32(-0.5).reshape(()), np.float32(0.7).reshape(())]
    if op == "Pow":
        others = [np.float32(2).reshape(())]
    names = tuple(f"i{i}" for i in range(1 + len(others)))
    compare(Node(op, op, names, ("y",)), [x, *others])


def test_clip_without_bounds_and_powers():
    x = np.random.default_rng(0).random((2, 3)).astype(np.float32)
    compare(Node("Clip", "c", ("x",), ("y",)), [x])
    compare(Node("Clip", "c", ("x", "", "h"), ("y",)), [x, None, np.array(0.5, np.float32)])
    for exponent in (0.5, 2.0, 3.0, -1.5):
        for shape in ((), (1,), (1, 1)):
            node, inputs = Node("Pow", "p", ("x", "e"), ("y",)), [x, np.full(shape, exponent, np.float32)]
            compare(node, inputs)
            compare(node, inputs, constants=(1,))


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


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "i8", "f2", "f8"])
@pytest.mark.parametrize("op", [*NUMBERS, *COMPARISONS])
def test_numbers_of_other_types(op: str, dtype: str):
    rng = np.random.default_rng(0)
    count = 1 if op in ("Abs", "Neg") else 3 if op == "Clip" else 2
    shapes = [(3, 40), (), ()] if op == "Clip" else [(3, 40), (40,)]
    inputs = [np.array(rng.integers(0, 5, shape)).astype(dtype) for shape in shapes[:count]]
    if op == "Neg" and dtype[0] == "u":
        return
    compare(Node(op, op, tuple(f"i{i}" for i in range(count)), ("y",)), inputs)


@pytest.mark.parametrize("op", ["And", "Not", "Or", "Xor", "Equal", "Max", "Min"])
def test_booleans(op: str):
    inputs = [np.random.default_rng(i).random((5, 1, 30)) < 0.5 for i in range(1 + (op != "Not"))]
    compare(Node(op, op, ("a", "b")[: len(inputs)], ("y",)), inputs)


SIZES = st.lists(st.integers(1, 9), max_size=4)


@given(size=SIZES, kept=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=4), drop=st.integers(0, 4))
def test_shapes_that_broadcast(size: list[int], kept: list[tuple[bool, bool]], drop: int):
    a = [n if keep else 1 for n, (keep, _) in zip(size, kept, strict=False)]
    b = [n if keep else 1 for n, (_, keep) in zip(size, kept, strict=False)][drop:]
    rng = np.random.default_rng(0)
    inputs = [np.asarray(rng.standard_normal(shape), np.float32) for shape in (a, b)]
    compare(Node("Sub", "s", ("a", "b"), ("y",)), inputs)
    compare(Node("Sub", "s", ("a", "b"), ("y",)), inputs[::-1])


@pytest.mark.parametrize(("op", "types"), [("Div", "i8 i8 i8"), ("Add", ">f4 >f4 >f4"), ("Pow", "f4 i8 f4")])
def test_what_numpy_would_convert_is_declined(op: str, types: str):
    *inputs, output = ((np.dtype(name), (2,)) for name in types.split())
    assert lower_elementwise(Site(Node(op, op, ("x", "y"), ("z",)), tuple(inputs), (output,))) is None


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3), (1, 3, 4)])
def test_batch_normalization(shape):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    statistics = [rng.random(3).astype(np.float32) + 0.5 for _ in range(4)]
    node = Node("BatchNormalization", "bn", ("x", "s", "b", "m", "v"), ("y",), {"epsilon": 1e-3})
    compare(node, [x, *statistics], constants=(1, 2, 3, 4))
