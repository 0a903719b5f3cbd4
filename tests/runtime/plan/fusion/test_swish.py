"""Swish written out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.plan.small_graphs import check, floats, graph, kernels, node

SHAPE = (2, 3, 8)
X = {"x": 4 * floats(*SHAPE)}
TENSORS = {"two": np.float32(2), "twos": np.full(8, 2, np.float32)}
SILU = [node("Sigmoid", "x", "s"), node("Mul", "x s", "y")]
SCALED = [node("Mul", "x two", "t"), node("Sigmoid", "t", "s"), node("Mul", "s x", "y")]


def made(nodes, outputs="y"):
    """A graph of ``x``."""
    return graph(nodes, {"x": SHAPE}, outputs.split(), **TENSORS)


@pytest.mark.parametrize("nodes", [SILU, SCALED, [node("Div", "x two", "t"), *SCALED[1:]]])
@pytest.mark.parametrize("value", [0, np.nan, np.inf, -np.inf, 100, -100])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_swish_written_out_is_a_step(nodes, value):
    x = X["x"].copy()
    x[0, 0, 0] = value
    assert kernels(check(made(nodes), {"x": x})) == ["Swish: swish"]


@pytest.mark.parametrize("inputs", ["s g", "g s"])
def test_a_gate_of_a_gate(inputs):
    plan = check(made([SILU[0], node("Sigmoid", "s", "g"), node("Mul", inputs, "y")]), X)
    assert [row.op for row in plan.rows()] == ["Sigmoid", "Swish"]


@pytest.mark.parametrize(("nodes", "name"), [(SILU, "s"), (SCALED, "s"), (SCALED, "t")])
def test_what_somebody_else_reads_stays(nodes, name):
    assert "Swish" not in " ".join(kernels(check(made(nodes, f"y {name}"), X)))


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Tanh", "x", "s"), SILU[1]],
        [SILU[0], node("Mul", "s s", "y")],
        [SILU[0], node("Div", "x s", "y")],
        [node("Relu", "x", "z"), SILU[0], node("Mul", "z s", "y")],
        [node("Relu", "x", "z"), node("Mul", "z two", "t"), *SCALED[1:]],
        [node("Mul", "x twos", "t"), *SCALED[1:]],
        [node("Add", "x two", "t"), *SCALED[1:]],
        [node("Mul", "x two", "t"), node("Sigmoid", "t", "s"), node("Mul", "s two", "y")],
    ],
)
def test_others_stay(nodes):
    assert "Swish" not in " ".join(kernels(check(made(nodes), X)))
