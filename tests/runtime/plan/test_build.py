"""Plans: what is fused, aliased, folded and left dynamic; and that every one of them computes the same."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.format_spec.errors import PlanError, UnsupportedOperator
from tersor.format_spec.graph import TensorType
from tersor.runtime.model import Model
from tests.runtime.plan.small_graphs import BATCHNORM, CONV, WEIGHTS, X, check, floats, graph, ints, kernels, node


def test_batch_norm_residual_and_relu_join_the_convolution():
    nodes = [
        CONV("c"), node("BatchNormalization", "c s t m v", "n"), node("Conv", "x w2", "r"),
        node("Add", "n r", "a"), node("Relu", "a", "y"),
    ]  # fmt: skip
    plan = check(graph(nodes, {"x": (1, 3, 6, 6)}, ["y"], w2=floats(4, 3, 1, 1), **WEIGHTS, **BATCHNORM), X)
    assert [row.op for row in plan.rows()] == ["Conv + BatchNormalization", "Conv + Add + Relu"]


def test_a_scale_that_float32_cannot_hold_is_not_fused():
    w, x = np.full((1, 1, 1, 1), 1e-38, np.float32), {"x": np.full((1, 1, 2, 2), 4, np.float32)}
    tiny = np.full((1,), 1e-39, np.float32)
    g = graph([node("Conv", "x w", "c"), node("Div", "c tiny", "y")], {"x": (1, 1, 2, 2)}, ["y"], w=w, tiny=tiny)
    with Model(g, threads=1) as model:
        np.testing.assert_allclose(model.run(x)["y"], 40, rtol=1e-5)


def test_an_infinite_scale_is_not_fused():
    statistics = {**BATCHNORM, "s": np.full(4, np.inf, np.float32), "m": np.full(4, -1, np.float32)}
    nodes = [node("Conv", "x w", "c"), node("BatchNormalization", "c s t m v", "y")]
    g = graph(nodes, {"x": (1, 3, 6, 6)}, ["y"], w=np.ones((4, 3, 3, 3), np.float32), **statistics)
    with Model(g, threads=1) as model:
        assert np.all(model.run({"x": np.ones((1, 3, 6, 6), np.float32)})["y"] == np.inf)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("left", [True, False])
def test_constants_per_channel_join_the_convolution(op, left):
    last = node(op, "c k" if left else "k c", "y")
    plan = check(graph([CONV("c"), last], {"x": (1, 3, 6, 6)}, ["y"], k=floats(4, 1, 1) + 3, **WEIGHTS), X)
    assert len(plan.steps) == (2 if op == "Div" and not left else 1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (6,), (6, 6), (2, 4, 1, 1)])
def test_only_what_is_per_channel_joins(shape):
    plan = check(graph([CONV("c"), node("Add", "c k", "y")], {"x": (1, 3, 6, 6)}, ["y"], k=floats(*shape), **WEIGHTS), X)
    assert len(plan.steps) == (1 if shape == (1, 1, 1) else 2)


def test_activations_compose_and_end_a_fusion():
    nodes = [CONV("c"), node("Relu", "c", "r"), node("Clip", "r low high", "k"), node("Mul", "k two", "y")]
    tensors = {"low": np.float32(-1), "high": np.float32(0.5), "two": floats(1), **WEIGHTS}
    plan = check(graph(nodes, {"x": (1, 3, 6, 6)}, ["y"], **tensors), X)
    assert [row.op for row in plan.rows()] == ["Conv + Relu + Clip", "Mul"]


def test_a_value_with_two_readers_or_an_output_is_not_absorbed():
    nodes = [CONV("c"), node("Relu", "c", "y"), node("Neg", "c", "z")]
    assert len(check(graph(nodes, {"x": (1, 3, 6, 6)}, ["y", "z"], **WEIGHTS), X).steps) == 3
    assert len(check(graph(nodes[:2], {"x": (1, 3, 6, 6)}, ["y", "c"], **WEIGHTS), X).steps) == 2


def test_indices_alone_run_by_reference():
    g = graph([node("MaxPool", "x", "p i", kernel_shape=(3, 3))], {"x": (1, 2, 8, 8)}, ["i"])
    plan = check(g, {"x": floats(1, 2, 8, 8)})
    assert kernels(plan) == ["MaxPool: reference"]


@pytest.mark.parametrize("outputs", [["v", "y"], ["y", "v"], ["v"]])
def test_an_output_that_is_a_part_of_another_has_memory_of_its_own(outputs):
    nodes = [node("Neg", "a", "na"), node("Neg", "b", "nb"), node("Concat", "na nb", "y", axis=1), node("Reshape", "na s", "v")]
    g = graph([*nodes, node("Abs", "y", "z")], {"a": (1, 3, 4), "b": (1, 2, 4)}, [*outputs, "z"], s=ints(-1))
    inputs = {"a": floats(1, 3, 4), "b": floats(1, 2, 4)}
    check(g, inputs)
    with Model(g, threads=1) as model:
        out = {"v": np.zeros(12, np.float32)}
        got = model.run(inputs, out=out)
        assert got["v"] is out["v"]
        np.testing.assert_array_equal(got["v"], -inputs["a"].reshape(-1))
        assert not np.shares_memory(got["v"], got.get("y", got["z"]))


def test_a_fused_convolution_without_kernel_runs_by_reference():
    nodes = [
        node("Conv", "x w", "c"), node("BatchNormalization", "c s t m v", "n"), node("Add", "n r", "a"), node("Relu", "a", "y"),
    ]  # fmt: skip
    g = graph(nodes, {"x": (1, 2, 3, 3, 3), "r": (1, 4, 2, 2, 2)}, ["y"], w=floats(4, 2, 2, 2, 2), **BATCHNORM)
    plan = check(g, {"x": floats(1, 2, 3, 3, 3), "r": floats(1, 4, 2, 2, 2)})
    assert kernels(plan) == ["Conv + BatchNormalization + Add + Relu: reference"]


def test_matmul_takes_bias_and_shortcut():
    nodes = [node("MatMul", "x w", "p"), node("Add", "p b", "q"), node("Add", "x q", "y")]
    plan = check(graph(nodes, {"x": (1, 5, 8)}, ["y"], w=floats(8, 8), b=floats(8)), {"x": floats(1, 5, 8)}, threads=2)
    assert len(plan.steps) == 1


def test_shapes_are_constants():
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s first", "n"), node("Concat", "n rest", "to", axis=0),
        node("Relu", "x", "r"), node("Reshape", "r to", "y"),
    ]  # fmt: skip
    g = graph(nodes, {"x": (None, 2, 3)}, ["y"], first=ints(0), rest=ints(-1))
    plan = check(g, {"x": floats(4, 2, 3)})
    assert [row.op for row in plan.rows()] == ["Relu"]


def test_constants_fold_and_dead_nodes_go():
    nodes = [
        node("Add", "k k", "k2"), node("Exp", "x", "unused"), node("Mul", "x k2", "y"), node("Dropout", "y", "z mask"),
    ]  # fmt: skip
    plan = check(graph(nodes, {"x": (2, 3)}, ["z"], k=floats(3)), {"x": floats(2, 3)})
    assert [row.op for row in plan.rows()] == ["Mul"]


@pytest.mark.parametrize("op", ["Transpose", "Expand"])
def test_constants_that_are_computed_as_views_lie_in_order(op):
    tensors = {"k": floats(4, 3), "to": ints(4, 4, 3)} if op == "Expand" else {"k": floats(3, 4, 4)}
    nodes = [node(op, "k to" if op == "Expand" else "k", "c"), node("Unsqueeze", "c zero", "u"), node("Mul", "x u", "y")]
    check(graph(nodes, {"x": (1, 4, 4, 3)}, ["y"], zero=ints(0), **tensors), {"x": floats(1, 4, 4, 3)})


def test_the_largest_of_one_is_known():
    nodes = [
        node("TopK", "x one", "v i", axis=1), node("Abs", "v", "a"), node("ScatterElements", "zeros i twos", "s", axis=1),
        node("Add", "a s", "y"),
    ]  # fmt: skip
    g = graph(nodes, {"x": (3, 1)}, ["y", "i"], one=ints(1), zeros=np.zeros((3, 1), np.float32), twos=np.full((3, 1), 2, "f4"))
    plan = check(g, {"x": floats(3, 1)})
    assert [row.op for row in plan.rows()] == ["Abs", "Add"]


@pytest.mark.parametrize(("shape", "count", "axis"), [((3, 2), 1, 1), ((1, 3), 3, 1), ((1, 3), 1, 1), ((2, 1), 1, 0)])
def test_the_largest_of_several_are_looked_for(shape, count, axis):
    g = graph([node("TopK", "x k", "v i", axis=axis), node("Abs", "v", "y")], {"x": shape}, ["y", "i"], k=ints(count))
    assert [row.op for row in check(g, {"x": floats(*shape)}).rows()] == ["TopK", "Abs"]


def test_views_take_no_steps():
    nodes = [
        node("Relu", "x", "a"), node("Reshape", "a to", "b"), node("Unsqueeze", "b zero", "c"),
        node("Transpose", "c", "d", perm=(1, 0, 2)), node("Neg", "d", "e"), node("Flatten", "e", "y"),
    ]  # fmt: skip
    plan = check(graph(nodes, {"x": (2, 6)}, ["y"], to=ints(3, 4), zero=ints(0)), {"x": floats(2, 6)})
    assert [row.op for row in plan.rows()] == ["Relu", "Neg"]


def test_views_of_inputs_and_constants_are_copied_out():
    nodes = [node("Reshape", "x to", "y"), node("Identity", "k", "z"), node("Identity", "x", "same")]
    g = graph(nodes, {"x": (2, 6)}, ["y", "z", "same", "x"], to=ints(-1), k=floats(3))
    x = floats(2, 6)
    check(g, {"x": x})
    with Model(g) as model:
        assert not any(np.may_share_memory(value, x) for value in model.run({"x": x}).values())


def test_concatenation_is_written_in_place():
    nodes = [
        node("Conv", "x w", "a"), node("Conv", "x w2", "b"), node("Concat", "a b", "c", axis=1), node("Relu", "x", "d"),
        node("Concat", "c d", "e", axis=1), node("Neg", "e", "y"), node("Exp", "c", "z"),
    ]  # fmt: skip
    g = graph(nodes, {"x": (1, 3, 5, 5)}, ["y", "z"], w=floats(2, 3, 1, 1), w2=floats(5, 3, 1, 1))
    plan = check(g, {"x": floats(1, 3, 5, 5)})
    assert [row.op for row in plan.rows()] == ["Conv", "Conv", "Relu", "Neg", "Exp"]


def test_concatenation_that_is_an_output():
    nodes = [node("Relu", "x", "a"), node("Neg", "x", "b"), node("Concat", "a b", "y", axis=0)]
    plan = check(graph(nodes, {"x": (2, 3)}, ["y"]), {"x": floats(2, 3)})
    assert len(plan.steps) == 2


@pytest.mark.parametrize(
    ("names", "outputs", "axis"),
    [("a a", ["y"], 0), ("a x", ["y"], 0), ("a k", ["y"], 0), ("a b", ["y"], 1), ("a b", ["y", "a"], 0)],
)
def test_concatenation_that_needs_copies(names, outputs, axis):
    nodes = [node("Relu", "x", "a"), node("Neg", "x", "b"), node("Concat", names, "y", axis=axis)]
    plan = check(graph(nodes, {"x": (2, 3)}, outputs, k=floats(2, 3)), {"x": floats(2, 3)})
    assert [row.op for row in plan.rows()][-1] == "Concat"


def test_data_dependent_shapes_run_by_reference():
    nodes = [
        node("Relu", "x", "r"), node("NonZero", "r", "i"), node("Transpose", "i", "t"), node("Cast", "t", "f", to=1),
        node("Exp", "f", "y"), node("Neg", "r", "z"), node("Concat", "i i", "c", axis=0),
    ]  # fmt: skip
    plan = check(graph(nodes, {"x": (3, 4)}, ["y", "z", "i", "c"]), {"x": floats(3, 4)})
    assert sum("dynamic" in name for name in kernels(plan)) == 5


def test_shape_given_as_an_input():
    nodes = [node("Reshape", "x to", "r"), node("Exp", "r", "y")]
    g = graph(nodes, {"x": (2, 6), "to": TensorType("int64", (2,))}, ["y", "r"])
    check(g, {"x": floats(2, 6), "to": ints(4, 3)})


def test_results_of_dynamic_steps_survive_the_arena():
    nodes = [
        node("Exp", "x", "a"), node("Reshape", "a to", "b"), node("Neg", "x", "c"), node("Exp", "c", "d"),
        node("Add", "b k", "y"), node("Identity", "d", "z"),
    ]  # fmt: skip
    g = graph(nodes, {"x": (2, 6), "to": TensorType("int64", (1,))}, ["y", "z"], k=floats(12))
    check(g, {"x": floats(2, 6), "to": ints(-1)})


def test_empty_and_scalar_values():
    check(graph([node("Relu", "x", "a"), node("Concat", "a a", "y", axis=0)], {"x": (0, 3)}, ["y"]), {"x": floats(0, 3)})
    check(graph([node("Relu", "x", "a"), node("Exp", "a", "y")], {"x": ()}, ["y"]), {"x": np.array(0.5, np.float32)})
    check(graph([CONV("y")], {"x": (0, 3, 6, 6)}, ["y"], **WEIGHTS), {"x": floats(0, 3, 6, 6)})


def test_listing():
    plan = check(graph([CONV("c"), node("Relu", "c", "y")], {"x": (1, 3, 6, 6)}, ["y"], **WEIGHTS), X)
    row = next(plan.rows())
    assert row.macs == 4 * 3 * 9 * 36
    assert row.density == 1
    assert row.weight_bytes > 0
    assert "Conv + Relu: Conv_c" in str(plan)


def test_impossible_shapes_name_the_node():
    g = graph([node("Add", "x k", "y")], {"x": (2, 3)}, ["y"], k=floats(4))
    with pytest.raises(PlanError, match="Add_y"):
        Model(g).run({"x": floats(2, 3)})


def test_unknown_operators_name_the_node():
    g = graph([node("Frobnicate", "x", "y")], {"x": (2, 3)}, ["y"])
    with pytest.raises(UnsupportedOperator, match="Frobnicate"):
        Model(g).run({"x": floats(2, 3)})


SHORTCUT = [
    node("Conv", "x w", "c", pads=(1, 1, 1, 1)), node("Relu", "c", "a"), node("Conv", "x w", "o", pads=(1, 1, 1, 1)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "shortcut", "last", "outputs", "over"),
    [
        ("o", "a", "Neg q", ["y"], True),
        ("o", "a", "Add q a", ["y"], False),
        ("a", "a", "Neg q", ["y"], False),
        ("o", "x", "Neg q", ["y"], False),
        ("o", "a", "Neg q", ["y", "a"], False),
    ],
    ids=["free", "read later", "its own input", "caller's memory", "an output"],
)
def test_a_sum_overwrites_a_shortcut_that_nobody_else_needs(source, shortcut, last, outputs, over):
    op, inputs = last.split(maxsplit=1)
    summed = [node("Conv", f"{source} w2", "p", pads=(1, 1, 1, 1)), node("Add", f"p {shortcut}", "q"), node(op, inputs, "y")]
    tensors = {"w": floats(3, 3, 3, 3), "w2": floats(3, 3, 3, 3)}
    plan = check(graph([*SHORTCUT, *summed], {"x": (1, 3, 6, 6)}, outputs, **tensors), {"x": floats(1, 3, 6, 6)})
    roots = {slot.name: plan.slots[slot.root].name for slot in plan.slots}
    assert (roots["q"] == shortcut) == over
