"""Fully connected layers expect zeros in what comes from a rectifier, and take the other activations one by one."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.graph import Node
from tersor.runtime.model import Model
from tests.runtime.plan.small_graphs import floats, graph, ints, kernels, node

SIX = {"low": np.float32(0), "high": np.float32(6)}
POOL = node("MaxPool", "r", "m", kernel_shape=(1, 1))


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("Relu", "x", "v")], "columns"),
        ([node("Relu", "x", "r"), POOL, node("Reshape", "m to", "v")], "columns"),
        ([node("Conv", "x k", "r"), node("Clip", "r low high", "m"), node("Reshape", "m to", "v")], "columns"),
        ([node("Conv", "x k", "r"), node("HardSwish", "r", "m"), node("Reshape", "m to", "v")], "rows"),
        ([node("Identity", "x", "v")], "rows"),
        ([node("Neg", "x", "v")], "rows"),
        ([node("Relu", "x", "r"), node("Exp", "r", "m"), node("Reshape", "m to", "v")], "rows"),
        ([node("Neg", "x", "r"), POOL, node("Reshape", "m to", "v")], "rows"),
    ],
)
def test_layers_after_a_rectifier(nodes: list[Node], expected: str):
    shape = (1, 64) if nodes[0].inputs == ("x",) and len(nodes) == 1 else (1, 1, 8, 8)
    weights = np.where(np.random.default_rng(0).random((64, 64)) < 0.2, floats(64, 64), np.float32(0))
    last = node("MatMul", "v w", "y")
    g = graph([*nodes, last], {"x": shape}, ["y"], w=weights, to=ints(1, 64), k=floats(1, 1, 1, 1), **SIX)
    with Model(g, threads=1) as model:
        assert kernels(model.plan())[-1] == f"MatMul: {expected} float32"
