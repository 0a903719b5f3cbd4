"""What loops carry without changing it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from tersor.converters import from_onnx, to_onnx
from tersor.converters.unchanged import capture_unchanged
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.packer import Layer, Recipe, pack
from tersor.runtime import load

FLOAT, INT, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def value(name: str, kind: int = FLOAT, shape: tuple[int, ...] = (1, 8)) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def looping(results: tuple[str, ...] = ("h", "last")) -> onnx.ModelProto:
    """h = tanh(h @ w), ``count`` times; the loop carries w, which its body calls ``k`` and hands on, before h."""
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["s", "k"], ["m"]),
            helper.make_node("Tanh", ["m"], ["t"]),
            helper.make_node("Identity", ["go"], ["again"]),
        ],
        "body",
        [value("i", INT, ()), value("go", BOOL, ()), value("k", FLOAT, (8, 8)), value("s")],
        [value("again", BOOL, ()), value("k", FLOAT, (8, 8)), value("t")],
    )
    nodes = [helper.make_node("Loop", ["count", "", "w", "x"], ["last", "h"], "loop", body=body)]
    shapes = {"h": (1, 8), "last": (8, 8)}
    graph = helper.make_graph(
        nodes,
        "looping",
        [value("count", INT, ()), value("x")],
        [value(name, FLOAT, shapes[name]) for name in results],
        [numpy_helper.from_array(np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def run_dense(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, inputs)]


@pytest.mark.parametrize("results", [("h",), ("h", "last")])
@pytest.mark.parametrize("count", [0, 3])
def test_it_is_read_from_around_them(tmp_path: Path, results: tuple[str, ...], count: int):
    model = looping(results)
    graph = from_onnx(model)
    (loop,) = (node for node in graph.nodes if node.op_type == "Loop")
    assert loop.inputs == ("count", "", "x")
    (body,) = graph.subgraphs()
    assert [v.name for v in body.inputs] == ["i", "go", "s"]
    assert ("s", "w") in [node.inputs for node in body.nodes]
    x = {"count": np.array(count), "x": np.ones((1, 8), np.float32)}
    want = run_dense(model, x)
    pack(graph, tmp_path / "loop.tersor", Recipe.lossless())
    with load(tmp_path / "loop.tersor") as packed:
        found = packed.run(x)
    again = run_dense(to_onnx(graph), x)
    for name, expected, other in zip(results, want, again, strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(other, expected, rtol=1e-5, atol=1e-6)


def test_weights_of_loops_are_known_as_others(tmp_path: Path):
    report = pack(from_onnx(looping(("h",))), tmp_path / "loop.tersor", Recipe(fc=Layer(bits=2)))
    assert [(tensor.name, tensor.kind) for tensor in report.tensors] == [("w", "fc")]


def test_what_has_a_name_in_the_body_is_carried_on():
    i, go, k = (Value(name, TensorType(kind, ())) for name, kind in (("i", "int64"), ("go", "bool"), ("k", "float32")))

    def loop(made: str) -> Node:
        body = Graph("body", (i, go, k), (go, k), (Node("Abs", "", ("k",), (made,)),), {})
        return Node("Loop", "loop", ("", "", "w"), ("last",), {"body": body})

    for made, inputs in (("a", ("", "")), ("w", ("", "", "w"))):
        graph = Graph("main", (Value("w", k.type),), (Value("last", k.type),), (loop(made),), {})
        assert capture_unchanged(graph).nodes[-1].inputs == inputs
