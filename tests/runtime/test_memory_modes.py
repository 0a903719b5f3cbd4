"""Streamed and expanded memory give the same answers."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import ref

import numpy as np
import pytest

from tersor.format_spec.coding import CodecId
from tersor.format_spec.container import TENSOR
from tersor.format_spec.errors import FormatError, PlanError
from tersor.format_spec.graph import OPSET, Graph, Node, TensorType, Value
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Recipe, pack
from tersor.runtime import load
from tersor.runtime.decode.encoded import KEPT_ENCODED, least_encoded
from tersor.runtime.kernels.conv import lower
from tersor.runtime.kernels.conv.sparse.stream import Arrangement
from tersor.runtime.ops.conv import conv
from tersor.runtime.ops.conv_transpose import conv_transpose
from tests.golden.writing import parts_of

SHAPE = (2, 3, 9, 9)


@pytest.fixture
def network(pruned) -> Graph:
    """Convolutions, one of which is not shared, layers fully connected from either side, and an operator without a kernel."""
    rng = np.random.default_rng(0)
    tensors = {
        "conv": pruned(rng, (8, 3, 3, 3), 0.5),
        "unshared": rng.standard_normal((8, 8, 1, 1)).astype(np.float32),
        "cover": pruned(rng, (30, 8, 9, 9), 0.3),
        "gemm": pruned(rng, (40, 30), 0.3),
        "bias": rng.standard_normal(40).astype(np.float32),
        "matmul": pruned(rng, (40, 20), 0.4),
        "table": pruned(rng, (20, 20), 0.4),
    }
    nodes = (
        Node("Conv", "a", ("x", "conv"), ("a",), {"pads": (1, 1, 1, 1)}),
        Node("Relu", "r", ("a",), ("r",)),
        Node("Conv", "b", ("r", "unshared"), ("b",)),
        Node("Conv", "c", ("b", "cover"), ("c",)),
        Node("Flatten", "f", ("c",), ("f",)),
        Node("Gemm", "d", ("f", "gemm", "bias"), ("d",), {"transB": 1}),
        Node("MatMul", "e", ("d", "matmul"), ("e",)),
        Node("Einsum", "m", ("e", "table"), ("m",), {"equation": "ij,kj->ik"}),
    )
    values = (Value("x", TensorType("float32", ("N", *SHAPE[1:]))),), (Value("m", TensorType("float32", ("N", 20))),)
    return Graph("net", *values, nodes, {name: DenseTensor.of(array) for name, array in tensors.items()}, {}, OPSET)


@pytest.mark.parametrize("profile", ["compact", "paper"])
@pytest.mark.parametrize("threads", [1, 2])
def test_same_answers(monkeypatch, network, tmp_path: Path, profile, threads):
    monkeypatch.setattr("tersor.runtime.decode.encoded.KEPT_ENCODED", 1)
    monkeypatch.setattr("tersor.runtime.decode.encoded.DECODED_SHARE", 0)
    path = tmp_path / "net.tersor"
    pack(network, path, Recipe.lossless(profile=profile))
    x = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    with load(path, threads=threads) as expanded, load(path, threads=threads, memory="streamed") as streamed:
        want = expanded.run({"x": x})["m"]
        for _ in range(2):
            np.testing.assert_allclose(streamed.run({"x": x})["m"], want, rtol=1e-4, atol=1e-4)
        kernels = {row.node: row.kernel for row in streamed.plan({"x": SHAPE}).rows()}
    assert kernels["a"].startswith("streamed conv")
    assert kernels["b"].startswith("decoded for conv")
    assert all(kernels[node].startswith("streamed") for node in "cde")
    assert kernels["m"] == "reference"


@pytest.mark.parametrize("activation", ["HardSwish", "LeakyRelu"])
@pytest.mark.parametrize("profile", ["compact", "paper"])
def test_activations_behind_weights_that_are_decoded(monkeypatch, network, tmp_path: Path, profile, activation):
    monkeypatch.setattr("tersor.runtime.decode.encoded.KEPT_ENCODED", 1)
    monkeypatch.setattr("tersor.runtime.decode.encoded.DECODED_SHARE", 0)
    nodes = []
    for n in network.nodes:
        activated = n.outputs[0] in tuple("abcde")
        nodes.append(replace(n, outputs=(f"{n.outputs[0]}0",)) if activated else n)
        nodes += [Node(activation, f"of {n.name}", nodes[-1].outputs, n.outputs)] if activated else []
    path = tmp_path / "net.tersor"
    pack(replace(network, nodes=tuple(nodes)), path, Recipe.lossless(profile=profile))
    x = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    with load(path) as expanded, load(path, memory="streamed") as streamed:
        np.testing.assert_allclose(streamed.run({"x": x})["m"], expanded.run({"x": x})["m"], rtol=1e-4, atol=1e-4)
        rows = {row.node: row for row in streamed.plan({"x": SHAPE}).rows()}
    assert all(activation in rows[name].op for name in "abcde")
    assert [rows[name].kernel.split()[0] for name in "abcde"] == ["streamed", "decoded", *["streamed"] * 3]


@pytest.mark.parametrize("memory", ["expanded", "streamed"])
@pytest.mark.parametrize("density", [0.1, 0.7])
def test_weights_that_differ_from_one_another(monkeypatch, tmp_path: Path, memory, density):
    monkeypatch.setattr("tersor.runtime.decode.encoded.KEPT_ENCODED", 1)
    monkeypatch.setattr("tersor.runtime.decode.encoded.DECODED_SHARE", 0)
    rng, path = np.random.default_rng(0), tmp_path / "net.tersor"
    shapes = {"conv": (24, 5, 3, 3), "deep": (24, 24, 3, 3), "gemm": (60, 24 * 6 * 7), "matmul": (60, 20)}
    tensors = {k: (rng.normal(size=s) * (rng.random(s) < density) / 20).astype(np.float32) for k, s in shapes.items()}
    nodes = (
        Node("Conv", "a", ("x", "conv"), ("a",), {"pads": (1,) * 4}),
        Node("Conv", "b", ("a", "deep"), ("b",), {"pads": (1,) * 4}),
        Node("Flatten", "f", ("b",), ("f",)),
        Node("Gemm", "d", ("f", "gemm"), ("d",), {"transB": 1}),
        Node("MatMul", "e", ("d", "matmul"), ("e",)),
    )
    values = (Value("x", TensorType("float32", (2, 5, 6, 7))),), (Value("e", TensorType("float32", (2, 20))),)
    pack(Graph("net", *values, nodes, {k: DenseTensor.of(w) for k, w in tensors.items()}, {}, OPSET), path, Recipe.lossless())
    x = rng.standard_normal((2, 5, 6, 7)).astype(np.float32)
    hidden = x
    for name in ("conv", "deep"):
        hidden = conv.reference(hidden, tensors[name], pads=(1,) * 4)
    want = hidden.reshape(2, -1) @ tensors["gemm"].T @ tensors["matmul"]
    with load(path, memory=memory) as model:
        for _ in range(2):
            np.testing.assert_allclose(model.run({"x": x})["e"], want, rtol=1e-4, atol=1e-5)
        kernels = {row.node: row.kernel for row in model.plan().rows()}
    if memory == "streamed":
        assert kernels["d"] == "streamed rows planes"
        assert kernels["e"].startswith("streamed")


@pytest.mark.parametrize("memory", ["expanded", "streamed"])
@pytest.mark.parametrize("threads", [1, 2])
def test_transposed_convolutions_of_a_convolutions_weights(monkeypatch, pruned, tmp_path: Path, threads, memory):
    monkeypatch.setattr("tersor.runtime.decode.encoded.KEPT_ENCODED", 1)
    monkeypatch.setattr("tersor.runtime.decode.encoded.DECODED_SHARE", 0)
    rng, path = np.random.default_rng(0), tmp_path / "net.tersor"
    strides = ((2, 2), (3, 3), (1, 1))
    nodes = [Node("Conv", "c", ("x", "w"), ("c",), {"pads": (1, 1, 1, 1)})]
    for k, steps in enumerate(strides):
        nodes.append(Node("ConvTranspose", f"t{k}", ("c", "w", "b"), (f"t{k}",), {"strides": steps, "pads": (1, 1, 1, 1)}))
        nodes.append(Node("Relu", f"y{k}", (f"t{k}",), (f"y{k}",)))
    x, w, b = (rng.standard_normal(SHAPE) * 2).astype(np.float32), pruned(rng, (8, 3, 3, 3), 0.5), np.ones(3, np.float32)
    outputs = tuple(Value(f"y{k}", TensorType("float32", ("N", 3, "H", "W"))) for k in range(len(strides)))
    tensors = {"w": DenseTensor.of(w), "b": DenseTensor.of(b)}
    graph = Graph("net", (Value("x", TensorType("float32", SHAPE)),), outputs, tuple(nodes), tensors, {}, OPSET)
    pack(graph, path, Recipe.lossless())
    hidden = conv.reference(x, w, pads=(1, 1, 1, 1))
    with load(path, threads=threads, memory=memory) as model:
        got = model.run({"x": x})
        assert all("transposed conv" in row.kernel for row in model.plan().rows() if "Transpose" in row.op)
    for k, steps in enumerate(strides):
        want = np.maximum(0, conv_transpose.reference(hidden, w, b, strides=steps, pads=(1, 1, 1, 1)))
        np.testing.assert_allclose(got[f"y{k}"], want, rtol=1e-4, atol=1e-4)


def test_a_convolution_that_decodes_its_weights_takes_in_no_pool(monkeypatch, tmp_path: Path):
    for name, number in (
        ("decode.encoded.KEPT_ENCODED", 1),
        ("decode.encoded.DECODED_SHARE", 0),
        ("kernels.conv.dense.pooled.FAR", 0),
    ):
        monkeypatch.setattr(f"tersor.runtime.{name}", number)
    rng, path = np.random.default_rng(0), tmp_path / "net.tersor"
    nodes = (
        Node("Conv", "c", ("x", "w"), ("c",), {"strides": (2, 2)}),
        Node("MaxPool", "p", ("c",), ("y",), {"kernel_shape": (2, 2), "strides": (2, 2)}),
    )
    values = (Value("x", TensorType("float32", (1, 3, 63, 63))),), (Value("y", TensorType("float32", (1, 32, 15, 15))),)
    w = np.round(rng.standard_normal((32, 3, 3, 3)) * 4).astype(np.float32)
    w[w == 0] = 1
    pack(Graph("net", *values, nodes, {"w": DenseTensor.of(w)}, {}, OPSET), path, Recipe.lossless(profile="compact"))
    x, results = rng.standard_normal((1, 3, 63, 63)).astype(np.float32), []
    with load(path) as expanded, load(path, memory="streamed") as streamed:
        for model, steps in ((expanded, 1), (streamed, 2)):
            results.append(model.run({"x": x})["y"])
            assert len(model.plan().steps) == steps
        assert streamed.plan().steps[0].kernel.streams
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)


def test_weights_stay_as_small_as_in_the_file(pruned, tmp_path: Path):
    path, weights = tmp_path / "net.tersor", pruned(np.random.default_rng(0), (400, 1000), 0.3)
    x, y = Value("x", TensorType("float32", (1, 1000))), Value("y", TensorType("float32", (1, 400)))
    node = Node("Gemm", "fc", ("x", "w"), ("y",), {"transB": 1})
    pack(Graph("net", (x,), (y,), (node,), {"w": DenseTensor.of(weights)}, {}, OPSET), path, Recipe.lossless())
    with load(path, memory="streamed") as model:
        assert next(model.plan().rows()).weight_bytes < 1.2 * path.stat().st_size


@pytest.mark.parametrize(
    ("lengths", "least"),
    [
        ([], KEPT_ENCODED),
        ([0, 0], KEPT_ENCODED),
        ([2_000_000], KEPT_ENCODED),
        ([2_000_000, 60_000, 50_000, 180_000], 180_000),
        ([2_000_000, 60_000, 60_000, 60_000], 60_000),
    ],
)
def test_the_smallest_tensors_are_decoded_once(lengths, least):
    container: Any = SimpleNamespace(sections=[SimpleNamespace(kind=TENSOR, length=length) for length in lengths])
    assert least_encoded(container) == least


def test_max_profile_must_be_repacked(network, tmp_path: Path):
    path = tmp_path / "net.tersor"
    pack(network, path, Recipe.lossless(profile="max"))
    with pytest.raises(PlanError, match="repack"):
        load(path, memory="streamed")


def test_unknown_mode(tmp_path: Path, network):
    path = tmp_path / "net.tersor"
    pack(network, path, Recipe.lossless())
    with pytest.raises(PlanError, match="'expanded' or 'streamed'"):
        load(path, memory="compressed")  # type: ignore[arg-type]


@pytest.mark.parametrize(("levels", "listings"), [(40, 1), (4000, 4)], ids=["block by block", "decoded whole"])
def test_of_a_streamed_convolution_only_the_arrangement_is_kept(monkeypatch, pruned, tmp_path: Path, levels, listings):
    monkeypatch.setattr("tersor.runtime.decode.encoded.KEPT_ENCODED", 1)
    monkeypatch.setattr("tersor.runtime.decode.encoded.DECODED_SHARE", 0)
    path, weights = tmp_path / "net.tersor", pruned(np.random.default_rng(0), (64, 64, 3, 3), 0.3, levels)
    shape = (1, 64, 12, 12)
    kind = TensorType("float32", shape)
    node = Node("Conv", "conv", ("x", "w"), ("y",), {"pads": (1, 1, 1, 1)})
    graph = Graph("net", (Value("x", kind),), (Value("y", kind),), (node,), {"w": DenseTensor.of(weights)}, {}, OPSET)
    pack(graph, path, Recipe.lossless())
    made: list[ref[Any]] = []

    def noting(build):
        def call(*arguments):
            made.append(ref(found := build(*arguments)))
            return found

        return call

    for name in ("matrix_of", "list_entries"):
        monkeypatch.setattr(lower, name, noting(getattr(lower, name)))
    with load(path, memory="streamed") as model:
        model.run({"x": np.ones(shape, np.float32)})
        gc.collect()
        assert len(made) == listings  # when it was planned, and in the run
        assert not [there for there in made if there() is not None]
        (kernel,) = [step.kernel for step in model.plan().steps]
        kept = list(model._plans._prepared.values())
    assert [type(value) for value in kept] == [Arrangement]
    assert kernel.weight_bytes > kept[0].bytes + np.count_nonzero(weights) // 2


def test_weights_that_would_need_another_kernel_are_refused(tmp_path: Path):
    rng, path, shape = np.random.default_rng(0), tmp_path / "net.tersor", (1, 64, 9, 9)
    weights = rng.normal(size=(8, 64, 7, 7)).astype(np.float32)
    kind, (x, y) = TensorType("float32", shape), "xy"
    node = Node("Conv", "conv", (x, "w"), (y,), {"pads": (3, 3, 3, 3)})
    out = TensorType("float32", (1, 8, 9, 9))
    graph = Graph("net", (Value(x, kind),), (Value(y, out),), (node,), {"w": DenseTensor.of(weights)}, {}, OPSET)
    record = TensorRecord("w", weights.dtype, weights.shape, (0,), CodecId.RAW)
    path.write_bytes(parts_of(graph, [(record, weights.tobytes())]).build())
    place = path.read_bytes().index(weights.tobytes())
    with load(path, threads=1, memory="streamed") as model:  # on more, the first kernel has room enough for the other
        model.run({x: np.ones(shape, np.float32)})
        with path.open("r+b") as file:
            file.seek(place)
            file.write(np.where(rng.random(weights.shape) < 0.02, np.float32(1), np.float32(0)).astype(np.float32).tobytes())
        with pytest.raises(FormatError, match="its file has been written to"):
            model.run({x: np.ones(shape, np.float32)})


@pytest.mark.parametrize("op_type", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers_give_the_same_answers(monkeypatch, pruned, tmp_path: Path, op_type):
    monkeypatch.setattr("tersor.runtime.decode.encoded.KEPT_ENCODED", 1)
    monkeypatch.setattr("tersor.runtime.decode.encoded.DECODED_SHARE", 0)
    rng, path, gates = np.random.default_rng(0), tmp_path / "net.tersor", {"LSTM": 4, "GRU": 3, "RNN": 1}[op_type]
    tensors = {"w": pruned(rng, (1, gates * 8, 5), 0.4), "r": pruned(rng, (1, gates * 8, 8), 0.4)}
    values = (Value("x", TensorType("float32", (7, 2, 5))),), (Value("y", TensorType("float32", (7, 1, 2, 8))),)
    node = Node(op_type, "layer", ("x", "w", "r"), ("y",), {"hidden_size": 8})
    pack(Graph("net", *values, (node,), {n: DenseTensor.of(a) for n, a in tensors.items()}, {}, OPSET), path, Recipe.lossless())
    x = rng.standard_normal((7, 2, 5)).astype(np.float32)
    with load(path) as expanded, load(path, memory="streamed") as streamed:
        np.testing.assert_allclose(streamed.run({"x": x})["y"], expanded.run({"x": x})["y"], rtol=1e-5, atol=1e-6)
