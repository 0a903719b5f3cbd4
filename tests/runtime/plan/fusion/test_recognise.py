"""What is left out before and while several nodes are read as one."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.graph import TensorType
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
