"""A tidy graph is shorter, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.packer.training import export, tidy, to_graph
from tersor.runtime import load

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::FutureWarning:copyreg")]

OPTIONS = {"input_names": ["image"], "output_names": ["logits"], "dynamic_shapes": ({0: torch.export.Dim("N")},)}


class Computes(nn.Module):
    """A function of (N, 3, 4), a matrix (3, 4) at hand."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.arange(12.0).reshape(3, 4))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.matrix)


def turned(x: Tensor, _: Tensor) -> Tensor:
    return x.permute(1, 0, 2).reshape(x.shape[0], 12)


def turned_inside(x: Tensor, _: Tensor) -> Tensor:
    return x.permute(1, 0, 2).reshape(x.shape[0], 12).softmax(1).reshape(-1)


def other_than_the_batch(x: Tensor, matrix: Tensor) -> Tensor:
    return x.flatten(1)[:, :6] @ (matrix.sin() + 0 * x.sum()).reshape(6, 2)


def branches(x: Tensor, matrix: Tensor) -> Tensor:
    scaled = x * matrix.detach()  # torch's tracer warns of operands that carry a gradient
    return torch.cond(x.sum() > 0, lambda h: h.reshape(-1, 12) * 2, lambda h: -h.reshape(-1, 12), (scaled,))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("function", [turned, turned_inside, other_than_the_batch, branches])
def test_computes_the_same(function: Callable[[Tensor, Tensor], Tensor], dynamic: bool, tmp_path: Path) -> None:
    module = Computes(function).eval()
    x = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0))
    shapes = ({0: torch.export.Dim("N")},) if dynamic else None
    path = tmp_path / "net.tersor"
    export(module, x, path, compact=True, input_names=["x"], output_names=["y"], dynamic_shapes=shapes)
    with load(path) as model:
        np.testing.assert_allclose(model.run({"x": x.numpy()})["y"], module(x).detach().numpy(), atol=1e-6)


def test_names_in_subgraphs_stay_apart() -> None:
    """What a branch calls "0" is not what the graph around it comes to call so, and what it captures follows its new name."""
    floats = TensorType("float32", (2,))
    inner = Node("Add", "", ("long", "weights"), ("0",)), Node("Add", "", ("0", "0"), ("2",))
    branch = Graph("", (), (Value("2", floats),), inner)
    other = Graph("", (), (Value("long", floats),), ())
    nodes = (
        Node("Relu", "", ("x",), ("long",)),
        Node("ReduceSum", "", ("x",), ("total",), {"keepdims": 0}),
        Node("Cast", "", ("total",), ("positive",), {"to": 9}),
        Node("If", "", ("positive",), ("y",), {"then_branch": branch, "else_branch": other}),
    )
    tensors = {"weights": DenseTensor.of(np.ones(2, np.float32))}
    short = tidy(Graph("", (Value("x", floats),), (Value("y", floats),), nodes, tensors))
    then, otherwise = short.nodes[-1].attributes["then_branch"], short.nodes[-1].attributes["else_branch"]
    assert isinstance(then, Graph)
    assert isinstance(otherwise, Graph)
    (weights,), (long,) = short.initializers, short.nodes[0].outputs
    assert len({weights, long, "0", "2"}) == 4
    assert [node.inputs for node in then.nodes] == [(long, weights), ("0", "0")]
    assert otherwise.outputs[0].name == long


def test_tidy_graph_is_short_and_computes_the_same(network: nn.Sequential) -> None:
    graph = to_graph(network, torch.zeros(2, 1, 14, 14), compact=True, **OPTIONS)
    operators = [node.op_type for node in graph.nodes]
    assert operators == ["Conv", "Relu", "MaxPool", "Conv", "Relu", "Flatten", "Gemm", "Relu", "Gemm"]
    assert list(graph.initializers) == [str(number) for number in range(8)]
    assert [dict(node.attributes) for node in graph.nodes if node.op_type in ("Conv", "Gemm")] == [{}, {}] + [{"transB": 1}] * 2
    assert [value.name for value in (*graph.inputs, *graph.outputs)] == ["image", "logits"]


def test_tidy_keeps_what_is_not_default() -> None:
    nodes = (
        Node("Conv", "a", ("x", "w", "b"), ("y",), {"strides": (2, 2), "pads": (0, 0, 0, 0), "group": 1, "auto_pad": "NOTSET"}),
        Node("Reshape", "c", ("y", "s"), ("z",), {"allowzero": 0}),
        Node("Relu", "unused", ("z",), ("nobody",)),
    )
    tensors = {
        "w": DenseTensor.of(np.ones((2, 1, 3, 3), np.float32)),
        "b": DenseTensor.of(np.ones(2, np.float32)),
        "s": DenseTensor.of(np.array([2, -1, 1], np.int64)),
        "t": DenseTensor.of(np.ones(1, np.float32)),
    }
    x, z = Value("x", TensorType("float32", (2, 1, 9, 9))), Value("z", TensorType("float32", (2, 32, 1)))
    short = tidy(Graph("g", (x,), (z,), nodes, tensors, {"source": "test"}))
    assert [(node.op_type, dict(node.attributes)) for node in short.nodes] == [("Conv", {"strides": (2, 2)}), ("Reshape", {})]
    assert [node.inputs for node in short.nodes] == [("x", "0", "1"), ("3", "2")]
    assert not short.metadata


def test_a_constant_that_is_an_output_stays(tmp_path: Path) -> None:
    w = DenseTensor.of(np.ones((2, 2), np.float32))
    values = {name: Value(name, TensorType("float32", (2, 2))) for name in ("x", "y", "anchors")}
    graph = Graph(
        "g",
        (values["x"],),
        (values["y"], values["anchors"]),
        (Node("MatMul", "", ("x", "w"), ("y",)),),
        {"w": w, "anchors": w, "spare": w},
    )
    assert set(tidy(graph).initializers) == {"anchors", *set(tidy(graph).nodes[0].inputs) - {"x"}}
