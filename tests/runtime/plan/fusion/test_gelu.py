"""GELU written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tersor.format_spec.graph import Graph, Node
from tests.runtime.plan.small_graphs import check, floats, graph, kernels, node

SHAPE = (2, 3, 8)
X = {"x": 2 * floats(*SHAPE)}
TENSORS = {
    "root": np.float32(2**0.5), "inner": np.float32((2 / np.pi) ** 0.5), "cube": np.float32(0.044715),
    **{name: np.float32(n) for name, n in (("half", 0.5), ("one", 1), ("two", 2), ("three", 3), ("less", 0.5**0.5))},
}  # fmt: skip

ERF = [node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "e one", "g")]
TANH = [
    node("Pow", "x three", "p"), node("Mul", "p cube", "c"), node("Add", "x c", "s"), node("Mul", "s inner", "d"),
    node("Tanh", "d", "e"), node("Add", "e one", "g"),
]  # fmt: skip
END = [node("Mul", "x g", "m"), node("Mul", "m half", "y")]


def changed(nodes: list[Node], **others: Node) -> list[Node]:
    """``nodes``, those that give some names replaced."""
    return [others.get(n.outputs[0], n) for n in nodes]


def made(nodes: list[Node], outputs: str = "y", **tensors: np.ndarray) -> Graph:
    """A graph of ``x``."""
    return graph(nodes, {"x": SHAPE}, outputs.split(), **{**TENSORS, **tensors})


WRITTEN = {
    "quotient": [*ERF, *END],
    "product": [*changed(ERF, d=node("Mul", "less x", "d"), g=node("Add", "one e", "g")), *END],
    "half of x": [*ERF, node("Mul", "x half", "m"), node("Mul", "m g", "y")],
    "half of the sum": [*ERF, node("Mul", "half g", "m"), node("Mul", "x m", "y")],
    "tanh": [*TANH, *END],
    "tanh turned": [*changed(TANH, s=node("Add", "c x", "s"), d=node("Mul", "inner s", "d")), *END],
    "tanh of products": [
        node("Mul", "x x", "q"),
        node("Mul", "q x", "p"),
        *TANH[1:],
        node("Mul", "half x", "m"),
        node("Mul", "m g", "y"),
    ],
    "tanh of a scaled product": [node("Mul", "x cube", "k"), node("Mul", "k x", "q"), node("Mul", "q x", "c"), *TANH[2:], *END],
}


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("value", [0, np.nan, np.inf, -np.inf, -0.0, 100, -100])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_gelu_written_out_is_a_step(name, value):
    x = X["x"].copy()
    x[0, 0, 0] = value
    rows = list(check(made(WRITTEN[name]), {"x": x}).rows())
    assert [row.op for row in rows] == ["Gelu"]
    assert ("tanh" in rows[0].kernel) == name.startswith("tanh")


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1)])
def test_numbers_may_have_axes(shape):
    tensors: dict[str, Any] = {name: np.full(shape, number) for name, number in TENSORS.items()}
    assert kernels(check(made(WRITTEN["tanh"], **tensors), X)) == ["Gelu: gelu through tanh"]
    wide: dict[str, Any] = {name: np.full((1, 1, 1, 1), number) for name, number in TENSORS.items()}
    assert "Gelu: gelu through tanh" not in kernels(check(made(WRITTEN["tanh"], **wide), X))


def test_what_is_made_of_sums_and_products_is_one():
    nodes = [
        node("Add", "x half", "a"),
        node("Mul", "a half", "b"),
        *[Node(n.op_type, n.name, tuple("b" if i == "x" else i for i in n.inputs), n.outputs) for n in (*ERF, *END)],
    ]
    assert [row.op for row in check(made(nodes), X).rows()] == ["Add", "Mul", "Gelu"]


@pytest.mark.parametrize("name", ["d", "e", "g", "m"])
def test_what_somebody_else_reads_stays(name):
    assert "Gelu" not in " ".join(kernels(check(made([*ERF, *END], outputs=f"y {name}"), X)))


@pytest.mark.parametrize("name", ["p", "c", "s"])
def test_what_somebody_else_reads_of_a_cubic_stays(name):
    assert "Gelu" not in " ".join(kernels(check(made([*TANH, *END], outputs=f"y {name}"), X)))


@pytest.mark.parametrize(
    "nodes",
    [
        changed([*ERF, *END], d=node("Div", "x two", "d")),
        changed([*ERF, *END], d=node("Div", "root x", "d")),
        changed([*ERF, *END], g=node("Add", "e two", "g")),
        changed([*ERF, *END], e=node("Tanh", "d", "e")),
        changed([*ERF, *END], y=node("Mul", "m two", "y")),
        changed([*ERF, *END], y=node("Mul", "m x", "y")),
        changed([*ERF, *END], m=node("Mul", "g g", "m")),
        changed([*TANH, *END], p=node("Pow", "x two", "p")),
        changed([*TANH, *END], c=node("Mul", "p half", "c")),
        changed([*TANH, *END], d=node("Mul", "s half", "d")),
        changed([*TANH, *END], e=node("Erf", "d", "e")),
        [*ERF, node("Mul", "x w", "h"), node("Mul", "h g", "y")],
        [*ERF, node("Relu", "x", "z"), node("Mul", "z g", "m"), node("Mul", "m half", "y")],
        [*ERF, node("Mul", "g half", "y")],
    ],
)
def test_others_stay(nodes):
    assert "Gelu" not in " ".join(kernels(check(made(nodes, w=np.full(8, 0.5, np.float32)), {"x": np.abs(X["x"]) + 0.5})))


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("name", ["one", "half", "root", "cube", "inner", "three"])
def test_numbers_have_as_many_axes_as_what_they_meet_at_most(name, rank):
    nodes = WRITTEN["quotient" if name == "root" else "tanh"]
    plan = check(made(nodes, "y", **{name: np.reshape(TENSORS[name], (1,) * rank)}), X)
    assert ([row.op for row in plan.rows()] == ["Gelu"]) == (rank <= len(SHAPE))
