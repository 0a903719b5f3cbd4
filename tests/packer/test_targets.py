from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tersor.format_spec.errors import RecipeError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Layer, Recipe
from tersor.packer.targets import find_targets, fits
from tersor.packer.weights import find_weights


def layers(graph: Graph, recipe: Recipe) -> dict[str, Layer]:
    """The layer of each target by name, which must be unique."""
    return {name: target.layer for (_, name), target in find_targets(graph, recipe).items()}


def test_the_last_matching_rule_wins_then_the_kind(graph: Graph):
    conv, fc, first, last = Layer(bits=8), Layer(bits=5), Layer(bits=4), Layer(bits=3)
    recipe = Recipe(conv, fc, {"fc8_*": first, "fc*": first, "*8_w": last, "up_w": Layer()})
    assert layers(graph, recipe) == {"conv1_w": conv, "fc6_w": first, "fc8_w": last}


def test_a_table_changes_only_by_rule(graph: Graph):
    assert "table" not in layers(graph, Recipe(Layer(bits=8), Layer(bits=8)))
    assert list(layers(graph, Recipe(rules={"tab*": Layer(bits=8)}))) == ["table"]


def test_small_tensors_are_left_alone(graph: Graph):
    recipe = Recipe(Layer(bits=8), Layer(bits=5))
    assert "small_w" not in layers(graph, recipe)
    assert "small_w" in layers(graph, Recipe(recipe.conv, recipe.fc, min_size=40))


def test_only_floats_are_touched(graph: Graph):
    integers = DenseTensor.of(np.zeros((50, 20), np.int8))
    changed = replace(graph, initializers={**graph.initializers, "fc8_w": integers})
    assert (changed, "fc8_w") in find_weights(changed)
    assert "fc8_w" not in layers(changed, Recipe(fc=Layer(bits=5)))


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


def test_only_the_tensor_that_is_a_large_float_weight_is_changed_of_those_of_one_name():
    """Whichever branch comes last."""
    arrays = [np.zeros(shape, dtype) for shape, dtype in (((40, 20), "f"), ((40, 20), "i"), ((40, 2), "f"), ((40,), "f"))]
    output = Value("a", TensorType("float32", None))
    large, *others = (
        Graph("branch", (), (output,), (Node("MatMul", "", ("x", "w"), ("a",)),), {"w": DenseTensor.of(array)})
        for array in arrays
    )
    for other in others:
        for first, second in ((large, other), (other, large)):
            choice = Node("If", "", ("x",), ("y",), {"else_branch": first, "then_branch": second})
            graph = Graph("g", (replace(output, name="x"),), (replace(output, name="y"),), (choice,))
            assert find_targets(graph, Recipe(fc=Layer(bits=4))).keys() == {(large, "w")}
            assert find_targets(graph, Recipe(rules={"w": Layer(bits=4)})).keys() == {(large, "w")}
