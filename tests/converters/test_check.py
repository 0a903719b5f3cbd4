"""Names, inputs and attributes that ONNX does not allow are refused, with words that say where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tersor.converters import from_onnx
from tersor.format_spec.errors import ConversionError


def model(*nodes: NodeProto, initializers: tuple[str, ...] = (), opsets: tuple[int, ...] = (13,)) -> ModelProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    tensors = [numpy_helper.from_array(np.ones(1, np.float32), name) for name in initializers]
    graph = helper.make_graph(list(nodes), "g", [x], [y], tensors)
    made = helper.make_model(graph, ir_version=8)
    del made.opset_import[:]
    made.opset_import.extend(helper.make_opsetid("", opset) for opset in opsets)
    return made


def node(op_type: str, inputs: str, output: str = "y", **attributes: Any) -> NodeProto:
    return helper.make_node(op_type, inputs.split(","), [output], **attributes)


TWICE = node("Softmax", "x", axis=0)
TWICE.attribute.append(helper.make_attribute("axis", 0))
RELU = node("Relu", "x")
SILENT = model(helper.make_node("RandomNormal", [], ["r"], shape=[1]))
del SILENT.graph.output[:]
del SILENT.graph.input[:]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (model(RELU, initializers=("",)), "initializer has no name"),
        (model(RELU, initializers=("w", "w")), "initializer 'w' is defined twice"),
        (model(RELU, RELU), "output of node .* 'y' is defined twice"),
        (model(node("Relu", "x", "x")), "output of node .* 'x' is defined twice"),
        (model(node("", "x")), r"node 'number 0 \(without operator\)': the node names no operator"),
        (model(node("Relu", "z")), "reads 'z' before anything defines it"),
        (model(node("Add", "x,y", "z"), node("Relu", "z")), "node 'number 0 .Add.': reads 'y' before anything defines it"),
        (model(node("Relu", "x", "z")), "nothing defines the graph output 'y'"),
        (model(node("Add", "x,")), "node 'Add -> y': Add lacks its input 'B'"),
        (model(node("Max", "x", "")), "nothing defines the graph output 'y'"),
        (model(node("LayerNormalization", "x"), opsets=(17,)), "LayerNormalization has 1 inputs; it takes 2 to 3"),
        (model(helper.make_node("Sum", [], ["y"])), "Sum has 0 inputs; it takes at least 1"),
        (model(TWICE), "Softmax has an attribute twice"),
        (model(node("Conv", "x,x", name="first", auto_pad=b"\xff")), "node 'first': attribute 'auto_pad' is not UTF-8 text"),
        (model(helper.make_node("Constant", [], [""], value_int=1), RELU), "a Constant has no name"),
        (model(helper.make_node("Constant", [], ["w"], value_int=1), RELU, initializers=("w",)), "'w' is defined twice"),
        (SILENT, "the graph has no outputs, so that nothing of it would be computed"),
        (model(RELU, opsets=()), "the model imports no opset of the default domain; it must import one"),
        (model(RELU, opsets=(13, 14)), r"the model imports \[13, 14\] of the default domain"),
    ],
)
def test_what_is_not_sound_is_named(source: ModelProto, message: str):
    with pytest.raises(ConversionError, match=message):
        from_onnx(source)


def test_a_negative_size_is_an_unknown_one():
    source = model(RELU)
    source.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    assert from_onnx(source).inputs[0].type.shape == (None,)
