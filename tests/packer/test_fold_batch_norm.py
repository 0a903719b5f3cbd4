from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tersor.format_spec.graph import Graph, Node
from tersor.format_spec.tensors import DenseTensor
from tersor.packer.fold_batch_norm import fold_batch_norm
from tersor.packer.quantize.share import share
from tersor.runtime.ops import find_operator
from tests.packer.parts import value

STATISTICS = ("scale", "shift", "mean", "var")


def random(*shape: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def norm(inputs: str, output: str, **attributes: Any) -> Node:
    return Node("BatchNormalization", "bn", tuple(inputs.split()), (output,), attributes)


def model(op_type: str, weight: np.ndarray, bias: np.ndarray | None, channels: int, **attributes: Any) -> Graph:
    """x -> layer -> batch norm -> y."""
    inputs = ("x", "w") if bias is None else ("x", "w", "b")
    layer = Node(op_type, "layer", inputs, ("h",), attributes)
    tensors = {"w": weight} | ({} if bias is None else {"b": bias})
    tensors |= {name: random(channels, seed=i + 1) for i, name in enumerate(STATISTICS)}
    tensors["var"] = np.abs(tensors["var"]) + 0.1
    nodes = (layer, norm("h scale shift mean var", "y", epsilon=1e-3))
    return Graph("g", (value("x"),), (value("y"),), nodes, {name: DenseTensor.of(a) for name, a in tensors.items()})


def run(graph: Graph, x: np.ndarray) -> np.ndarray:
    values: dict[str, Any] = {name: tensor.dense() for name, tensor in graph.initializers.items()} | {"x": x, "": None}
    for node in graph.nodes:
        values[node.outputs[0]] = find_operator(node)(*(values[name] for name in node.inputs), **node.attributes)[0]
    return values["y"]


CASES = {
    "conv": (model("Conv", random(6, 3, 3, 3), random(6, seed=9), 6), (2, 3, 8, 8)),
    "conv without bias": (model("Conv", random(6, 3, 3, 3), None, 6), (2, 3, 8, 8)),
    "grouped conv": (model("Conv", random(6, 2, 3, 3), None, 6, group=2), (2, 4, 8, 8)),
    "conv 1d": (model("Conv", random(6, 3, 3), None, 6), (2, 3, 9)),
    "transposed conv": (model("ConvTranspose", random(4, 5, 2, 2), random(5, seed=9), 5), (1, 4, 3, 3)),
    "grouped transposed conv": (model("ConvTranspose", random(4, 5, 2, 2), None, 10, group=2), (1, 4, 3, 3)),
    "gemm": (model("Gemm", random(7, 5), random(5, seed=9), 5, alpha=0.5, beta=2.0), (3, 7)),
    "gemm, transposed": (model("Gemm", random(5, 7), random(1, 5, seed=9), 5, transB=1), (3, 7)),
    "gemm, one bias": (model("Gemm", random(5, 7), random(1, seed=9), 5, transB=1), (3, 7)),
    "gemm, one bias of a row": (model("Gemm", random(5, 7), random(1, 1, seed=9), 5, transB=1), (3, 7)),
    "gemm without bias": (model("Gemm", random(7, 5), None, 5, beta=3.0), (3, 7)),
}


@pytest.mark.parametrize("name", CASES)
def test_folding_keeps_the_function(name: str):
    graph, shape = CASES[name]
    folded = fold_batch_norm(graph)
    assert [node.op_type for node in folded.nodes] == [graph.nodes[0].op_type]
    assert folded.nodes[0].outputs == ("y",)
    assert set(folded.initializers) == {"w", folded.nodes[0].inputs[2]}
    x = random(*shape, seed=5)
    np.testing.assert_allclose(run(folded, x), run(graph, x), rtol=2e-5, atol=2e-5)


def test_arithmetic_is_float64_rounded_once():
    graph, _ = CASES["conv"]
    folded = fold_batch_norm(graph)
    exact = {name: tensor.dense().astype(np.float64) for name, tensor in graph.initializers.items()}
    factor = exact["scale"] / np.sqrt(exact["var"] + 1e-3)
    weight = exact["w"] * factor[:, None, None, None]
    np.testing.assert_array_equal(folded.initializers["w"].dense(), weight.astype(np.float32))
    bias = exact["b"] * factor + (exact["shift"] - exact["mean"] * factor)
    np.testing.assert_array_equal(folded.initializers["b"].dense(), bias.astype(np.float32))


def test_names_stay_and_a_new_bias_gets_a_free_one():
    graph, _ = CASES["conv without bias"]
    taken = replace(graph, initializers={**graph.initializers, "w_bias": DenseTensor.of(random(1))})
    assert fold_batch_norm(graph).nodes[0].inputs == ("x", "w", "w_bias")
    assert fold_batch_norm(taken).nodes[0].inputs == ("x", "w", "w_bias_")


def test_tensors_are_computed_each_time_they_are_read():
    graph, _ = CASES["conv"]
    reads: list[str] = []

    def watched(name: str, array: np.ndarray) -> DenseTensor:
        return DenseTensor(array.dtype, array.shape, lambda: (reads.append(name), array)[1])

    lazy = replace(graph, initializers={name: watched(name, tensor.dense()) for name, tensor in graph.initializers.items()})
    folded = fold_batch_norm(lazy)
    reads.clear()
    folded.initializers["b"].dense()
    assert set(reads) >= {"b", "scale"}
    assert "w" not in reads
    folded.initializers["w"].dense()
    assert reads.count("w") == 1


def test_two_in_a_row_are_both_folded():
    graph, shape = CASES["conv"]
    nodes = (graph.nodes[0], replace(graph.nodes[1], outputs=("m",)), norm("m shift2 scale2 mean2 var2", "y"))
    names = ("shift2", "scale2", "mean2", "var2")
    extra = {name: DenseTensor.of(np.abs(random(6, seed=20 + i))) for i, name in enumerate(names)}
    chained = replace(graph, nodes=nodes, initializers={**graph.initializers, **extra})
    folded = fold_batch_norm(chained)
    assert len(folded.nodes) == 1
    x = random(*shape, seed=5)
    np.testing.assert_allclose(run(folded, x), run(chained, x), rtol=2e-5, atol=2e-5)


def test_statistics_that_others_read_stay():
    graph, _ = CASES["conv"]
    reader = Node("Identity", "i", ("scale",), ("z",))
    folded = fold_batch_norm(replace(graph, nodes=(*graph.nodes, reader)))
    assert set(folded.initializers) == {"w", "b", "scale"}


def left_alone() -> dict[str, Graph]:
    graph, _ = CASES["conv"]
    conv, batch_norm = graph.nodes

    def tensors(**changed: Any) -> Graph:
        return replace(graph, initializers={**graph.initializers, **changed})

    def alike(value: float) -> DenseTensor:
        return DenseTensor.of(np.full(6, value, np.float32))

    weight = graph.initializers["w"].dense()
    computed = (Node("Relu", "r", ("b",), ("b2",)), replace(conv, inputs=("x", "w", "b2")))
    subgraph = Graph("body", (), (value("z"),), (Node("Relu", "r", ("h",), ("z",)),))
    branch = Node("If", "if", ("x",), ("z",), {"then_branch": subgraph})
    return {
        "output read twice": replace(graph, nodes=(*graph.nodes, Node("Relu", "r", ("h",), ("z",)))),
        "output captured by a subgraph": replace(graph, nodes=(*graph.nodes, branch)),
        "output of the graph": replace(graph, outputs=(*graph.outputs, value("h"))),
        "weight read twice": replace(graph, nodes=(*graph.nodes, replace(conv, outputs=("z",)))),
        "weight given from outside": replace(graph, inputs=(*graph.inputs, value("w"))),
        "bias read twice": replace(graph, nodes=(*graph.nodes, Node("Relu", "r", ("b",), ("z",)))),
        "shared weight": tensors(w=share("w", weight, None, (0,), 4)),
        "integer weight": tensors(w=DenseTensor.of(weight.astype(np.int8))),
        "computed bias": replace(graph, nodes=(*computed, batch_norm)),
        "no variance": tensors(var=alike(-1e-3)),
        "negative variance": tensors(var=alike(-1)),
        "infinite scale": tensors(scale=alike(np.inf)),
        "weight beyond float32": tensors(w=DenseTensor.of(weight * np.float32(1e30)), scale=alike(1e30)),
        "bias beyond float32": tensors(mean=alike(3e38), scale=alike(1e30)),
        "wrong number of channels": tensors(scale=DenseTensor.of(random(1))),
        "training": replace(graph, nodes=(conv, replace(batch_norm, attributes={"training_mode": 1}))),
        "more outputs": replace(graph, nodes=(conv, replace(batch_norm, outputs=("y", "m", "v")))),
        "product": model("MatMul", random(6, 6), None, 6),
        "other operator": replace(graph, nodes=(Node("Relu", "r", ("x",), ("h",)), batch_norm)),
        "graph input": replace(graph, nodes=(replace(batch_norm, inputs=("x", *batch_norm.inputs[1:])),)),
    }


@pytest.mark.parametrize("name", left_alone())
def test_what_cannot_be_folded_is_left_alone(name: str):
    graph = left_alone()[name]
    folded = fold_batch_norm(graph)
    assert folded.nodes == graph.nodes
    assert dict(folded.initializers) == dict(graph.initializers)


@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose", "Gemm"])
def test_a_weight_that_is_no_matrix_is_left_alone(op_type: str):
    graph = model(op_type, random(6), None, 6)
    assert fold_batch_norm(graph).nodes == graph.nodes


@pytest.mark.parametrize("group", [0, -1, 3])
def test_groups_that_do_not_divide_the_channels_are_left_alone(group: int):
    graph = model("ConvTranspose", random(4, 5, 2, 2), None, 5, group=group)
    assert fold_batch_norm(graph).nodes == graph.nodes


def half(weight: float, scale: np.ndarray, var: float) -> Graph:
    """A float16 convolution with weights around ``weight`` and its batch norm."""
    graph = model("Conv", (weight * random(4, 3, 3, 3)).astype(np.float16), None, 4)
    tensors = {"scale": scale, "shift": np.ones(4), "mean": np.ones(4), "var": np.full(4, var)}
    changed = {name: DenseTensor.of(array.astype(np.float16)) for name, array in tensors.items()}
    return replace(graph, initializers={**graph.initializers, **changed})


HALVES = {
    "ordinary": (half(0.05, np.ones(4), 1), True),
    "overflow": (half(3000, np.ones(4), 1e-6), False),
    "overflow of the bias": (half(0.01, np.full(4, 60_000), 0), False),
    "coarse": (half(0.01, np.full(4, 1e-4), 1), False),
    "one channel coarse": (half(0.01, np.array([1, 1, 1e-4, 1]), 1), False),
    "one channel zero": (half(0.01, np.array([1, 1, 0, 1]), 1), True),
    "coarse before": (half(1e-6, np.full(4, 2), 1), True),
    "coarser than before": (half(1e-6, np.full(4, 0.5), 1), False),
}


@pytest.mark.parametrize("name", HALVES)
def test_float16_is_folded_where_it_holds_the_result(name: str):
    graph, folds = HALVES[name]
    folded = fold_batch_norm(graph)
    assert len(folded.nodes) == (1 if folds else 2)
    assert folds or dict(folded.initializers) == dict(graph.initializers)


def test_float16_keeps_its_precision():
    graph, _ = HALVES["ordinary"]
    exact = graph.initializers["w"].dense().astype(np.float64) / np.sqrt(1 + 1e-3)
    error = np.abs(fold_batch_norm(graph).initializers["w"].dense() - exact).max(axis=(1, 2, 3))
    assert (error <= 2**-11 * np.abs(exact).max(axis=(1, 2, 3))).all()


def test_a_matrix_bias_of_gemm_is_left_alone():
    graph = model("Gemm", random(7, 5), random(3, 5, seed=9), 5)
    assert fold_batch_norm(graph).nodes == graph.nodes
