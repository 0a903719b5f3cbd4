"""What joins a convolution only up to a point."""

from __future__ import annotations

import pytest

from tests.runtime.plan.small_graphs import BATCHNORM, CONV, WEIGHTS, check, floats, graph, node


@pytest.mark.parametrize("first", [("Add", "c r"), ("Relu", "c")])
@pytest.mark.parametrize("last", [("BatchNormalization", "f s t m v"), ("Mul", "f k"), ("Add", "f k"), ("Add", "f q")])
def test_what_follows_a_shortcut_or_an_activation_is_a_step_of_its_own(first: tuple[str, str], last: tuple[str, str]):
    nodes = [CONV("c"), node(first[0], first[1], "f"), node(last[0], last[1], "y")]
    shapes = {"x": (1, 3, 6, 6), "r": (1, 4, 6, 6), "q": (1, 4, 6, 6)}
    g = graph(nodes, shapes, ["y"], k=floats(4, 1, 1), **WEIGHTS, **BATCHNORM)
    assert len(check(g, {name: floats(*shape) for name, shape in shapes.items()}).steps) == 2


@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (6,), (2, 4, 6, 6)])
def test_a_shortcut_of_another_shape_is_added_apart(shape):
    shapes = {"x": (1, 3, 6, 6), "r": shape}
    g = graph([CONV("c"), node("Add", "c r", "y")], shapes, ["y"], **WEIGHTS)
    assert len(check(g, {name: floats(*shape) for name, shape in shapes.items()}).steps) == 2
