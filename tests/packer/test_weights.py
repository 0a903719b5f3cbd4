from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tersor.format_spec.graph import Graph, Node
from tersor.packer.weights import Weight, find_weights
from tests.packer.parts import node, tensor, value


def weights(graph: Graph) -> dict[str, tuple[tuple[int, ...], str]]:
    """Rows and kind of the weights by name, which must be unique."""
    return {name: (weight.row_axes, weight.kind) for (_, name), weight in find_weights(graph).items()}


def test_weights_are_found_with_their_rows_and_kinds(graph: Graph):
    assert weights(graph) == {
        "conv1_w": ((0,), "conv"),
        "up_w": ((1,), "conv"),
        "fc6_w": ((0,), "fc"),
        "fc8_w": ((1,), "fc"),
        "small_w": ((1,), "fc"),
        "table": ((0,), "table"),
    }


@pytest.mark.parametrize(
    "extra",
    [
        node("Add", "fc6_w one", "z"),
        node("Gemm", "fc6_w c", "z"),
        node("MatMul", "c fc6_w", "z"),
    ],
    ids=["read as data", "read as the other operand", "read with other rows"],
)
def test_a_shared_tensor_is_a_weight_only_where_readers_agree(graph: Graph, extra: Node):
    assert "fc6_w" not in weights(replace(graph, nodes=(*graph.nodes, extra)))


def test_readers_that_agree_share_a_weight(graph: Graph):
    both = replace(graph, nodes=(*graph.nodes, node("Gemm", "c fc6_w", "z", transB=1), node("Gather", "fc6_w ids", "q")))
    assert weights(both)["fc6_w"] == ((0,), "fc")


def test_subgraphs_hold_weights_and_read_those_around_them(graph: Graph):
    body = Graph("body", (), (value("z"),), (node("MatMul", "e body_w", "z"),), {"body_w": tensor(50, 20)})
    branch = node("If", "flag", "r", then_branch=body)
    assert weights(replace(graph, nodes=(*graph.nodes, branch)))["body_w"] == ((1,), "fc")
    capture = replace(body, nodes=(*body.nodes, node("Add", "z fc8_w", "q")))
    branch = node("If", "flag", "r", then_branch=capture)
    assert "fc8_w" not in weights(replace(graph, nodes=(*graph.nodes, branch)))


@pytest.mark.parametrize("where", ["inputs", "outputs"])
def test_what_is_seen_from_outside_is_left_alone(graph: Graph, where: str):
    assert "fc8_w" not in weights(replace(graph, **{where: (*getattr(graph, where), value("fc8_w"))}))


def test_a_weight_is_seen_through_what_rearranges_it():
    nodes = (
        node("Transpose", "linear", "linear_t", perm=(1, 0)),
        node("MatMul", "x linear_t", "a"),
        node("Concat", "lstm_i lstm_f", "lstm_cut", axis=0),
        node("Unsqueeze", "lstm_cut axes", "lstm_w"),
        node("LSTM", "a lstm_w r", "h"),
        node("Transpose", "shown", "y", perm=(1, 0)),
        node("Transpose", "both", "both_t", perm=(1, 0)),
        node("Add", "both both_t", "z"),
        node("MatMul", "z both_t", "q"),
    )
    names = ("linear", "lstm_i", "lstm_f", "shown", "both")
    graph = Graph("g", (value("x"),), (value("h"), value("y"), value("q")), nodes, {name: tensor(40, 40) for name in names})
    assert weights(replace(graph, initializers={**graph.initializers, "r": tensor(1, 80, 20)})) == {
        "linear": ((0,), "fc"),
        "lstm_i": ((0,), "fc"),
        "lstm_f": ((0,), "fc"),
        "r": ((0, 1), "fc"),
    }


def test_tensors_without_nodes_are_taken_for_torch_s():
    graph = Graph("g", (), (), (), {"linear": tensor(40, 40), "conv": tensor(8, 8, 3), "bias": tensor(40)})
    assert weights(graph) == {
        "linear": ((0,), "fc"),
        "conv": ((0,), "conv"),
    }


def test_names_mean_what_their_scope_says():
    """``w`` is a matrix in one branch, a vector in the other, and around them what a node computes later."""
    matrix = Graph("then", (), (value("a"),), (node("MatMul", "x w", "a"),), {"w": tensor(40, 20)})
    vector = Graph("else", (), (value("b"),), (node("MatMul", "x w", "b"),), {"w": tensor(40)})
    nodes = (node("If", "flag", "y", then_branch=matrix, else_branch=vector), node("Relu", "x", "w"), node("Add", "x w", "z"))
    graph = Graph("g", (value("x"), value("flag")), (value("y"), value("z")), nodes)
    assert find_weights(graph) == {(matrix, "w"): Weight((1,), "fc")}


def test_branches_may_differ_in_how_they_see_a_name():
    rows, columns = (
        Graph(name, (), (value("a"),), (node("Gemm", "x w", "a", transB=turned),), {"w": tensor(40, 40)})
        for turned, name in enumerate(("columns", "rows"))
    )
    graph = Graph("g", (value("x"), value("f")), (value("y"),), (node("If", "f", "y", then_branch=rows, else_branch=columns),))
    assert find_weights(graph) == {(rows, "w"): Weight((1,), "fc"), (columns, "w"): Weight((0,), "fc")}


def test_a_tensor_that_a_branch_returns_is_left_alone(graph: Graph):
    branch = Graph("branch", (), (value("fc8_w"),), ())
    assert "fc8_w" not in weights(replace(graph, nodes=(*graph.nodes, node("If", "flag", "r", then_branch=branch))))


def test_long_and_branching_rearrangements_are_followed():
    """Every path from ``doubled`` to its reader, one after the other, would take 2 ** 5000 steps."""
    names = ["doubled", *(f"d{i}" for i in range(5000))]
    doubling = [node("Concat", f"{a} {a}", b, axis=0) for a, b in itertools.pairwise(names)]
    names = ["turned", *(f"t{i}" for i in range(5001))]
    turning = [node("Transpose", a, b, perm=(1, 0)) for a, b in itertools.pairwise(names)]
    reading = (node("MatMul", "x d4999", "y"), node("MatMul", "x t5000", "z"))
    tensors = {"doubled": tensor(40, 20), "turned": tensor(40, 20)}
    graph = Graph("g", (value("x"),), (value("y"), value("z")), (*doubling, *turning, *reading), tensors)
    assert weights(graph) == {"doubled": ((0,), "fc"), "turned": ((0,), "fc")}
