"""Slices by index against the reference, and what becomes of an index that is outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.kernels.strided.gather import lower_gather
from tersor.runtime.model import Model
from tersor.runtime.ops.gather import gather
from tersor.runtime.orders.workers import Workers


def kernel_of(x: np.ndarray, indices: np.ndarray, axis: int, threads: int = 1) -> tuple[Kernel | None, np.ndarray]:
    want = gather.reference(x, indices, axis=axis)
    types = (x.dtype, x.shape), (indices.dtype, indices.shape)
    node = Node("Gather", "g", ("x", "i"), ("y",), {"axis": axis})
    return lower_gather(Site(node, types, ((want.dtype, want.shape),), threads=threads)), want


@pytest.mark.parametrize("threads", [1, 2])
@given(
    size=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    axis=st.integers(-4, 3),
    places=st.lists(st.integers(1, 4), max_size=3),
    dtype=st.sampled_from(["?", "i2", "f4", "f8", "c16"]),
    index=st.sampled_from([np.int32, np.int64]),
)
def test_slices(threads, size, axis, places, dtype, index):
    axis = axis % len(size) - (len(size) if axis < 0 else 0)
    n, rng = size[axis], np.random.default_rng(0)
    x, indices = rng.integers(0, 99, size).astype(dtype), np.asarray(rng.integers(-n, n, places), index)
    kernel, want = kernel_of(x, indices, axis, threads)
    assert kernel is not None
    got = np.ones_like(want)
    kernel.run([x, indices], [got], np.zeros(0, np.uint8), Workers(1))
    np.testing.assert_array_equal(got, want)


def test_many_slices_on_threads():
    rng = np.random.default_rng(0)
    x, indices = rng.standard_normal((50, 300)).astype(np.float32), rng.integers(-50, 50, 900)
    kernel, want = kernel_of(x, indices, 0, 3)
    assert kernel is not None
    got, workers = np.ones_like(want), Workers(3)
    kernel.run([x, indices], [got], np.zeros(0, np.uint8), workers)
    workers.close()
    np.testing.assert_array_equal(got, want)


def test_nothing_and_small_indices_are_declined():
    assert kernel_of(np.ones((3, 2)), np.zeros(0, np.int64), 0)[0] is None
    assert kernel_of(np.ones((3, 2)), np.zeros(2, np.int8), 0)[0] is None


NODES = Node("Relu", "r", ("x",), ("h",)), Node("Gather", "take", ("h", "i"), ("y",))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("wrong", [3, -4, 1 << 40])
def test_an_index_outside_is_refused_as_ever(wrong, threads):
    inputs = Value("x", TensorType("float32", (3, 4))), Value("i", TensorType("int64", ("n",)))
    graph = Graph("g", inputs, (Value("y", TensorType("float32", ("n", 4))),), NODES, {}, {})
    x, right = np.arange(12, dtype=np.float32).reshape(3, 4), np.array([2, -3])
    said = rf"node 'take' \(Gather\): index {wrong} is out of range for an axis of size 3"
    with Model(graph, threads=threads) as model:
        for _ in range(3):
            np.testing.assert_array_equal(model.run({"x": x, "i": right})["y"], x[right])
            for _ in range(2):
                with pytest.raises(PlanError, match=said):
                    model.run({"x": x, "i": np.array([0, wrong])})
            with pytest.raises(PlanError, match=said):
                model.trace({"x": x, "i": np.array([0, wrong])})


def test_one_known_index_takes_no_step():
    graph = Graph(
        "g",
        (Value("x", TensorType("float32", (1, 3, 4))),),
        (Value("y", TensorType("float32", (1, 4))),),
        (
            Node("Relu", "r", ("x",), ("h",)),
            Node("Gather", "g", ("h", "i"), ("g",), {"axis": 1}),
            Node("Abs", "a", ("g",), ("y",)),
        ),
        {"i": DenseTensor.of(np.array(-1))},
        {},
    )
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    with Model(graph, threads=1) as model:
        np.testing.assert_array_equal(model.run({"x": x})["y"], x[:, -1])
        assert [step.node.op_type for step in model.plan().steps] == ["Relu", "Abs"]
