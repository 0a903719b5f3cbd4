"""Models that cannot be read are refused, with words that say what and where."""

from __future__ import annotations

import onnx
import pytest
from onnx import helper
from onnx.parser import parse_model

from tersor.converters import from_onnx
from tersor.format_spec.errors import ConversionError, UnsupportedOperator

HEADER = '<ir_version: 8, opset_import: ["" : {}]> '


def test_old_scan_is_refused():
    body = helper.make_graph(
        [helper.make_node("Identity", ["a"], ["b"])],
        "body",
        [helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, [3])],
    )
    source = parse_model(HEADER.format(8) + "g (float[2,4,3] x) => (float[2,4,3] y) { y = Neg(x) }")
    source.graph.node[0].CopyFrom(helper.make_node("Scan", ["", "x"], ["y"], name="loop", body=body, num_scan_inputs=1))
    with pytest.raises(ConversionError, match="node 'loop': Scan of opset 8"):
        from_onnx(source)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("y = Relu(x, x)", "Relu has 2 inputs; it takes 1"),
        ("y = Relu<axis=1>(x)", "has no attribute 'axis'"),
        ("y = Softmax<axis=1.5>(x)", "'axis' of Softmax is of kind FLOAT, not INT"),
        ("y = Cast(x)", "lacks its attribute 'to'"),
    ],
)
def test_what_the_definition_does_not_allow_is_refused(body, message):
    with pytest.raises(ConversionError, match=message):
        from_onnx(parse_model(HEADER.format(13) + f"g (float[1] x) => (float[1] y) {{ {body} }}"))


def test_what_ends_the_process_in_onnx_is_refused_before():
    untyped = onnx.ValueInfoProto(name="x")
    node = helper.make_node("RegexFullMatch", ["x"], ["y"], pattern="a")
    graph = helper.make_graph([node], "g", [untyped], [onnx.ValueInfoProto(name="y")])
    with pytest.raises(ConversionError, match="input 'x' has no type"):
        from_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))
    text = "g (float[6] x) => (float[3] y, float[3] z, float q) { y, z, q = Split<num_outputs = 2>(x) }"
    with pytest.raises(ConversionError, match="num_outputs = 2, with 3 outputs"):
        from_onnx(parse_model(HEADER.format(18) + text))


def test_a_constant_of_another_kind_than_its_name_says():
    node = helper.make_node("Constant", [], ["y"], name="odd")
    node.attribute.append(onnx.AttributeProto(name="value_int", type=onnx.AttributeProto.UNDEFINED))
    graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("y", onnx.TensorProto.INT64, [])])
    with pytest.raises(ConversionError, match=r"odd.*value_int"):
        from_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))


def test_an_input_of_many_integers_is_no_shape():
    text = f"g (float[9] x, int64[{1 << 40}] ends) => (float[n] y) <int64[1] zero = {{0}}> {{ y = Slice(x, zero, ends) }}"
    assert from_onnx(parse_model(HEADER.format(13) + text)).inputs[1].type.shape == (1 << 40,)


def test_old_spatial_batch_norm_is_refused():
    body = "g (float[2,3,4,5] x) => (y) <float[3] s = {1,2,3}> { y = BatchNormalization<spatial=0>(x, s, s, s, s) }"
    with pytest.raises(ConversionError, match="spatial=0"):
        from_onnx(parse_model(HEADER.format(8) + body))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            '<ir_version: 8, opset_import: ["" : 5]> g (float[1] x) => (float[1] y) {y = Relu(x)}',
            UnsupportedOperator,
            "opset 5",
        ),
        (
            '<ir_version: 8, opset_import: ["" : 99]> g (float[1] x) => (float[1] y) {y = Relu(x)}',
            ConversionError,
            "upgrade onnx",
        ),
        (
            '<ir_version: 8, opset_import: ["b" : 1]> g (float[1] x) => (float[1] y) {y = b.Relu(x)}',
            UnsupportedOperator,
            "'b'",
        ),
        (
            '<ir_version: 8, opset_import: ["" : 9, "b" : 1]> g (float[1] x) => (float[1] y) {y = b.Odd(x)}',
            UnsupportedOperator,
            "'b'",
        ),
        (
            '<ir_version: 8, opset_import: ["" : 9]> g (float[1] x) => (float[1] y) {y = Odd(x)}',
            UnsupportedOperator,
            "no operator Odd",
        ),
        (
            '<ir_version: 8, opset_import: ["" : 9]> g (float[1] x) => (float[1] y) {y = Gelu(x)}',
            UnsupportedOperator,
            "opset 9",
        ),
        (
            '<ir_version: 8, opset_import: ["" : 28]> g (float[1] x) => (float[1] y)'
            "{y = If<then_branch = a () => (float[1] p) {p = Odd(x)}, else_branch = b () => (float[1] q) {q = Relu(x)}>(x)}",
            UnsupportedOperator,
            "no operator Odd",
        ),
    ],
)
def test_operators_that_cannot_be_read_are_named(text, error, message):
    with pytest.raises(error, match=message):
        from_onnx(parse_model(text))
