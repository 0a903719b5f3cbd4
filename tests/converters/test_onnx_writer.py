"""Graph → ONNX → graph, and what ONNX's checker and runtime say of it."""

from __future__ import annotations

import errno
import os
from itertools import count

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx.parser import parse_model

from tersor.converters import from_onnx, onnx_writer, to_onnx
from tersor.converters.constants import DTYPES
from tersor.format_spec.errors import ConversionError, UnsupportedOperator
from tersor.format_spec.graph import OPSET, Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor, SharedTensor

FLOAT = TensorType("float32", ("batch", 3, None))


def weighted(weight: np.ndarray, kind: TensorType = FLOAT) -> Graph:
    nodes = (Node("Mul", "times", ("x", "w"), ("y",)),)
    return Graph("g", (Value("x", kind),), (Value("y", kind),), nodes, {"w": DenseTensor.of(weight)}, {"author": "me"})


def assert_same(a: Graph, b: Graph) -> None:
    assert (a.name, a.inputs, a.outputs, a.opset) == (b.name, b.inputs, b.outputs, b.opset)
    assert list(a.initializers) == list(b.initializers)
    for name, tensor in a.initializers.items():
        other = b.initializers[name].dense()
        assert (other.dtype, other.shape) == (tensor.dtype, tensor.shape)
        assert other.tobytes() == tensor.dense().tobytes()
    assert len(a.nodes) == len(b.nodes)
    for node, twin in zip(a.nodes, b.nodes, strict=True):
        assert (node.op_type, node.name, node.inputs, node.outputs) == (twin.op_type, twin.name, twin.inputs, twin.outputs)
        assert node.attributes.keys() == twin.attributes.keys()
        for key, value in node.attributes.items():
            if isinstance(value, Graph):
                assert_same(value, twin.attribute(key))
            elif isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, twin.attribute(key))
            else:
                assert (type(value), value) == (type(twin.attribute(key)), twin.attribute(key))


def test_everything_comes_back():
    source = parse_model(
        f'<ir_version: 8, opset_import: ["" : {OPSET}]> net (bool c, float[N,3,?] x) => (float[N,3,?] y)'
        "<float[1,3,1] w = {1,2,3}> { t = Mul(x, w) u = LeakyRelu<alpha=0.3>(t)"
        ' v = Gelu<approximate="tanh">(u) y = If(c) <'
        "then_branch = a () => (float[N,3,?] p) <float[1] k = {4}> { p = Add(v, k) },"
        "else_branch = b () => (float[N,3,?] q) { q = Neg(v) }> }"
    )
    graph = from_onnx(source)
    written = to_onnx(graph)
    onnx.checker.check_model(written, full_check=True)
    again = from_onnx(written)
    assert_same(graph, again)
    assert again.metadata == graph.metadata
    assert (written.ir_version, written.opset_import[0].version) == (10, OPSET)


@given(hnp.arrays(st.sampled_from(sorted(DTYPES.values(), key=str)), hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)))
@settings(max_examples=40, deadline=None)
def test_initializers_are_bit_identical(array):
    graph = weighted(array, TensorType(array.dtype.name, None))
    assert from_onnx(to_onnx(graph)).initializers["w"].dense().tobytes() == array.tobytes()


def test_shared_tensors_are_written_dense():
    codes, codebook = np.array([1, 0, 1], np.uint8), np.array([0.5, 2], np.float32)
    shared = SharedTensor(np.dtype(np.float32), (1, 3, 1), (1,), "rows", None, None, codes, codebook)
    graph = Graph("g", (Value("x", FLOAT),), (Value("y", FLOAT),), (Node("Mul", "", ("x", "w"), ("y",)),), {"w": shared})
    assert onnx.numpy_helper.to_array(to_onnx(graph).graph.initializer[0]).ravel().tolist() == [2, 0.5, 2]


@pytest.mark.parametrize(
    ("op_type", "attribute", "kind"),
    [
        ("LSTM", "activation_alpha", onnx.AttributeProto.FLOATS),
        ("LSTM", "activations", onnx.AttributeProto.STRINGS),
        ("Resize", "axes", onnx.AttributeProto.INTS),
    ],
)
def test_empty_lists_keep_their_kind(op_type, attribute, kind):
    node = Node(op_type, "", ("x",), ("y",), {attribute: ()})
    graph = Graph("g", (Value("x", FLOAT),), (Value("y", FLOAT),), (node,))
    assert to_onnx(graph).graph.node[0].attribute[0].type == kind


