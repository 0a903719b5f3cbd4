"""Every graph pass changes the plan or the graph, and no answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.parser import parse_graph

from tersor.converters import from_onnx
from tersor.packer import Recipe, pack
from tersor.runtime import load

Off = Callable[[pytest.MonkeyPatch], None]


def squaring() -> onnx.GraphProto:
    """The body of a loop that hands its only value on."""
    return parse_graph("""b (int64 step, bool go, float[K,N] state) => (bool going, float[K,N] next, float[K,N] made) {
        going = Identity(go) next = Identity(state) made = Mul(state, state)
    }""")


def branch(axis: str) -> onnx.GraphProto:
    """A branch that makes a view of a value from around it, with another axis."""
    return parse_graph(f"b () => (float[K,L,M,N,1] and_{axis}) {{ and_{axis} = Unsqueeze(long, {axis}) }}")


def everything() -> onnx.ModelProto:
    """A model in which each pass finds work."""
    rng = np.random.default_rng(0)

    def tensor(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.uniform(0.5, 1.5, shape).astype(np.float32), name)

    weights = [
        tensor("w", 4, 3, 3, 3),
        *(tensor(name, 4) for name in ("gamma", "beta", "mean", "variance")),
        tensor("v", 4, 4, 1, 1),
        tensor("factor", 4, 1, 1),
        tensor("table", 12, 40),
        numpy_helper.from_array(np.array([1, 2, 36], np.int64), "shape"),
        numpy_helper.from_array(np.array([1, 2, 1], np.int64), "part"),
        tensor("epsilon"),
        *(
            numpy_helper.from_array(np.array(n, np.float32), name)
            for name, n in (("zero", 0), ("one", 1), ("half", 0.5), ("three", 3), ("six", 6), ("root_of_two", 2**0.5))
        ),
        tensor("scale", 4),
        numpy_helper.from_array(np.array([-1], np.int64), "last"),
        numpy_helper.from_array(np.array(3, np.int64), "times"),
        numpy_helper.from_array(np.array([1], np.int64), "single"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "gamma", "beta", "mean", "variance"], ["b"], epsilon=0.1),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Identity", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "v"], ["e"]),
        helper.make_node("Mul", ["e", "factor"], ["f"]),
        helper.make_node("Add", ["f", "d"], ["g"]),
        helper.make_node("Exp", ["g"], ["dead"]),
        helper.make_node("Mul", ["part", "shape"], ["target"]),
        helper.make_node("Transpose", ["table"], ["turned"], perm=[1, 0]),
        helper.make_node("Tanh", ["g"], ["measured"]),
        helper.make_node("Shape", ["measured"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["nothing"]),
        helper.make_node("Add", ["g", "nothing"], ["same"]),
        helper.make_node("Reshape", ["same", "target"], ["h"]),
        helper.make_node("Transpose", ["h"], ["t"], perm=[0, 2, 1]),
        helper.make_node("ReduceSum", ["turned"], ["total"], keepdims=0),
        helper.make_node("Add", ["t", "total"], ["u"]),
        helper.make_node("Transpose", ["u"], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["u", "keys"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "u"], ["k"]),
        helper.make_node("Mul", ["k", "k"], ["squares"]),
        helper.make_node("ReduceMean", ["squares", "last"], ["power"]),
        helper.make_node("Add", ["power", "epsilon"], ["more"]),
        helper.make_node("Sqrt", ["more"], ["root"]),
        helper.make_node("Div", ["k", "root"], ["normal"]),
        helper.make_node("Mul", ["normal", "scale"], ["z"]),
        helper.make_node("Div", ["z", "root_of_two"], ["less"]),
        helper.make_node("Erf", ["less"], ["likely"]),
        helper.make_node("Add", ["likely", "one"], ["gate"]),
        helper.make_node("Mul", ["z", "gate"], ["twice"]),
        helper.make_node("Mul", ["twice", "half"], ["gelu"]),
        helper.make_node("Add", ["gelu", "three"], ["moved"]),
        helper.make_node("Clip", ["moved", "zero", "six"], ["kept"]),
        helper.make_node("Mul", ["gelu", "kept"], ["more_of_it"]),
        helper.make_node("Div", ["more_of_it", "six"], ["hard"]),
        helper.make_node("Sigmoid", ["hard"], ["logistic"]),
        helper.make_node("Mul", ["hard", "logistic"], ["start"]),
        helper.make_node("Loop", ["times", "", "start"], ["", "steps"], body=squaring()),
        helper.make_node("Unsqueeze", ["steps", "last"], ["long"]),
        helper.make_node("Shape", ["x"], ["extent"], end=1),
        helper.make_node("Equal", ["extent", "single"], ["alone"]),
        helper.make_node("If", ["alone"], ["y"], then_branch=branch("last"), else_branch=branch("single")),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("N", 3, 6, 6))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "everything", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def run(path: Path) -> tuple[np.ndarray, int, int]:
    """The model's answer, and the numbers of nodes in the graph and of steps in the plan."""
    graph = from_onnx(everything())
    pack(graph, path, Recipe.lossless())
    x = np.random.default_rng(1).standard_normal((1, 3, 6, 6)).astype(np.float32)
    with load(path, threads=1) as model:
        return model.run({"x": x})["y"], len(graph.nodes), len(model.plan({"x": x.shape}).steps)


