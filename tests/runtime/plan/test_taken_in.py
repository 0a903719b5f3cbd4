"""Kernels that do the step too which alone reads their output."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.runtime.model import Model
from tests.runtime.plan.small_graphs import check, floats, graph, interpret, node


@pytest.mark.parametrize(
    ("nodes", "outputs", "ops"),
    [
        ([node("MaxPool", "r", "y", kernel_shape=(3, 3), strides=(2, 2))], "y", ["Conv + Relu + MaxPool"]),
        ([node("AveragePool", "r", "y", kernel_shape=(2, 2), strides=(2, 2))], "y", ["Conv + Relu + AveragePool"]),
        ([node("MaxPool", "r", "y", kernel_shape=(3, 3))], "y r", ["Conv + Relu", "MaxPool"]),
        ([node("MaxPool", "r", "y", kernel_shape=(3, 3)), node("Neg", "r", "z")], "y z", ["Conv + Relu", "MaxPool", "Neg"]),
        ([node("MaxPool", "r", "y i", kernel_shape=(3, 3))], "y i", ["Conv + Relu", "MaxPool"]),
        ([node("Identity", "r", "v"), node("MaxPool", "v", "y", kernel_shape=(3, 3))], "y", ["Conv + Relu", "MaxPool"]),
        ([node("Softmax", "r", "y")], "y", ["Conv + Relu", "Softmax"]),
    ],
    ids=["maximum", "average", "output", "two-readers", "indices", "view", "other"],
)
def test_a_dense_convolution_takes_in_the_pool_that_alone_reads_it(monkeypatch, nodes, outputs, ops):
    monkeypatch.setattr("tersor.runtime.kernels.conv.dense.pooled.FAR", 0)
    first = [node("Conv", "x w", "c", strides=(2, 2)), node("Relu", "c", "r")]
    g = graph([*first, *nodes], {"x": (2, 3, 63, 63)}, outputs.split(), w=floats(32, 3, 3, 3))
    plan = check(g, {"x": floats(2, 3, 63, 63)}, threads=2)
    assert [row.op for row in plan.rows()] == ops
    assert [" of dense" in row.kernel for row in plan.rows()] == [len(ops) == 1, *[False] * (len(ops) - 1)]


@pytest.mark.parametrize(
    ("last", "size", "ops"),
    [
        (node("GlobalAveragePool", "r", "y"), 9, ["Conv + Relu + GlobalAveragePool"]),
        (node("AveragePool", "r", "y", kernel_shape=(9, 9)), 9, ["Conv + Relu + AveragePool"]),
        (node("AveragePool", "r", "y", kernel_shape=(8, 8)), 9, ["Conv + Relu", "AveragePool"]),
        (node("MaxPool", "r", "y", kernel_shape=(9, 9)), 9, ["Conv + Relu", "MaxPool"]),
        (node("GlobalAveragePool", "r", "y"), 28, ["Conv + Relu", "GlobalAveragePool"]),
    ],
    ids=["mean", "whole-window", "part", "maximum", "several-tiles"],
)
def test_a_sparse_convolution_takes_in_the_mean_of_its_channels(last, size, ops):
    w = floats(70, 24, 1, 1)
    w[np.random.default_rng(0).random(w.shape) < 0.7] = 0
    g = graph([node("Conv", "x w", "c"), node("Relu", "c", "r"), last], {"x": (2, 24, size, size)}, ["y"], w=w)
    plan = check(g, {"x": floats(2, 24, size, size)}, threads=2)
    assert [row.op for row in plan.rows()] == ops
    assert plan.steps[0].kernel.name.startswith("conv mean of flat") == (len(ops) == 1)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize(
    ("axes", "size", "kernels"),
    [
        ((2, 3), 9, ["conv mean of flat"]),
        ((-1, -2), 9, ["conv mean of flat"]),
        ((3, 2), 28, ["conv", "mean of rows"]),
        ((3,), 9, ["conv", "mean of rows"]),
        ((1, 2, 3), 9, ["conv", "mean of rows"]),
        ((), 9, ["conv", "mean of rows"]),
        ((2,), 9, ["conv", "sums"]),
    ],
)
def test_a_mean_over_the_spatial_axes_is_that_of_planes(axes, size, kernels, keepdims):
    w = floats(70, 24, 1, 1)
    w[np.random.default_rng(0).random(w.shape) < 0.7] = 0
    nodes = [node("Conv", "x w", "c"), node("Relu", "c", "r"), node("ReduceMean", "r axes", "y", keepdims=keepdims)]
    g = graph(nodes, {"x": (2, 24, size, size)}, ["y"], w=w, axes=np.array(axes, np.int64))
    names = [step.kernel.name for step in check(g, {"x": floats(2, 24, size, size)}, threads=2).steps]
    assert [name.startswith(wanted) for name, wanted in zip(names, kernels, strict=True)] == [True] * len(kernels)


@pytest.mark.parametrize(
    ("window", "residual", "ops"),
    [
        ({"kernel_shape": (2, 2), "strides": (2, 2)}, False, ["Conv + Relu + MaxPool"]),
        ({"kernel_shape": (2, 2), "strides": (2, 2), "ceil_mode": 1}, False, ["Conv + Relu", "MaxPool"]),
        ({"kernel_shape": (2, 2), "strides": (2, 1)}, False, ["Conv + Relu", "MaxPool"]),
        ({"kernel_shape": (2, 2), "strides": (2, 2), "pads": (1, 1, 0, 0)}, False, ["Conv + Relu", "MaxPool"]),
        ({"kernel_shape": (3, 3), "strides": (2, 2)}, False, ["Conv + Relu", "MaxPool"]),
        ({"kernel_shape": (2, 2), "strides": (2, 2)}, True, ["Conv + Add + Relu", "MaxPool"]),
    ],
    ids=["beside", "ceil", "overlapping", "padded", "larger", "residual"],
)
def test_winograds_method_takes_in_maxima_of_two_by_two(window, residual, ops):
    first = [node("Conv", "x w", "c", pads=(1, 1, 1, 1))]
    first += [node("Add", "c x", "a"), node("Relu", "a", "r")] if residual else [node("Relu", "c", "r")]
    w = np.float32(0.05) * floats(32, 32, 3, 3)
    g = graph([*first, node("MaxPool", "r", "y", **window)], {"x": (1, 32, 29, 31)}, ["y"], w=w)
    plan = check(g, {"x": floats(1, 32, 29, 31)}, threads=2)
    assert [row.op for row in plan.rows()] == ops
    assert plan.steps[0].kernel.name.startswith("conv max of winograd" if len(ops) == 1 else "conv winograd")


def test_a_value_that_a_body_reads_is_not_taken_in(monkeypatch):
    monkeypatch.setattr("tersor.runtime.kernels.conv.dense.pooled.FAR", 0)
    values = [(Value(name, TensorType("float32", None)),) for name in ("o", "a")]
    inner = Graph("inner", (), values[0], (node("Neg", "r", "o"),), {})
    choice = {"then_branch": inner, "else_branch": inner}
    nested = Graph("nested", (), values[1], (Node("If", "again", ("k",), ("a",), choice),), {})
    nodes = [
        node("Conv", "x w", "c", strides=(2, 2)), node("Relu", "c", "r"), node("MaxPool", "r", "y", kernel_shape=(2, 2)),
        Node("If", "choice", ("k",), ("z",), {"then_branch": nested, "else_branch": nested}),
    ]  # fmt: skip
    g = graph(nodes, {"x": (1, 3, 63, 63), "k": TensorType("bool", ())}, ["y", "z"], w=floats(32, 3, 3, 3))
    x = {"x": floats(1, 3, 63, 63)}
    (rectified,) = interpret(graph(nodes[:2], {"x": (1, 3, 63, 63)}, ["r"], w=g.initializers["w"].dense()), x)
    with Model(g, threads=1) as model:
        got = model.run({**x, "k": np.array(True)})
        assert [row.op for row in model.plan({"x": (1, 3, 63, 63), "k": ()}).rows()][:2] == ["Conv + Relu", "MaxPool"]
    np.testing.assert_allclose(got["z"], -rectified, rtol=1e-4, atol=1e-4)
