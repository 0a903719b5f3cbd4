"""What a graph keeps of its source, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.parser import parse_model

from tersor.converters import from_onnx, from_torch
from tersor.format_spec.errors import ConversionError, MissingExtra
from tersor.format_spec.graph import Graph, TensorType

HEAD = '<ir_version: 8, opset_import: ["" : 17], producer_name: "maker", producer_version: "2">'


def read(body: str) -> Graph:
    return from_onnx(parse_model(f"{HEAD} {body}"))


def test_names_shapes_and_metadata_are_kept():
    source = parse_model(f"{HEAD} net (float[batch,3,?] x, int64 n) => (float[batch,3,?] y) {{ [first] y = Relu(x) }}")
    helper.set_model_props(source, {"author": "me", "tersor.source_opset": "mine"})
    before = source.SerializeToString(deterministic=True)
    graph = from_onnx(source)
    assert graph.name == "net"
    assert [(v.name, v.type) for v in graph.inputs] == [
        ("x", TensorType("float32", ("batch", 3, None))),
        ("n", TensorType("int64", ())),
    ]
    assert [v.name for v in graph.outputs] == ["y"]
    assert [node.name for node in graph.nodes] == ["first"]
    assert graph.metadata == {"author": "me", "tersor.source_opset": "mine", "tersor.producer": "maker 2"}
    assert source.SerializeToString(deterministic=True) == before


def test_path_bytes_and_message_read_alike(tmp_path):
    source = parse_model(f"{HEAD} g (float[2] x) => (float[2] y) <float[2] w = {{1,2}}> {{ y = Add(x, w) }}")
    path = tmp_path / "m.onnx"
    path.write_bytes(source.SerializeToString())
    for form in (path, str(path), path.read_bytes(), source):
        assert from_onnx(form).initializers["w"].dense().tolist() == [1, 2]
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "none.onnx")


@pytest.mark.parametrize("ir_version", [3, 8])
def test_initializers_listed_as_inputs_are_weights(ir_version):
    source = parse_model(f"{HEAD} g (float[2] x, float[2] w) => (float[2] y) {{ y = Add(x, w) }}")
    source.ir_version = ir_version
    source.graph.initializer.append(numpy_helper.from_array(np.ones(2, np.float32), "w"))
    graph = from_onnx(source)
    assert [value.name for value in graph.inputs] == ["x"]
    assert list(graph.initializers) == ["w"]


def test_attributes_of_every_kind():
    source = parse_model(
        f"{HEAD} g (float[1,1,4] x, bool c) => (float[1,1,4] y)"
        '{ t = LpNormalization<axis = 1>(x) u = Clip(t) v = Conv<kernel_shape=[1], auto_pad="VALID">(u, u)'
        ' w = LeakyRelu<alpha = 0.1>(v) y = LSTM<activations = ["Tanh"], activation_alpha = [0.5]>(w, w, w) }'
    )
    attributes = {key: value for node in from_onnx(source).nodes for key, value in node.attributes.items()}
    assert attributes.pop("activation_alpha") == (0.5,)
    assert attributes.pop("alpha") == float(np.float32(0.1))
    assert attributes == {"axis": 1, "kernel_shape": (1,), "auto_pad": "VALID", "activations": ("Tanh",)}


def test_subgraphs_become_graphs_with_their_own_tensors():
    graph = read(
        "g (bool c, float[2] x) => (float[2] y) { y = If(c) <"
        "then_branch = a () => (float[2] p) <float[2] k = {1,2}> { p = Add(x, k) },"
        "else_branch = b () => (float[2] q) { h = Constant<value_float = 0.5>() q = Mul(x, h) }> }"
    )
    then, other = graph.nodes[0].attribute("then_branch"), graph.nodes[0].attribute("else_branch")
    assert (then.name, list(then.initializers), [n.op_type for n in then.nodes]) == ("a", ["k"], ["Add"])
    assert (other.name, list(other.initializers), other.outputs[0].name) == ("b", ["h"], "q")
    assert other.initializers["h"].dense() == np.float32(0.5)


def test_an_output_without_a_type_takes_the_inferred_one():
    source = parse_model(f"{HEAD} g (float[2,3] x) => (float[2,3] y) {{ y = Transpose(x) }}")
    source.graph.output[0].ClearField("type")
    assert from_onnx(source).outputs[0].type == TensorType("float32", (3, 2))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("g (float[1] x) => (float[1] y) { y = Add(x, z) z = Relu(y) }", "reads 'z' before"),
        ("g (float[1] x) => (float[1] y) { y = Relu(x) y = Neg(x) }", "'y' is defined twice"),
        ("g (float[1] x) => (float[1] y) { x = Relu(x) y = Neg(x) }", "'x' is defined twice"),
        ("g (float[1] x, float[1] x) => (float[1] y) { y = Neg(x) }", "'x' is defined twice"),
        ("g (float[1] x) => (float[1] z) { y = Neg(x) }", "nothing defines the graph output 'z'"),
        ("g (float[1] x) => (float[1] y, float[1] y) { y = Neg(x) }", "two outputs called 'y'"),
        ("g (float[1] x) => () { y = Neg(x) }", "no outputs"),
        ("g (bfloat16[1] x) => (bfloat16[1] y) { y = Neg(x) }", "input 'x' has element type bfloat16.*cast to it first"),
        ("g (seq(float[1]) x) => (float[1] y) { y = ConcatFromSequence<axis = 0>(x) }", "input 'x' is a sequence"),
    ],
)
def test_unsound_models_are_refused(body, message):
    with pytest.raises(ConversionError, match=message):
        read(body)


def test_two_initializers_of_one_name_are_refused():
    source = parse_model(f"{HEAD} g (float[1] x) => (float[1] y) {{ y = Neg(x) }}")
    source.graph.initializer.extend([numpy_helper.from_array(np.ones(1), "w")] * 2)
    with pytest.raises(ConversionError, match="'w' is defined twice"):
        from_onnx(source)


def test_attributes_that_no_graph_can_hold_are_refused():
    node = helper.make_node("Optional", [], ["y"], name="maybe", type=helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    y = helper.make_value_info("y", helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1])))
    source = helper.make_model(helper.make_graph([node], "g", [], [y]), opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(ConversionError, match="optional"):
        from_onnx(source)


@pytest.mark.parametrize("data", [b"", b"not a model at all", b"\x08\x08", bytes(64)])
def test_bytes_that_are_no_model_are_refused(data):
    with pytest.raises(ConversionError):
        from_onnx(data)


def test_text_that_is_not_utf8_is_refused():
    source = parse_model(f"{HEAD} g (float[1] x) => (float[1] y) {{ [name] y = Neg(x) }}")
    with pytest.raises(ConversionError, match="name of NodeProto is not UTF-8"):
        from_onnx(source.SerializeToString().replace(b"name", b"na\xffe"))


def test_damaged_models_raise_nothing_else():
    source = parse_model(
        f"{HEAD} g (float[1,2,4,4] x) => (float[a,b] y) <float[3,2,1,1] w = {{1,2,3,4,5,6}}, int64[2] s = {{1,-1}}>"
        "{ t = Conv<kernel_shape=[1,1]>(x, w) u = Shape(t) v = Reshape(t, s) y = Softmax<axis=1>(v) }"
    )
    data = source.SerializeToString()
    random = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(data[: len(data) if random.random() < 0.7 else random.integers(len(data))])
        for _ in range(random.integers(1, 4)):
            damaged[random.integers(len(damaged))] = random.integers(256)
        try:
            graph = from_onnx(bytes(damaged))
        except ConversionError:
            continue
        assert isinstance(graph, Graph)


def test_importing_the_package_brings_neither_onnx_nor_torch():
    code = "import sys, tersor.converters; print(sorted({'onnx', 'torch'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["from_onnx", "to_onnx", "from_torch"])
def test_without_onnx_the_extra_is_named(name):
    code = f"import sys; sys.modules['onnx'] = None; from tersor.converters import {name}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra" in result.stderr
    assert "pip install 'tersor[pack]'" in result.stderr


def test_without_onnxscript_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"onnxscript: pip install 'tersor\[torch\]'"):
        from_torch(None, ())  # type: ignore[arg-type]


def test_onnx_is_new_enough_for_the_pinned_opset():
    from tersor.format_spec.graph import OPSET

    assert onnx.defs.onnx_opset_version() >= OPSET
