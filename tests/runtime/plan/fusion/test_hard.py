"""HardSigmoid and HardSwish written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Graph, Node
from tests.runtime.plan.fusion.test_gelu import changed
from tests.runtime.plan.small_graphs import check, floats, graph, kernels, node

SHAPE = (2, 3, 8)
X = {"x": 4 * floats(*SHAPE)}
TENSORS = {
    name: np.float32(n)
    for name, n in (
        ("zero", 0),
        ("half", 0.5),
        ("one", 1),
        ("three", 3),
        ("six", 6),
        ("third", 1 / 3),
        ("sixth", 1 / 6),
        ("fifth", 0.2),
    )
}

CLIP = [node("Add", "x three", "a"), node("Clip", "a zero six", "c")]
SWISH = [*CLIP, node("Mul", "x c", "m"), node("Div", "m six", "y")]
RAMP = [node("Mul", "x sixth", "s"), node("Add", "s half", "a"), node("Clip", "a zero one", "c")]
SIGMOID = [*CLIP, node("Div", "c six", "y")]
EXACT = {"alpha": 1 / 6, "beta": 0.5}


def made(nodes: list[Node], outputs: str = "y", **tensors: np.ndarray) -> Graph:
    """A graph of ``x``."""
    return graph(nodes, {"x": SHAPE}, outputs.split(), **{**TENSORS, **tensors})


WRITTEN = {
    "quotient of the product": SWISH,
    "turned": [node("Add", "three x", "a"), CLIP[1], node("Mul", "c x", "m"), node("Mul", "sixth m", "y")],
    "quotient of the bounds": [*CLIP, node("Div", "c six", "m"), node("Mul", "m x", "y")],
    "part of x": [*CLIP, node("Mul", "x sixth", "m"), node("Mul", "m c", "y")],
    "part of two numbers": [*CLIP, node("Mul", "c half", "h"), node("Mul", "h third", "t"), node("Mul", "t x", "y")],
    "up to one": [
        node("Mul", "x sixth", "s"),
        node("Add", "s half", "a"),
        node("Clip", "a zero one", "c"),
        node("Mul", "c x", "y"),
    ],
    "by the operator": [node("HardSigmoid", "x", "g", **EXACT), node("Mul", "x g", "y")],
    "by the operator, its own offset": [node("HardSigmoid", "x", "g", alpha=1 / 6), node("Mul", "x g", "y")],
    "by the operator, turned": [node("HardSigmoid", "x", "g", alpha=0.16666670143604279, beta=0.5), node("Mul", "g x", "y")],
}


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("value", [0, np.nan, np.inf, -np.inf, -0.0, 3, -3, 100, -100])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_hard_swish_written_out_is_a_step(name, value):
    x = X["x"].copy()
    x[0, 0, 0] = value
    assert [row.op for row in check(made(WRITTEN[name]), {"x": x}).rows()] == ["HardSwish"]


@pytest.mark.parametrize(
    "nodes",
    [
        SIGMOID,
        changed(SIGMOID, y=node("Mul", "sixth c", "y")),
        [node("Mul", "x fifth", "s"), node("Add", "half s", "a"), node("Clip", "a zero one", "y")],
        [node("Div", "x six", "s"), node("Add", "s half", "a"), node("Clip", "a zero one", "y")],
        [node("Add", "x half", "a"), node("Clip", "a zero one", "y")],
        [node("HardSigmoid", "x", "g"), node("Mul", "g one", "y")],
    ],
)
@pytest.mark.parametrize("value", [0, np.nan, np.inf, -np.inf, 100, -100])
def test_hard_sigmoid_written_out_is_a_step(nodes, value):
    x = X["x"].copy()
    x[0, 0, 0] = value
    assert [row.op for row in check(made(nodes), {"x": x}).rows()] == ["HardSigmoid"]


@given(
    st.floats(0.125, 8, width=32),
    st.floats(-1, 1, width=32),
    st.floats(0.125, 8, width=32),
    st.lists(st.floats(-50, 50, width=32)),
)
def test_any_slope_offset_and_top(slope, share, top, values):
    nodes = [
        node("Mul", "x slope", "s"),
        node("Add", "s offset", "a"),
        node("Clip", "a zero top", "c"),
        node("Div", "c top", "y"),
    ]
    tensors = {name: np.float32(n) for name, n in (("slope", slope), ("offset", share * top), ("top", top))}
    x = np.array([*values, 0], np.float32)
    g = graph(nodes, {"x": x.shape}, ["y"], zero=np.float32(0), **tensors)
    assert [row.op for row in check(g, {"x": x}).rows()] == ["HardSigmoid"]


@pytest.mark.parametrize("last", [node("Div", "c top", "y"), node("Mul", "c inverse", "y")])
def test_bounds_of_which_the_upper_one_is_below_the_lower_one_are_no_ramp(last):
    nodes = [CLIP[0], node("Clip", "a zero top", "c"), last]
    rows = check(made(nodes, top=np.array(-6, np.float32), inverse=np.array(-1 / 6, np.float32)), X).rows()
    assert [row.op for row in rows] == [each.op_type for each in nodes]


@pytest.mark.parametrize("name", ["a", "c", "m"])
def test_what_somebody_else_reads_stays(name):
    assert "HardSwish" not in " ".join(kernels(check(made(SWISH, outputs=f"y {name}"), X)))


@pytest.mark.parametrize("name", ["a", "c"])
def test_what_somebody_else_reads_of_a_sigmoid_stays(name):
    assert "HardSigmoid" not in " ".join(kernels(check(made(SIGMOID, outputs=f"y {name}"), X)))


def test_x_may_be_read_by_others():
    rows = check(made([*SWISH, node("Exp", "x", "z")], outputs="y z"), X).rows()
    assert [row.op for row in rows] == ["HardSwish", "Exp"]


@pytest.mark.parametrize(
    "nodes",
    [
        changed(SWISH, a=node("Add", "x half", "a")),
        changed(SWISH, c=node("Clip", "a zero three", "c")),
        changed(SWISH, c=node("Clip", "a one six", "c")),
        changed(SWISH, c=node("Clip", "a zero", "c")),
        changed(SWISH, y=node("Div", "m three", "y")),
        changed(SWISH, y=node("Div", "six m", "y")),
        changed(SWISH, m=node("Mul", "c c", "m")),
        changed(SWISH, m=node("Mul", "x x", "m")),
        changed(SWISH, a=node("Add", "x threes", "a")),
        changed(SWISH, c=node("Clip", "a zero top", "c")),
        [RAMP[0], node("Add", "s x", "a"), RAMP[2], node("Mul", "x c", "y")],
        changed(SWISH, y=node("Div", "m sixes", "y")),
        [node("Relu", "x", "z"), *changed(SWISH, m=node("Mul", "z c", "m"))],
        [node("HardSigmoid", "x", "g"), node("Mul", "x g", "y")],
        [node("HardSigmoid", "x", "g", alpha=0.2, beta=0.5), node("Mul", "x g", "y")],
    ],
)
def test_others_stay(nodes):
    tensors = {"threes": np.full(8, 3, np.float32), "sixes": np.full((1, 1, 8), 6, np.float32)}
    g = graph(nodes, {"x": SHAPE, "top": ()}, ["y"], **TENSORS, **tensors)
    x = {"x": np.abs(X["x"]) + 0.5, "top": np.array(6, np.float32)}
    assert "HardSwish" not in " ".join(kernels(check(g, x)))


def test_a_gate_of_a_gate():
    nodes = [node("HardSigmoid", "x", "h", alpha=0.3, beta=0.4), node("HardSigmoid", "h", "g", **EXACT)]
    for inputs in ("h g", "g h"):
        rows = check(made([*nodes, node("Mul", inputs, "y")]), X).rows()
        assert [row.op for row in rows] == ["HardSigmoid", "HardSwish"]


def test_sums_of_a_large_offset_stay():
    nodes = [node("Add", "x large", "a"), node("Clip", "a zero one", "y")]
    rows = check(made(nodes, large=np.array(1e6, np.float32)), {"x": np.full(SHAPE, -1e6 + 0.25, np.float32)}).rows()
    assert [row.op for row in rows] == ["Add", "Clip"]


def test_what_a_sum_makes_larger_is_another_shape():
    nodes = [node("Add", "s three", "a"), node("Clip", "a zero six", "c"), node("Mul", "s c", "m"), node("Div", "m six", "y")]
    g = graph(nodes, {"s": ()}, ["y"], zero=np.float32(0), six=np.float32(6), three=np.full(1, 3, np.float32))
    assert [row.op for row in check(g, {"s": np.array(2, np.float32)}).rows()] == ["Add", "Clip", "Mul", "Div"]


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["three", "six"])
def test_numbers_have_as_many_axes_as_what_they_meet_at_most(name, rank):
    nodes = [CLIP[0], node("Clip", "a zero top", "c"), *SWISH[2:]]
    g = made(nodes, "y", top=np.array(6, np.float32), **{name: np.reshape(TENSORS[name], (1,) * rank)})
    assert ([row.op for row in check(g, X).rows()] == ["HardSwish"]) == (rank <= len(SHAPE))
