"""Graphs of the valid goldens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tersor.format_spec.graph import Graph, Node, Tensor, TensorType, Value
from tersor.format_spec.tensors import DenseTensor

from .arrays import weights


def network() -> Graph:
    """Two layers whose weights are pruned and shared already, as ``pack`` takes them."""
    first = weights((24, 40), 30, 200)
    second = weights((6, 24), 200, seed=5)
    values = (Value("x", TensorType("float32", ("N", 40))), Value("y", TensorType("float32", ("N", 6))))
    nodes = (
        Node("Gemm", "fc1", ("x", "w1", "b1"), ("h",), {"transB": 1}),
        Node("Relu", "relu", ("h",), ("r",)),
        Node("Gemm", "fc2", ("r", "w2"), ("y",), {"transB": 1}),
    )
    tensors = {"w1": first, "b1": weights((24,), 24, step=-0.3), "w2": second}
    return Graph("network", values[:1], values[1:], nodes, {n: DenseTensor.of(a) for n, a in tensors.items()}, {"by": "tests"})


def everything() -> Graph:
    """Every kind of attribute and of type, nested subgraphs with tensors of their own, captures, absent inputs."""
    deepest = Graph(
        "deepest", (), (Value("z", TensorType("float32", None)),), (Node("Add", "", ("t", "u"), ("z",)),), tensors(u=3)
    )
    deeper = Graph(
        "deeper",
        (),
        (Value("z", TensorType("float32", (None, "rows", 4))),),
        (Node("If", "inner", ("c",), ("z",), {"else_branch": deepest, "then_branch": deepest}),),
        tensors(u=2, v=1),
    )
    attributes = {
        "an_array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "an_empty_list": (),
        "array_of_bools": np.array(True),
        "float": -0.5,
        "floats": (0.5, float("inf")),
        "graph": deeper,
        "int": -(1 << 63),
        "ints": (1, 0, -1, (1 << 63) - 1),
        "string": "Größe \N{SNOWMAN} \0",
        "strings": ("", "Conv"),
    }
    node = Node("Custom", "node", ("x", "", "t"), ("y", ""), attributes)
    inputs = (Value("x", TensorType("float16", (1, 0, "N", None))), Value("c", TensorType("bool", ())))
    return Graph("everything", inputs, (Value("y", TensorType("complex128", None)),), (node,), tensors(t=4), {"k": "v", "": ""})


def tensors(**sizes: int) -> dict[str, Tensor]:
    """A float32 tensor 1, 2, ... of each name and size."""
    return {name: DenseTensor.of(np.arange(1, size + 1, dtype=np.float32)) for name, size in sizes.items()}


GRAPHS: dict[str, Callable[[], Graph]] = {
    "graph-empty": lambda: Graph("", (), (), ()),
    "graph-everything": everything,
    "graph-compressed-manifest": lambda: Graph(
        "long",
        (),
        (Value("v60", TensorType("float32", (1,))),),
        tuple(Node("Identity", f"node{i}", (f"v{i}" if i else "w",), (f"v{i + 1}",)) for i in range(60)),
        tensors(w=1),
    ),
}
"""Goldens that are about the graph; their tensors are raw."""

PROFILES = ("compact", "paper", "max")
"""Goldens written by the packer: ``network()`` packed losslessly in each."""