def test_an_empty_list_of_an_unknown_operator_is_refused():
    node = Node("Nonsense", "odd", ("x",), ("y",), {"a": ()})
    with pytest.raises(UnsupportedOperator, match=r"node 'odd': ONNX opset \d+ has no operator Nonsense .* empty list 'a'"):
        to_onnx(Graph("g", (Value("x", FLOAT),), (Value("y", FLOAT),), (node,)))


def test_a_dimension_of_64_bits_is_refused():
    largest, beyond = (Value("x", TensorType("float32", (size,))) for size in ((1 << 63) - 1, 1 << 63))
    to_onnx(Graph("g", (largest,), (largest,), ()))
    with pytest.raises(ConversionError, match=f"'x' has a dimension of {1 << 63}"):
        to_onnx(Graph("g", (beyond,), (beyond,), ()))


def test_the_file_is_what_is_returned(tmp_path):
    path = tmp_path / "m.onnx"
    model = to_onnx(weighted(np.ones((1, 3, 1), np.float32)), path)
    assert onnx.load(path) == model
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.onnx"]


def test_large_tensors_go_beside_the_model(tmp_path, monkeypatch, run):
    monkeypatch.setattr(onnx_writer, "MOST_INLINE_BYTES", 1000)
    weight = np.random.default_rng(0).standard_normal((1, 3, 500)).astype(np.float32)
    graph = weighted(weight)
    graph = Graph(graph.name, graph.inputs, graph.outputs, graph.nodes, {**graph.initializers, "s": DenseTensor.of(np.ones(2))})
    path = tmp_path / "m.onnx"
    model = to_onnx(graph, path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    assert path.stat().st_size < 1000
    assert model.graph.initializer[0].data_location == onnx.TensorProto.EXTERNAL
    onnx.checker.check_model(str(path), full_check=True)
    assert_same(graph, from_onnx(path))
    with pytest.raises(ConversionError, match="give to_onnx a path"):
        to_onnx(graph)


def test_tensors_of_a_kibibyte_and_more_are_aligned_in_the_file_beside(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_writer, "MOST_INLINE_BYTES", 1000)
    sizes = {"a": 256, "b": 300, "c": 255, "d": 1025}
    tensors = {name: DenseTensor.of(np.ones(size, np.float32)) for name, size in sizes.items()}
    graph = weighted(np.ones(1, np.float32))
    graph = Graph(graph.name, graph.inputs, graph.outputs, graph.nodes, {**graph.initializers, **tensors})
    model = to_onnx(graph, tmp_path / "m.onnx")
    stored = {tensor.name: {entry.key: entry.value for entry in tensor.external_data} for tensor in model.graph.initializer}
    offsets = {name: int(facts["offset"]) for name, facts in stored.items() if facts}
    assert offsets == {"a": 0, "b": 4096, "d": 8192}


@pytest.mark.parametrize("complete", [0, 1], ids=["the first file", "the second file"])
def test_a_model_and_its_data_are_replaced_together(complete, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_writer, "MOST_INLINE_BYTES", 1000)
    path, real, reached = tmp_path / "m.onnx", os.fsync, count()
    old, new = (weighted(np.full((1, 3, 500), value, np.float32)) for value in (1, 2))
    to_onnx(old, path)

    def full(handle: int) -> None:
        if next(reached) == complete:
            raise OSError(errno.ENOSPC, "disk full")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        to_onnx(new, path)
    assert_same(old, from_onnx(path))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    monkeypatch.setattr(os, "fsync", real)
    to_onnx(new, path)
    assert_same(new, from_onnx(path))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"old")

    def fail() -> np.ndarray:
        raise OSError("disk")

    graph = weighted(np.ones(1, np.float32))
    broken = Graph(graph.name, graph.inputs, graph.outputs, graph.nodes, {"w": DenseTensor(np.dtype(np.float32), (1,), fail)})
    with pytest.raises(OSError, match="disk"):
        to_onnx(broken, path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.onnx"]