def test_a_pass_switched_off_leaves_more_to_do_and_the_same_answer(
    without: Off, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, nodes, steps = run(tmp_path / "with.tersor")
    without(monkeypatch)
    found, more_nodes, more_steps = run(tmp_path / "without.tersor")
    assert more_nodes >= nodes
    assert more_steps >= steps
    assert more_nodes + more_steps > nodes + steps
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "constants", "x", "expected"),
    [
        (
            [helper.make_node("Gemm", ["x", "w"], ["a"], alpha=1e38), helper.make_node("Mul", ["a", "z"], ["y"])],
            {"w": np.eye(2), "z": np.array(1e3)},
            np.full((1, 2), 1e-20),
            1e21,
        ),
        (
            [helper.make_node(*node) for node in (("Conv", "xw", "a"), ("Mul", "az", "b"), ("Mul", "bz", "y"))],
            {"w": np.ones((1, 1, 1, 1)), "z": np.array(1e-24)},
            np.full((1, 1, 1, 2), 1e35),
            1e-13,
        ),
        (
            [helper.make_node(*node) for node in (("Conv", "xw", "a"), ("Sub", "ac", "b"), ("Mul", "bz", "y"))],
            {"w": np.ones((1, 1, 1, 1)), "z": np.array(1e20), "c": np.array(1e20)},
            np.full((1, 1, 1, 2), 1e20),
            0,
        ),
        (
            [helper.make_node(*node) for node in (("Conv", "xwc", "a"), ("Mul", "az", "y"))],
            {"w": -np.ones((1, 1, 1, 1)), "z": np.array(1e20), "c": np.array([1e20])},
            np.full((1, 1, 1, 2), 1e20),
            0,
        ),
    ],
    ids=["a scale of the node's own", "scales that vanish", "a shift", "a bias"],
)
def test_what_float32_holds_only_one_after_the_other_stays_apart(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], x: np.ndarray, expected: float, tmp_path: Path
) -> None:
    tensors = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in "xy"]
    model = helper.make_model(
        helper.make_graph(nodes, "g", values[:1], values[1:], tensors), opset_imports=[helper.make_opsetid("", 18)]
    )
    pack(from_onnx(model), tmp_path / "m.tersor", Recipe.lossless())
    with load(tmp_path / "m.tersor", threads=1) as packed:
        y = packed.run({"x": x.astype(np.float32)})["y"]
    np.testing.assert_allclose(y, np.full(x.shape, expected), rtol=1e-6)
