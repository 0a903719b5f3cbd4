"""What is left out before and while several nodes are read as one."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.graph import TensorType
from tests.runtime.plan.fusion import test_gelu, test_hard, test_swish
from tests.runtime.plan.small_graphs import check, floats, graph, node

X = {"x": floats(2, 3)}


def ops(nodes, outputs="y", **inputs):
    """The operators of the plan's steps, whose answers are the nodes'."""
    x = {**X, **inputs}
    types = {name: TensorType(str(a.dtype), a.shape) for name, a in x.items()}
    return [row.op for row in check(graph(nodes, types, outputs.split()), x).rows()]


def test_a_cast_to_the_same_type_takes_no_step():
    nodes = [node("Cast", "x", "a", to=1), node("Relu", "a", "b"), node("Cast", "b", "c", to=1), node("Cast", "c", "d", to=1)]
    assert ops([*nodes, node("Exp", "d", "y")]) == ["Relu", "Exp"]


def test_one_that_is_an_output_is_made():
    nodes = [node("Relu", "x", "a"), node("Cast", "a", "b", to=1), node("Exp", "b", "y")]
    assert ops(nodes, "b y") == ["Relu", "Cast", "Exp"]


@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_one_to_another_type_is_made(dtype):
    nodes = [node("Cast", "z", "a", to=1), node("Add", "a x", "y")]
    assert ops(nodes, z=X["x"].astype(dtype)) == ["Cast", "Add"]


WRITTEN = {
    **{f"gelu, {name}": nodes for name, nodes in test_gelu.WRITTEN.items()},
    **{f"hard swish, {name}": nodes for name, nodes in test_hard.WRITTEN.items()},
    "hard sigmoid": test_hard.SIGMOID,
    "swish": test_swish.SILU,
    "swish of a multiple": test_swish.SCALED,
}
NUMBERS = {**test_gelu.TENSORS, **test_hard.TENSORS, **test_swish.TENSORS}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_no_float32_stays(name):
    """Numbers are known as float64, too, but a kernel computes in float32."""
    doubles = {name: np.float64(number) for name, number in NUMBERS.items()}
    x = np.abs(X["x"]).astype(np.float64)
    g = graph(WRITTEN[name], {"x": TensorType("float64", x.shape)}, ["y"], **doubles)
    assert [row.op for row in check(g, {"x": x}).rows()] == [n.op_type for n in WRITTEN[name]]


@pytest.mark.parametrize("name", WRITTEN)
def test_what_has_a_shape_that_comes_with_the_run_stays(name):
    nodes = [node("NonZero", "z", "n"), node("Cast", "n", "x", to=1), *WRITTEN[name]]
    rows = check(graph(nodes, {"z": (2, 3)}, ["y"], **NUMBERS), {"z": X["x"]}).rows()
    assert [row.op for row in rows] == [n.op_type for n in nodes]
