"""Elements written or combined by index against the reference, and what becomes of an index that is outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.kernels.strided.scatter import REDUCTIONS, lower_scatter
from tersor.runtime.model import Model
from tersor.runtime.ops.scatter import scatter_elements
from tersor.runtime.orders.workers import Workers


def kernel_of(
    x: np.ndarray, indices: np.ndarray, updates: np.ndarray, axis: int, reduction: str = "add", threads: int = 1
) -> Kernel | None:
    types = tuple((a.dtype, a.shape) for a in (x, indices, updates))
    node = Node("ScatterElements", "s", ("x", "i", "u"), ("y",), {"axis": axis, "reduction": reduction})
    return lower_scatter(Site(node, types, ((x.dtype, x.shape),), threads=threads))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@given(
    size=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    axis=st.integers(-4, 3),
    count=st.integers(1, 9),
    index=st.sampled_from([np.int32, np.int64]),
    odd=st.booleans(),
)
def test_elements(threads, reduction, size, axis, count, index, odd):
    axis = axis % len(size) - (len(size) if axis < 0 else 0)
    n, rng = size[axis], np.random.default_rng(0)
    places = [*size]
    places[axis] = min(count, n) if reduction == "none" else count
    x, updates = rng.standard_normal(size).astype(np.float32), rng.standard_normal(places).astype(np.float32)
    if odd:
        x.flat[0], updates.flat[-1] = np.nan, np.nan
    indices = rng.integers(-n, n, places)
    if reduction == "none":
        indices = rng.permuted(np.broadcast_to(np.arange(n), np.moveaxis(x, axis, -1).shape), axis=-1)
        indices = np.moveaxis(indices[..., : places[axis]], -1, axis) - n * (indices.sum() % 2)
    kernel = kernel_of(x, indices.astype(index), updates, axis, reduction, threads)
    assert kernel is not None
    got = np.ones_like(x)
    kernel.run([x, np.ascontiguousarray(indices, index), updates], [got], np.zeros(0, np.uint8), Workers(1))
    with np.errstate(invalid="ignore"):
        want = scatter_elements.reference(x, indices, updates, axis=axis, reduction=reduction)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("axis", [0, 1])
def test_many_elements_on_threads(axis):
    rng = np.random.default_rng(0)
    x, updates = rng.standard_normal((60, 300)).astype(np.float32), rng.standard_normal((60, 300)).astype(np.float32)
    indices = rng.integers(-60, 60, updates.shape)
    kernel = kernel_of(x, indices, updates, axis, threads=3)
    assert kernel is not None
    got, workers = np.ones_like(x), Workers(3)
    kernel.run([x, indices, updates], [got], np.zeros(0, np.uint8), workers)
    workers.close()
    np.testing.assert_array_equal(got, scatter_elements.reference(x, indices, updates, axis=axis, reduction="add"))


def test_what_is_no_float32_or_leaves_columns_out_is_declined():
    x, indices = np.ones((3, 4), np.float32), np.zeros((2, 4), np.int64)
    updates = np.ones((2, 4), np.float32)
    assert kernel_of(x, indices, updates, 0) is not None
    assert kernel_of(x, indices, updates, 1) is None
    assert kernel_of(x, indices[:, :3], updates[:, :3], 0) is None
    assert kernel_of(x, indices[:0], updates[:0], 0) is None
    assert kernel_of(x.astype(np.float64), indices, updates.astype(np.float64), 0) is None
    assert kernel_of(x, indices.astype(np.uint8), updates, 0) is None


NODES = Node("Relu", "r", ("x",), ("h",)), Node("ScatterElements", "put", ("h", "i", "u"), ("y",), {"reduction": "add"})


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("wrong", [3, -4, 1 << 40])
def test_an_index_outside_is_refused_as_ever(wrong, threads):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    types = {"x": TensorType("float32", (3, 4)), "i": TensorType("int64", ("n", 4)), "u": TensorType("float32", ("n", 4))}
    graph = Graph("g", tuple(Value(*item) for item in types.items()), (Value("y", types["x"]),), NODES, {}, {})
    right, updates = np.array([[2, -3, 0, 1], [2, 2, 2, 2]]), np.ones((2, 4), np.float32)
    want = scatter_elements.reference(x, right, updates, reduction="add")
    bad = right.copy()
    bad[1, 3] = wrong
    said = rf"node 'put' \(ScatterElements\): index {wrong} is out of range for an axis of size 3"
    with Model(graph, threads=threads) as model:
        for _ in range(2):
            np.testing.assert_array_equal(model.run({"x": x, "i": right, "u": updates})["y"], want)
            with pytest.raises(PlanError, match=said):
                model.run({"x": x, "i": bad, "u": updates})


@pytest.mark.parametrize(("axis", "shape"), [(2, (3, 4)), (-3, (3, 4)), (0, ())])
def test_an_axis_that_there_is_not_is_refused(axis, shape):
    types = {"x": TensorType("float32", shape), "i": TensorType("int64", shape), "u": TensorType("float32", shape)}
    node = Node("ScatterElements", "put", tuple(types), ("y",), {"axis": axis})
    graph = Graph("g", tuple(Value(*item) for item in types.items()), (Value("y", types["x"]),), (node,), {}, {})
    x = np.ones(shape, np.float32)
    said = rf"node 'put' \(ScatterElements\): axis {axis} is out of range for {len(shape)} axes"
    with Model(graph, threads=1) as model, pytest.raises(PlanError, match=said):
        model.run({"x": x, "i": np.zeros(shape, np.int64), "u": x})
