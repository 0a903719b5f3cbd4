"""Nodes that stand before what they read are put behind it."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tersor.converters import from_onnx
from tersor.converters.nodes import in_order
from tersor.runtime.model import Model


def names(nodes: list) -> list[str]:
    return [node.name for node in in_order(nodes)]


def node(name: str, inputs: str, outputs: str, op_type: str = "Add", **attributes):
    return helper.make_node(op_type, inputs.split(), outputs.split(), name, **attributes)


def test_nodes_in_order_stay_where_they_are():
    assert names([node("1", "x", "a"), node("2", "x", "b"), node("3", "b a", "c"), node("4", "a", "d")]) == ["1", "2", "3", "4"]


def test_a_node_comes_behind_what_it_reads_and_circles_come_last():
    late = [node("3", "b", "c"), node("2", "a", "b"), node("4", "x", "d"), node("1", "x", "a")]
    assert names(late) == ["4", "1", "2", "3"]
    assert names([node("1", "b", "a"), node("2", "a", "b"), node("3", "x", "c")]) == ["3", "1", "2"]


def test_what_subgraphs_read_counts_but_not_what_they_make():
    y = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    reads = helper.make_graph([node("inner", "late own", "y")], "g", [], y, [numpy_helper.from_array(np.ones(1), "own")])
    makes = helper.make_graph([node("i", "x x", "own"), node("ii", "own x", "y")], "g", [], y)
    choice = node("if", "c", "z", "If", then_branch=reads, else_branch=makes)
    assert names([choice, node("late", "x", "late"), node("own", "z", "own")]) == ["late", "if", "own"]


def test_casts_that_a_converter_put_behind_everything_else():
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy")
    nodes = [
        node("root", "h", "r", "Sqrt"),
        node("last", "r", "y", "Cast", to=TensorProto.FLOAT),
        node("first", "x", "h", "Cast", to=TensorProto.FLOAT16),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 17)])
    before = model.SerializeToString()
    graph = from_onnx(model)
    assert [n.name for n in graph.nodes] == ["first", "root", "last"]
    assert model.SerializeToString() == before
    with Model(graph) as loaded:
        np.testing.assert_array_equal(loaded.run({"x": np.array([4, 9, 16], np.float32)})["y"], [2, 3, 4])
