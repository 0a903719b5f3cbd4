"""Activations that kernels do to what they store."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.graph import Graph, Node
from tersor.runtime.kernels.site import Epilogue
from tersor.runtime.model import Model
from tersor.runtime.plan.plan import Plan
from tests.runtime.plan.small_graphs import floats, graph, interpret, node

NUMBERS = {
    name: np.float32(n)
    for name, n in (("half", 0.5), ("two", 2), ("less", -1.5), ("slope", 0.2), ("steep", 3), ("huge", 1e38), ("tiny", 1e-38))
}

ONE = np.ones((1, 1, 1, 1), np.float32)
HARD_SWISH, LEAKY = [node("HardSwish", "c", "y")], [node("LeakyRelu", "c", "y", alpha=0.1)]
ACTIVATIONS = {
    "hard swish": HARD_SWISH,
    "hard swish, scaled": [node("HardSwish", "c", "h"), node("Mul", "less h", "m"), node("Add", "m half", "y")],
    "hard sigmoid": [node("HardSigmoid", "c", "y", alpha=0.3, beta=0.4)],
    "leaky": LEAKY,
    "leaky, turned": [node("LeakyRelu", "c", "l", alpha=-0.5), node("Sub", "half l", "y")],
    "one slope": [node("PRelu", "c slope", "y")],
}

KINDS = {
    "a row of depthwise": ((2, 20, 9, 33), (20, 1, 3, 3), {"group": 20, "pads": (1, 1, 1, 1)}),
    "strided depthwise": ((1, 8, 15, 17), (8, 1, 5, 5), {"group": 8, "strides": (2, 2), "pads": (2, 2, 2, 2)}),
    "groups": ((1, 12, 8, 9), (8, 3, 3, 3), {"group": 4}),
    "dense": ((2, 40, 7, 7), (33, 40, 1, 1), {}),
    "dense of several blocks": ((1, 600, 33, 33), (20, 600, 3, 3), {"strides": (2, 2)}),
    "winograd": ((1, 64, 29, 29), (32, 64, 3, 3), {"pads": (1, 1, 1, 1)}),
    "polyphase": ((1, 3, 40, 64), (48, 3, 7, 7), {"strides": (2, 2), "pads": (3, 3, 3, 3)}),
    "a line": ((2, 8, 50), (12, 8, 5), {"pads": (2, 2)}),
    "all of the input": ((3, 8, 4, 4), (30, 8, 4, 4), {}),
    "one element": ((1, 70, 1, 1), (35, 70, 1, 1), {}),
}


def assert_close(g: Graph, x: dict[str, np.ndarray], threads: int = 1) -> Plan:
    """Compare with the interpreter; returns the plan."""
    with Model(g, threads=threads) as model:
        want, got = interpret(g, x), model.run(x).values()
        for value, expected in zip(got, want, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)
        return model.plan({name: a.shape for name, a in x.items()})


def ops(plan: Plan) -> list[str]:
    """The operators of each step."""
    return [row.op for row in plan.rows()]


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """Weights whose products with normal inputs are about 3."""
    return 3 * floats(*shape) / np.float32(prod(shape[1:]) ** 0.5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_convolutions_take_in_activations(kind, activation):
    shape, size, attributes = KINDS[kind]
    nodes = [node("Conv", "x w b", "c", **attributes), *ACTIVATIONS[activation]]
    g = graph(nodes, {"x": shape}, ["y"], w=weights(size), b=floats(size[0]), **NUMBERS)
    plan = assert_close(g, {"x": floats(*shape)}, threads=1 + len(activation) % 2)
    assert len(plan.steps) == 1
    assert kind.split()[0] not in ("dense", "winograd", "polyphase") or kind.split()[0] in plan.steps[0].kernel.name


@settings(max_examples=40)
@given(
    activation=st.sampled_from(sorted(ACTIVATIONS)), groups=st.sampled_from([1, 2, 7]),
    each=st.tuples(st.integers(1, 9), st.integers(1, 9)), room=st.tuples(st.integers(3, 20), st.integers(3, 40)),
    kernel=st.integers(1, 3), stride=st.integers(1, 2), density=st.sampled_from([0.2, 1]),
    residual=st.booleans(),
)  # fmt: skip
def test_convolutions_of_any_shape(activation, groups, each, room, kernel, stride, density, residual):
    inputs, outputs = (groups * count for count in each)
    w = weights((outputs, inputs // groups, kernel, kernel))
    w[np.random.default_rng(0).random(w.shape) >= density] = 0
    shapes = {"x": (2, inputs, *room), "r": (2, outputs, *((size - kernel) // stride + 1 for size in room))}
    first = node("Conv", "x w", "a", group=groups, strides=(stride, stride)), node("Add", "a r" if residual else "a b", "c")
    g = graph([*first, *ACTIVATIONS[activation]], shapes, ["y"], w=w, b=floats(outputs, 1, 1), **NUMBERS)
    plan = assert_close(g, {name: floats(*shape) for name, shape in shapes.items()})
    assert len(plan.steps) == (2 if residual and activation == "hard sigmoid" else 1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("size", [(12, 30, 3, 3), (70, 40, 1, 1)])
def test_pruned_convolutions_take_in_activations(size, activation):
    w = weights(size)
    w[np.random.default_rng(0).random(w.shape) < 0.8] = 0
    shape = (2, size[1], 13, 13)
    g = graph([node("Conv", "x w", "c"), *ACTIVATIONS[activation]], {"x": shape}, ["y"], w=w, **NUMBERS)
    plan = assert_close(g, {"x": floats(*shape)})
    assert len(plan.steps) == 1
    assert plan.steps[0].kernel.density < 0.3


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch", [1, 7, 70])
@pytest.mark.parametrize("density", [0.2, 1])
def test_products_take_in_activations(batch, density, activation):
    w = weights((50, 30))
    w[np.random.default_rng(0).random(w.shape) >= density] = 0
    g = graph(
        [node("Gemm", "x w b", "c", alpha=0.7), *ACTIVATIONS[activation]],
        {"x": (batch, 50)},
        ["y"],
        w=w,
        b=floats(30),
        **NUMBERS,
    )
    assert len(assert_close(g, {"x": floats(batch, 50)}).steps) == 1


@pytest.mark.parametrize("activation", ["hard swish", "leaky"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_transposed_convolutions_add_before_they_are_activated(strides, activation):
    nodes = [node("ConvTranspose", "x w", "t", strides=strides), node("Add", "t r", "c"), *ACTIVATIONS[activation]]
    residual = (1, 6, *(4 * s + 3 - s for s in strides))
    g = graph(nodes, {"x": (1, 5, 4, 4), "r": residual}, ["y"], w=weights((5, 6, 3, 3)))
    assert len(assert_close(g, {"x": floats(1, 5, 4, 4), "r": floats(*residual)}).steps) == 1


@pytest.mark.parametrize("activation", ["hard swish, scaled", "leaky"])
def test_all_of_an_epilogue(activation):
    nodes = [node("Conv", "x w", "a"), node("Mul", "a k", "b"), node("Add", "b r", "c"), *ACTIVATIONS[activation]]
    shapes = {"x": (1, 8, 9, 9), "r": (1, 20, 7, 7)}
    g = graph(nodes, shapes, ["y"], w=weights((20, 8, 3, 3)), k=floats(20, 1, 1), **NUMBERS)
    assert len(assert_close(g, {name: floats(*shape) for name, shape in shapes.items()}).steps) == 1


@pytest.mark.parametrize("activation", ["hard swish", "leaky"])
@pytest.mark.parametrize(
    ("shape", "size", "attributes", "last"),
    [
        (
            (1, 64, 28, 28),
            (32, 64, 3, 3),
            {"pads": (1, 1, 1, 1)},
            node("MaxPool", "y", "z", kernel_shape=(2, 2), strides=(2, 2)),
        ),
        ((1, 24, 9, 9), (70, 24, 1, 1), {}, node("GlobalAveragePool", "y", "z")),
        ((2, 3, 63, 63), (32, 3, 3, 3), {"strides": (2, 2)}, node("MaxPool", "y", "z", kernel_shape=(3, 3), strides=(2, 2))),
    ],
)
def test_pools_are_of_what_is_activated(monkeypatch, shape, size, attributes, last, activation):
    monkeypatch.setattr("tersor.runtime.kernels.conv.dense.pooled.FAR", 0)
    w = weights(size)
    w[np.random.default_rng(0).random(w.shape) < (0.7 if size[-1] == 1 else 0)] = 0
    g = graph([node("Conv", "x w", "c", **attributes), *ACTIVATIONS[activation], last], {"x": shape}, ["z"], w=w)
    assert len(assert_close(g, {"x": floats(*shape)}).steps) == 1


@pytest.mark.parametrize(
    ("nodes", "outputs", "expected"),
    [
        (HARD_SWISH, "y c", ["Conv", "HardSwish"]),
        ([*HARD_SWISH, node("Exp", "c", "e")], "y e", ["Conv", "HardSwish", "Exp"]),
        ([node("Relu", "c", "r"), node("HardSwish", "r", "y")], "y", ["Conv + Relu", "HardSwish"]),
        ([node("HardSwish", "c", "h"), node("Relu", "h", "y")], "y", ["Conv + HardSwish", "Relu"]),
        ([node("HardSwish", "c", "h"), node("HardSwish", "h", "y")], "y", ["Conv + HardSwish", "HardSwish"]),
        ([node("HardSwish", "c", "h"), node("Add", "h r", "y")], "y", ["Conv + HardSwish", "Add"]),
        ([node("HardSwish", "c", "h"), node("Mul", "h k", "y")], "y", ["Conv + HardSwish", "Mul"]),
        ([node("Swish", "c", "y")], "y", ["Conv", "Swish"]),
        ([node("Add", "c r", "a"), node("HardSigmoid", "a", "y")], "y", ["Conv + Add", "HardSigmoid"]),
        ([node("LeakyRelu", "c", "y", alpha=1.5)], "y", ["Conv", "LeakyRelu"]),
        ([node("PRelu", "c steep", "y")], "y", ["Conv", "PRelu"]),
        ([node("PRelu", "c k", "y")], "y", ["Conv", "PRelu"]),
        ([node("LeakyRelu", "c", "l", alpha=0.5), node("Mul", "l huge", "y")], "y", ["Conv + LeakyRelu", "Mul"]),
        ([node("HardSwish", "c", "h"), node("Mul", "h tiny", "y")], "y", ["Conv + HardSwish", "Mul"]),
        ([node("HardSwish", "c", "h"), node("Div", "two h", "y")], "y", ["Conv + HardSwish", "Div"]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_what_no_gate_does_is_a_step_of_its_own(nodes: list[Node], outputs: str, expected: list[str]):
    shapes = {"x": (1, 3, 6, 6), "r": (1, 4, 6, 6)}
    g = graph(
        [node("Conv", "x w", "c"), *nodes], shapes, outputs.split(), w=weights((4, 3, 1, 1)), k=floats(4, 1, 1), **NUMBERS
    )
    assert ops(assert_close(g, {name: np.abs(floats(*shape)) + 1 for name, shape in shapes.items()})) == expected


@given(
    st.lists(st.floats(width=32, allow_subnormal=False), min_size=1, max_size=40),
    st.sampled_from([-1.0, -0.3, 0.0, 1e-38, 0.01, 1.0]),
)
def test_leaky_rectifiers_of_any_number(values, alpha):
    x = np.array(values, np.float32).reshape(1, 1, 1, -1)
    g = graph(
        [node("Conv", "x w", "c"), node("LeakyRelu", "c", "y", alpha=alpha)],
        {"x": x.shape},
        ["y"],
        w=np.ones((1, 1, 1, 1), np.float32),
    )
    with Model(g, threads=1) as model, np.errstate(all="ignore"):
        np.testing.assert_array_equal(model.run({"x": x})["y"], interpret(g, {"x": x})[0])
        assert len(model.plan({"x": x.shape}).steps) == 1


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_edges(activation):
    x = np.array([0, -0.0, np.nan, np.inf, -np.inf, 3, -3, 1e38, -1e38, 88, -88, 100, -100], np.float32).reshape(1, 1, 1, -1)
    g = graph(
        [node("Conv", "x w", "c"), *ACTIVATIONS[activation]],
        {"x": x.shape},
        ["y"],
        w=np.ones((1, 1, 1, 1), np.float32),
        **NUMBERS,
    )
    assert len(assert_close(g, {"x": x}).steps) == 1


def test_bounds_and_gates():
    assert Epilogue(low=0).bounds.tolist() == [0, np.inf]
    swish = Epilogue(low=0, high=1, gate=(1 / 6, 0.5, 0.0))
    assert (swish.clips, swish.empty) == (True, False)
    assert Epilogue(low=0, high=1, gate=(1.0, 2.0, 3.0)).bounds.tolist() == [0, 1, 1, 2, 3]
