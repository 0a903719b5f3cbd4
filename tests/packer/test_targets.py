from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tersor.format_spec.errors import RecipeError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Layer, Recipe
from tersor.packer.targets import find_targets, find_weights, fits


def tensor(*shape: int, dtype: str = "float32") -> DenseTensor:
    return DenseTensor.of(np.zeros(shape, dtype))


def node(op_type: str, inputs: str, output: str, **attributes: Any) -> Node:
    return Node(op_type, output, tuple(inputs.split()), (output,), attributes)


def value(name: str) -> Value:
    return Value(name, TensorType("float32", None))


@pytest.fixture
def graph() -> Graph:
    nodes = (
        node("Conv", "x conv1_w conv1_b", "a"),
        node("ConvTranspose", "a up_w", "b"),
        node("Flatten", "b", "c"),
        node("Gemm", "c fc6_w fc6_b", "d", transB=1),
        node("MatMul", "d fc8_w", "e"),
        node("MatMul", "e small_w", "f"),
        node("Gather", "table ids", "g"),
        node("Add", "f plain", "y"),
    )
    tensors = {
        "conv1_w": tensor(32, 3, 3, 3),
        "conv1_b": tensor(32),
        "up_w": tensor(32, 16, 3, 3),
        "fc6_w": tensor(50, 100),
        "fc6_b": tensor(50),
        "fc8_w": tensor(50, 20),
        "small_w": tensor(20, 2),
        "table": tensor(100, 8),
        "plain": tensor(40, 40),
    }
    return Graph("test", (value("x"), value("ids")), (value("y"), value("g")), nodes, tensors)


def test_weights_are_found_with_their_rows_and_kinds(graph: Graph):
    found = {name: (weight.row_axes, weight.kind) for name, weight in find_weights(graph).items()}
    assert found == {
        "conv1_w": ((0,), "conv"),
        "up_w": ((1,), "conv"),
        "fc6_w": ((0,), "fc"),
        "fc8_w": ((1,), "fc"),
        "small_w": ((1,), "fc"),
        "table": ((0,), "table"),
    }


def test_the_last_matching_rule_wins_then_the_kind(graph: Graph):
    conv, fc, first, last = Layer(bits=8), Layer(bits=5), Layer(bits=4), Layer(bits=3)
    targets = find_targets(graph, Recipe(conv, fc, {"fc8_*": first, "fc*": first, "*8_w": last, "up_w": Layer()}))
    assert {name: target.layer for name, target in targets.items()} == {"conv1_w": conv, "fc6_w": first, "fc8_w": last}


def test_a_table_changes_only_by_rule(graph: Graph):
    assert "table" not in find_targets(graph, Recipe(Layer(bits=8), Layer(bits=8)))
    assert list(find_targets(graph, Recipe(rules={"tab*": Layer(bits=8)}))) == ["table"]


def test_small_tensors_are_left_alone(graph: Graph):
    recipe = Recipe(Layer(bits=8), Layer(bits=5))
    assert "small_w" not in find_targets(graph, recipe)
    assert "small_w" in find_targets(graph, Recipe(recipe.conv, recipe.fc, min_size=40))


def test_only_floats_are_touched(graph: Graph):
    changed = replace(graph, initializers={**graph.initializers, "fc8_w": tensor(50, 20, dtype="int8")})
    assert "fc8_w" in find_weights(changed)
    assert "fc8_w" not in find_targets(changed, Recipe(fc=Layer(bits=5)))


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
    assert "fc6_w" not in find_weights(replace(graph, nodes=(*graph.nodes, extra)))


def test_readers_that_agree_share_a_weight(graph: Graph):
    both = replace(graph, nodes=(*graph.nodes, node("Gemm", "c fc6_w", "z", transB=1), node("Gather", "fc6_w ids", "q")))
    weight = find_weights(both)["fc6_w"]
    assert (weight.row_axes, weight.kind) == ((0,), "fc")


def test_subgraphs_hold_weights_and_read_those_around_them(graph: Graph):
    body = Graph("body", (), (value("z"),), (node("MatMul", "e body_w", "z"),), {"body_w": tensor(50, 20)})
    branch = node("If", "flag", "r", then_branch=body)
    assert find_weights(replace(graph, nodes=(*graph.nodes, branch)))["body_w"].row_axes == (1,)
    capture = replace(body, nodes=(*body.nodes, node("Add", "z fc8_w", "q")))
    branch = node("If", "flag", "r", then_branch=capture)
    assert "fc8_w" not in find_weights(replace(graph, nodes=(*graph.nodes, branch)))


@pytest.mark.parametrize("where", ["inputs", "outputs"])
def test_what_is_seen_from_outside_is_left_alone(graph: Graph, where: str):
    assert "fc8_w" not in find_weights(replace(graph, **{where: (*getattr(graph, where), value("fc8_w"))}))


def test_a_pattern_that_fits_nothing_names_close_tensors(graph: Graph):
    with pytest.raises(
        RecipeError, match=r"pattern 'fc7_w' fits no tensor; close are 'fc8_w', 'fc6_w'|close are 'fc6_w', 'fc8_w'"
    ):
        find_targets(graph, Recipe(rules={"fc7_w": Layer(bits=5)}))


def test_a_pattern_that_fits_only_what_is_left_alone_says_so(graph: Graph):
    with pytest.raises(RecipeError, match=r"'\*_b' fits only tensors that a recipe leaves alone \('conv1_b', 'fc6_b'\)"):
        find_targets(graph, Recipe(rules={"*_b": Layer(bits=5)}))


def test_a_model_without_weights_says_so():
    with pytest.raises(RecipeError, match="this model has no weights"):
        find_targets(Graph("empty", (), (), ()), Recipe(rules={"x": Layer(bits=5)}))


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [("a*", "abc", True), ("A*", "abc", False), ("layer[0].w", "layer[0].w", True), ("layer[01].w", "layer1.w", True)],
)
def test_patterns(pattern: str, name: str, expected: bool):
    assert fits(pattern, name) is expected


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
    found = find_weights(replace(graph, initializers={**graph.initializers, "r": tensor(1, 80, 20)}))
    assert {name: (weight.row_axes, weight.kind) for name, weight in found.items()} == {
        "linear": ((0,), "fc"),
        "lstm_i": ((0,), "fc"),
        "lstm_f": ((0,), "fc"),
        "r": ((0, 1), "fc"),
    }


def test_tensors_without_nodes_are_taken_for_torch_s():
    graph = Graph("g", (), (), (), {"linear": tensor(40, 40), "conv": tensor(8, 8, 3), "bias": tensor(40)})
    found = find_weights(graph)
    assert {name: (weight.row_axes, weight.kind) for name, weight in found.items()} == {
        "linear": ((0,), "fc"),
        "conv": ((0,), "conv"),
    }
