"""Nodes whose inputs and attributes no operator can do anything with end in an error that names them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tersor.format_spec.errors import LimitError, PlanError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.limits import Limits
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.model import Model

LABEL = "hostile"
X, Y = "x", "y"


def run(op_type: str, shape: tuple[int, ...], rest: list[np.ndarray | None], limits: Limits, **attributes: Any) -> np.ndarray:
    """The first output of a node of an input of ones, (float32, ``shape``), and constants."""
    tensors = {f"t{i}": DenseTensor.of(array) for i, array in enumerate(rest) if array is not None}
    names = [X, *("" if array is None else f"t{i}" for i, array in enumerate(rest))]
    node = Node(op_type, LABEL, tuple(names), (Y,), attributes)
    inputs, outputs = (Value(X, TensorType("float32", shape)),), (Value(Y, TensorType("float32", None)),)
    with Model(Graph("g", inputs, outputs, (node,), tensors), threads=1, limits=limits) as model:
        return model.run({X: np.ones(shape, np.float32)})[Y]


def ints(*values: int) -> np.ndarray:
    return np.array(values)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("op_type", "shape", "rest", "attributes"),
    [
        ("ConvTranspose", (1, 3, 2), [ones(3, 2, 2)], {"pads": (2, 2)}),
        ("MaxRoiPool", (1, 3, 8, 8), [ones(2, 5)], {"pooled_shape": (-1, 2)}),
        ("Resize", (8, 2, 3), [None, None, ints(8, -5, 1)], {}),
        ("Tile", (5, 5), [ints(-5, 1)], {}),
        ("TopK", (5, 5), [ints(-5)], {"axis": 1}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_output_of_fewer_elements_than_none(op_type: str, shape: Any, rest: Any, attributes: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=f"{LABEL}.*no output has the shape"):
        run(op_type, shape, rest, Limits(), **attributes)


@pytest.mark.parametrize(
    ("op_type", "shape", "rest", "attributes"),
    [
        ("ConvTranspose", (1, 2, 3, 3), [ones(2, 2, 1, 1)], {"group": 0}),
        ("DepthToSpace", (1, 4, 3, 3), [], {"blocksize": 0}),
        ("Resize", (1, 1, 5, 5), [None, np.array([1, 1, np.inf, 1], np.float32)], {}),
        ("SpaceToDepth", (1, 4, 4, 4), [], {"blocksize": 0}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_numbers_that_sizes_cannot_be_computed_from(op_type: str, shape: Any, rest: Any, attributes: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=LABEL):
        run(op_type, shape, rest, Limits(), **attributes)


@pytest.mark.parametrize(
    ("op_type", "shape", "rest"),
    [("LayerNormalization", (1,), [ones(3)]), ("InstanceNormalization", (1, 1, 2, 3), [ones(2), ones(2)])],
)
def test_a_result_of_another_shape_than_was_foreseen(op_type: str, shape: Any, rest: Any) -> None:
    with pytest.raises(PlanError, match=f"{LABEL}.*where .* is due"):
        run(op_type, shape, rest, Limits())


def test_reshaping_knows_one_negative_size() -> None:
    assert run("Reshape", (5, 5), [ints(-1, 1)], Limits()).shape == (25, 1)
    with pytest.raises(PlanError, match="below -1"):
        run("Reshape", (5, 5), [ints(-5, 1)], Limits())


def test_an_output_that_no_memory_holds() -> None:
    with pytest.raises(LimitError, match="more memory than there is"):
        run("Expand", (1, 1), [ints(1 << 40, 1 << 10)], Limits(activation_bytes=1 << 62))


def test_a_value_between_steps_that_no_memory_holds() -> None:
    nodes = Node("Expand", "", (X, "to"), ("large",)), Node("ReduceMax", "", ("large",), (Y,))
    inputs, outputs = (Value(X, TensorType("float32", (1, 1))),), (Value(Y, TensorType("float32", None)),)
    g = Graph("g", inputs, outputs, nodes, {"to": DenseTensor.of(ints(1 << 40, 1 << 10))})
    told = r"intermediate values take 4,503,[0-9,]+ bytes: more memory than there is"
    with Model(g, threads=1, limits=Limits(activation_bytes=1 << 62)) as model, pytest.raises(LimitError, match=told):
        model.run({X: ones(1, 1)})


def test_a_constant_that_no_memory_holds() -> None:
    node = Node("Tile", LABEL, ("one", "times"), (Y,))
    tensors = {"one": DenseTensor.of(ones(1)), "times": DenseTensor.of(ints(1 << 50))}
    g = Graph("g", (), (Value(Y, TensorType("float32", None)),), (node,), tensors)
    told = rf"node '{LABEL}' \(Tile\) asks for more memory than there is"
    with Model(g, threads=1, limits=Limits(activation_bytes=1 << 62)) as model, pytest.raises(LimitError, match=told):
        model.run({})


@pytest.mark.parametrize("last", ["c", Y], ids=["an output", "read"])
def test_a_value_that_an_operator_does_not_make(last: str) -> None:
    nodes = Node("Split", LABEL, (X, "sizes"), ("a", "b", "c"), {"axis": 0}), Node("Relu", "", ("c",), (Y,), {})
    inputs, outputs = (Value(X, TensorType("float32", (4,))),), (Value(last, TensorType("float32", None)),)
    g = Graph("g", inputs, outputs, nodes[: 1 + (last == Y)], {"sizes": DenseTensor.of(ints(1, 3))})
    with Model(g, threads=1) as model, pytest.raises(PlanError, match="nothing makes"):
        model.run({X: ones(4)})


@pytest.mark.parametrize(
    ("op_type", "rest", "attributes", "message"),
    [
        ("Add", [], {}, "input 1 of Add is missing"),
        ("Add", [None], {}, "input 1 of Add is missing"),
        ("Constant", [], {}, "Constant takes 0 inputs, not 1"),
        ("Conv", [None, np.ones(3, np.float32)], {}, "input 1 of Conv is missing"),
        ("Sqrt", [ones(3), ones(3)], {}, "Sqrt takes 1 inputs, not 3"),
        ("Sqrt", [None, None], {}, "Sqrt takes 1 inputs, not 3"),
        ("Max", [None], {}, "input 1 of Max is missing"),
        ("Concat", [ones(3), None], {"axis": 0}, "input 2 of Concat is missing"),
        ("Clip", [ones(2)], {}, "cannot run: operands could not be broadcast"),
        ("GRU", [ones(1, 15, 3), ones(1, 15, 5)], {"hidden_size": 5, "activations": (1.0, 2.0)}, "cannot run"),
        ("RotaryEmbedding", [ones(1, 1, 1), ones(1, 1, 1)], {}, "an input of rank 3 needs num_heads"),
        ("GRU", [ones(1, 15, 3), ones(1, 15, 5)], {"activations": ("Step", "Tanh")}, "activation 'Step' is not one of"),
        ("Pad", [ints(-2, -2)], {}, "the pads -2 and -2 crop more than an axis of 3 has"),
        ("Pad", [ints(1)], {}, "1 padded axes need 2 numbers, not 1"),
        ("QuantizeLinear", [ones(2)], {"axis": 0}, r"shape \(2,\) does not fit axis 0"),
        ("Reshape", [ints(3, 0)], {}, "copies an axis that the input"),
        ("Split", [], {"num_outputs": -13}, "num_outputs must be at least 1"),
        ("Split", [], {"num_outputs": 0}, "num_outputs must be at least 1"),
        ("Split", [ints(1, 1)], {}, "the pieces add up to 2, axis 0 has 3"),
        ("Tile", [ints(1, 1)], {}, "one repeat an axis is needed"),
        ("TopK", [ints(4)], {}, "the 4 largest of 3 are asked for"),
        ("Split", [], {"num_outputs": 1 << 31}, "3 elements make no 2,147,483,648 pieces of 1"),
        ("Gather", [ints(200)], {}, "index 200 is out of range"),
        ("Transpose", [], {"perm": (1 << 62,)}, "is no order of 1 axes"),
        ("Transpose", [], {"perm": (-1,)}, "is no order of 1 axes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_inputs_and_attributes_that_do_not_fit(op_type: str, rest: Any, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=f"{LABEL}.*{message}"):
        run(op_type, (1, 1, 3) if op_type in ("GRU", "RotaryEmbedding") else (3,), rest, Limits(), **attributes)


@pytest.mark.parametrize(
    ("op_type", "name", "message"),
    [("ReduceSum", "", "input 0 of ReduceSum is missing"), ("Sin", X, "cannot run: Cannot cast")],
)
def test_nodes_of_nothing_and_of_elements_of_other_types(op_type: str, name: str, message: str) -> None:
    inputs, outputs = (Value(X, TensorType("uint32", (3,))),), (Value(Y, TensorType("uint32", None)),)
    graph = Graph("g", inputs, outputs, (Node(op_type, LABEL, (name,), (Y,)),), {})
    with Model(graph, threads=1) as model, pytest.raises(PlanError, match=f"{LABEL}.*{message}"):
        model.run({X: np.ones(3, np.uint32)})


def test_sizes_that_are_no_integers() -> None:
    with pytest.raises(PlanError, match=f"{LABEL}.*cannot be interpreted as an integer"):
        run("MaxPool", (1, 1, 9), [], Limits(), kernel_shape=(3.0,))


def graph_of(inputs: str, outputs: str, *nodes: Node, **tensors: np.ndarray) -> Graph:
    """A graph whose inputs and outputs have names of one letter, and nothing is known of them."""
    taken, given = ([Value(name, TensorType("float32", None)) for name in names] for names in (inputs, outputs))
    return Graph("b", tuple(taken), tuple(given), nodes, {name: DenseTensor.of(array) for name, array in tensors.items()})


ANSWER = graph_of("", "z", Node("Relu", "", (X,), ("z",)))


@pytest.mark.parametrize(
    "branches",
    [
        {"then_branch": 1.0, "else_branch": 1.0},
        {"else_branch": ANSWER},
        {"then_branch": 1.0, "else_branch": ANSWER},
        {"then_branch": graph_of("a", "a"), "else_branch": ANSWER},
    ],
    ids=["numbers", "one branch", "a number", "a branch with inputs"],
)
@pytest.mark.parametrize("known", [True, False])
def test_branches_that_are_no_graphs(branches: dict[str, Any], known: bool) -> None:
    nodes = (Node("If", LABEL, ("c",), (Y,), branches),)
    if not known:
        nodes = (Node("Cast", "", (X,), ("c",), {"to": 9}), *nodes)
    values = (Value(X, TensorType("float32", ())),), (Value(Y, TensorType("float32", None)),)
    g = Graph("g", *values, nodes, {"c": DenseTensor.of(np.array(True))} if known else {})
    with Model(g, threads=1) as model, pytest.raises(PlanError, match=f"{LABEL}.*If"):
        model.run({X: np.array(1, np.float32)})


@pytest.mark.parametrize(
    "node",
    [
        Node("Identity", LABEL, (), ("d",)),
        Node("Less", LABEL, ("i",), ("d",)),
        Node("And", LABEL, ("c", "c", "c"), ("d",)),
        Node("Gather", LABEL, (), ("d",)),
        Node("Gather", LABEL, (X, "i"), ("d",), {"axis": np.zeros(3)}),
    ],
    ids=lambda node: f"{node.op_type} of {len(node.inputs)}",
)
def test_nodes_in_a_loop_that_no_operator_can_do_anything_with(node: Node) -> None:
    body = graph_of("ics", "dt", node, Node("Relu", "", ("s",), ("t",)))
    values = (Value(X, TensorType("float32", (3,))),), (Value(Y, TensorType("float32", None)),)
    loop = Node("Loop", f"{LABEL}, loop", ("m", "", X), (Y,), {"body": body})
    g = Graph("g", *values, (loop,), {"m": DenseTensor.of(np.array(2))})
    with Model(g, threads=1) as model, pytest.raises(PlanError, match=LABEL):
        model.run({X: ones(3)})


def test_a_window_of_many_positions_over_nothing_takes_no_time() -> None:
    assert run("MaxPool", (0, 1, 1, 9), [], Limits(), kernel_shape=(1, 30_000_000), pads=(0, 0, 0, 30_000_000)).size == 0


def test_phases_that_no_column_of_a_kernel_meets_are_not_packed() -> None:
    stride, w = 20_000_000, np.arange(6000, dtype=np.float32).reshape(1, 2000, 3)
    assert run("Conv", (1, 2000, 3), [w], Limits(), strides=(stride,), pads=(1, 0)) == w[..., 1:].sum()


@pytest.mark.parametrize(
    "heads", [{"q_num_heads": 20, "kv_num_heads": 20}, {"q_num_heads": 3, "kv_num_heads": 3}, {"q_num_heads": -2}]
)
def test_elements_divide_into_heads(heads: dict[str, int]) -> None:
    with pytest.raises(PlanError, match=f"{LABEL}.*8 elements do not divide into"):
        run("Attention", (2, 5, 8), [ones(2, 6, 8), ones(2, 6, 8)], Limits(), **heads)


@pytest.mark.parametrize("groups", [-1, 0, 3, 9])
def test_channels_divide_into_groups(groups: int) -> None:
    with pytest.raises(PlanError, match=f"{LABEL}.*4 channels do not divide into {groups} groups"):
        run("GroupNormalization", (2, 4, 5), [ones(4), ones(4)], Limits(), num_groups=groups)


def test_instances_have_channels() -> None:
    with pytest.raises(PlanError, match=f"{LABEL}.*no axis of channels"):
        run("InstanceNormalization", (4,), [ones(4), ones(4)], Limits())


@pytest.mark.parametrize("op_type", ["LayerNormalization", "RMSNormalization"])
@pytest.mark.parametrize("axis", [-4, 3])
def test_normalised_axes_are_there(op_type: str, axis: int) -> None:
    with pytest.raises(PlanError, match=f"{LABEL}.*axis {axis} is out of range for 3 axes"):
        run(op_type, (2, 4, 5), [ones(5)], Limits(), axis=axis)


@pytest.mark.parametrize(
    "nodes",
    [
        (Node("HardSigmoid", "", (X,), ("h",), {"alpha": (1.0, 2.0)}), Node("Mul", LABEL, (X, "h"), (Y,))),
        (Node("MatMul", "", (X, "w"), ("h",)), Node("LeakyRelu", LABEL, ("h",), (Y,), {"alpha": ()})),
    ],
    ids=["read as an operator", "taken in by the one before"],
)
def test_attributes_of_activations_that_are_no_numbers(nodes: tuple[Node, ...]) -> None:
    inputs, outputs = (Value(X, TensorType("float32", (2, 2))),), (Value(Y, TensorType("float32", None)),)
    g = Graph("g", inputs, outputs, nodes, {"w": DenseTensor.of(ones(2, 2))})
    with Model(g, threads=1) as model, pytest.raises(PlanError, match=LABEL):
        model.run({X: ones(2, 2)})
