"""Normalisation of layers written out."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.graph import Graph, Node
from tests.runtime.plan.small_graphs import check, floats, graph, ints, kernels, node

SHAPE = (2, 3, 8)
X = {"x": floats(*SHAPE)}
TENSORS = {
    "axes": ints(-1), "one": np.float32(1), "two": np.float32(2), "e": np.float32(0.01), "w": floats(8), "b": floats(8),
}  # fmt: skip

SQUARE = node("Pow", "d two", "q")
MEAN = [node("ReduceMean", "q axes", "v"), node("Add", "v e", "a"), node("Sqrt", "a", "s")]
CENTRE = [node("ReduceMean", "x axes", "m"), node("Sub", "x m", "d")]
QUOTIENT = [node("Div", "d s", "n")]
PRODUCT = [node("Reciprocal", "s", "r"), node("Mul", "d r", "n")]
FACTORS = [node("Mul", "n w", "k"), node("Add", "k b", "y")]
LAYER = [*CENTRE, SQUARE, *MEAN, *QUOTIENT, *FACTORS]


def changed(nodes: list[Node], **others: Node) -> list[Node]:
    """``nodes``, those that give some names replaced."""
    return [others.get(n.outputs[0], n) for n in nodes]


def made(nodes: list[Node], outputs: str = "y", **tensors: np.ndarray) -> Graph:
    """A graph of ``x``."""
    return graph(nodes, {"x": SHAPE}, outputs.split(), **{**TENSORS, **tensors})


def uncentred(nodes: list[Node]) -> list[Node]:
    """The same of ``x`` itself, scaled only."""
    names = {"d": "x", "k": "y"}
    kept = [n for n in nodes if n not in CENTRE and n.outputs[0] != "y"]
    renamed = [tuple(names.get(name, name) for name in group) for n in kept for group in (n.inputs, n.outputs)]
    return [Node(n.op_type, n.name, *pair) for n, pair in zip(kept, zip(renamed[::2], renamed[1::2], strict=True), strict=True)]


WRITTEN = {
    "quotient": LAYER,
    "product": [*CENTRE, SQUARE, *MEAN, *PRODUCT, *FACTORS],
    "one over the root": [*CENTRE, SQUARE, *MEAN, *changed(PRODUCT, r=node("Div", "one s", "r")), *FACTORS],
    "times itself": changed(LAYER, q=node("Mul", "d d", "q")),
    "turned": changed(LAYER, a=node("Add", "e v", "a"), k=node("Mul", "w n", "k"), y=node("Add", "b k", "y")),
}


@pytest.mark.parametrize("nodes", WRITTEN.values(), ids=WRITTEN)
def test_a_normalisation_written_out_is_a_step(nodes):
    assert kernels(check(made(nodes), X)) == ["LayerNormalization: standardise rows"]


@pytest.mark.parametrize("nodes", WRITTEN.values(), ids=WRITTEN)
def test_one_by_the_root_mean_square_is_a_step(nodes):
    assert kernels(check(made(uncentred(nodes)), X)) == ["RMSNormalization: standardise rows"]


def test_the_last_axis_has_two_numbers_and_epsilon_may_be_a_vector():
    assert len(check(made(LAYER, axes=ints(2), e=floats(1) ** 2), X).steps) == 1


def test_no_shift():
    nodes = changed(LAYER[:-1], k=node("Mul", "n w", "y"))
    assert kernels(check(made(nodes), X)) == ["LayerNormalization: standardise rows"]


def test_what_else_is_added_stays_a_step():
    assert len(check(made(LAYER, b=floats(3, 8)), X).steps) == 2


@pytest.mark.parametrize("name", ["m", "d", "q", "v", "a", "s", "n"])
def test_what_somebody_else_reads_stays(name):
    assert len(check(made(LAYER, outputs=f"y {name}"), X).steps) > 5


@pytest.mark.parametrize(
    "tensors",
    [
        {"axes": ints(1)},
        {"axes": ints(1, 2)},
        {"two": np.float32(3)},
        {"w": floats(1)},
        {"w": floats(3, 8)},
        {"e": floats(8) ** 2},
    ],
    ids=["axis", "axes", "power", "one scale", "scales", "epsilons"],
)
def test_others_stay(tensors):
    x = {"x": np.abs(X["x"])}
    nodes = changed(LAYER, q=node("Pow", "x two", "q")) if "two" in tensors else LAYER
    assert len(check(made(nodes, **tensors), x).steps) > 5


def test_a_difference_from_another_mean_stays():
    nodes = [node("Relu", "x", "z"), *changed(LAYER, m=node("ReduceMean", "z axes", "m"))]
    plan = check(made(nodes), X)
    assert [row.op for row in plan.rows()] == ["Relu", "ReduceMean", "Sub", "RMSNormalization", "Add"]


@pytest.mark.parametrize("square", [node("Pow", "x two", "q"), node("Mul", "d x", "q")])
def test_squares_of_something_else_stay(square):
    nodes = changed(LAYER, q=square, a=node("Add", "v big", "a"))
    assert len(check(made(nodes, big=np.full(1, 99, np.float32)), X).steps) > 5


def test_another_number_over_the_root_stays():
    nodes = [*CENTRE, SQUARE, *MEAN, *changed(PRODUCT, r=node("Div", "two s", "r")), *FACTORS]
    assert len(check(made(nodes), X).steps) > 5


def test_means_whose_axis_is_gone_stay():
    nodes = changed(LAYER, v=node("ReduceMean", "q axes", "v", keepdims=0))
    g = graph(nodes, {"x": (8, 8)}, ["y"], **TENSORS)
    assert len(check(g, {"x": floats(8, 8)}).steps) > 5


def test_constants_that_are_inputs_stay():
    g = graph(LAYER, {"x": SHAPE, "w": (8,)}, ["y"], **{name: a for name, a in TENSORS.items() if name != "w"})
    assert len(check(g, {**X, "w": floats(8)}).steps) > 5


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("name", ["e", "two", "one"])
def test_numbers_have_as_many_axes_as_what_they_meet_at_most(name, rank):
    number = np.reshape(TENSORS[name], (1,) * rank)
    plan = check(made(WRITTEN["one over the root"], "y", **{name: number}), X)
    assert (kernels(plan) == ["LayerNormalization: standardise rows"]) == (rank <= len(SHAPE))
