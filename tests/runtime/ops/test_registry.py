"""What the operator table promises: facts about operators, errors that name the node, rows of weights."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import onnx
import pytest

from tersor.format_spec.errors import PlanError, UnsupportedOperator
from tersor.format_spec.graph import Graph, Node
from tersor.runtime.ops import _registry
from tersor.runtime.ops._registry import Shaped, find_operator, operator, operators

FLOAT = np.dtype(np.float32)


def node(op_type: str, **attributes: Any) -> Node:
    return Node(op_type, "the_node", (), (), attributes)


def infer(op_type: str, *shapes: tuple[int, ...] | None, values: Any = None, **attributes: Any) -> list[Shaped]:
    found = find_operator(node(op_type, **attributes)).infer
    assert found is not None
    types = [None if s is None else (FLOAT, s) for s in shapes]
    return found(node(op_type, **attributes), types, values or [None] * len(shapes))


@pytest.mark.parametrize(
    ("op_type", "shapes", "attributes", "message"),
    [
        ("Add", [(2, 3), (4,)], {}, "do not broadcast"),
        ("Conv", [(1, 3, 8), (4, 2, 3)], {}, "do not fit"),
        ("Conv", [(1, 3, 8, 8), (4, 3, 3)], {}, "must have 4 axes"),
        ("Conv", [(1, 3, 8), (4, 3, 3)], {"strides": (0,)}, "strides"),
        ("Conv", [(1, 3, 8), (4, 3, 3)], {"pads": (1,)}, "pads must be 2"),
        ("Conv", [(1, 3, 2), (4, 3, 5)], {}, "does not fit an input of 2"),
        ("Conv", [(1, 3), (4, 3)], {}, "input must have at least 3 axes"),
        ("Conv", [(1, 4, 8), (3, 2, 3)], {"group": 2}, "in 2 groups do not fit"),
        ("Conv", [(1, 3, 8), (4, 3, 3)], {"kernel_shape": (2,)}, "is not that of the weights"),
        ("Conv", [(1, 3, 8), (4, 3, 3)], {"auto_pad": "SAME"}, "auto_pad must be .*, not 'SAME'"),
        ("Conv", [(1, 3, 8), (4, 3, 3)], {"strides": (1 << 31,)}, "strides must be 1 integers of at most 2,147,483,647"),
        ("Conv", [(1, 1, 8), (1, 1, 4)], {"auto_pad": "SAME_UPPER", "dilations": ((1 << 31) - 1,)}, "want a padding"),
        ("ConvTranspose", [(1, 3, 8), (4, 2, 3)], {}, "do not fit"),
        ("ConvTranspose", [(1, 3), (3, 2)], {}, "input must have at least 3 axes"),
        ("ConvTranspose", [(1, 3, 8), (3, 2, 3)], {"group": 2}, "in 2 groups do not fit"),
        ("MaxPool", [(1, 3, 8, 8)], {}, "'kernel_shape' is required"),
        ("AveragePool", [(1, 3)], {"kernel_shape": (2,)}, "at least 3 axes"),
        ("Gemm", [(2, 3), (4, 5)], {}, "do not multiply"),
        ("Gemm", [(2, 3), (3, 5), (7,)], {}, "do not broadcast"),
        ("Gemm", [(3,), (3, 5)], {}, "A must have 2 axes"),
        ("Gemm", [(2, 3), (3,)], {}, "B must have 2 axes"),
        ("MatMul", [(2, 3), (4, 5)], {}, "do not multiply"),
        ("MatMul", [(), (3,)], {}, "A must have at least 1 axes"),
        ("MatMul", [(3,), ()], {}, "B must have at least 1 axes"),
        ("Concat", [(2, 3), (3, 3)], {"axis": 1}, "do not concatenate"),
        ("Transpose", [(2, 3)], {"perm": (0, 0)}, "repeated axis"),
        ("ArgMax", [(2, 3)], {"axis": 2}, "out of range"),
        ("Flatten", [(2, 3)], {"axis": 3}, "axis 3 is out of range"),
        ("DepthToSpace", [(4, 3, 3)], {"blocksize": 2}, "must have 4 axes"),
        ("DepthToSpace", [(1, 6, 3, 3)], {"blocksize": 2}, "6 channels do not divide"),
        ("SpaceToDepth", [(1, 2, 4, 3)], {"blocksize": 2}, "4 x 3 does not divide"),
        ("Einsum", [(2,)], {"equation": "ij->ij"}, r"term 'ij' does not fit an input of shape \(2,\)"),
        ("Einsum", [(2, 3)], {"equation": "i->i"}, r"term 'i' does not fit"),
        ("Einsum", [(2, 3)], {"equation": "ij->k"}, "no input of equation 'ij->k' has the label 'k'"),
        ("Attention", [(1, 2, 6)] * 3, {}, "needs 4 axes, or 3 and its number of heads"),
        ("Attention", [(2, 6)] * 3, {"q_num_heads": 2, "kv_num_heads": 2}, "needs 4 axes, or 3"),
        ("Attention", [(1, 2, 6)] * 3, {"q_num_heads": 0, "kv_num_heads": 2}, "do not divide into 0 heads"),
        ("QLinearConv", [(1, 3, 8), (), (), (4, 3, 3), (), (), (), (), (3,)], {}, r"the bias must have shape \(4,\)"),
        ("Reshape", [(2, 3), (1,)], {}, "input 1, which is not constant"),
        ("Pad", [(2, 3)], {}, "input 1 is required"),
        ("Conv", [(1, 3, 8), (4, 3, 3), (3,)], {}, r"the bias must have shape \(4,\), not \(3,\)"),
        ("ConvTranspose", [(1, 3, 8), (3, 2, 3), (2,)], {"group": 3}, r"the bias must have shape \(6,\)"),
        ("BatchNormalization", [(1, 3, 8), (3,), (3,), (2,), (3,)], {}, r"mean must have shape \(3,\)"),
        ("LRN", [(1, 3, 8)], {"size": 0}, "size must be at least 1"),
        ("LRN", [(3,)], {"size": 1}, "at least 2 axes"),
        ("Softmax", [(2, 3)], {"axis": 7}, "axis 7 is out of range"),
        ("LSTM", [(5, 2, 3), (1, 16, 2), (1, 16, 4)], {}, r"W must have shape \(1, 16, 3\)"),
        ("LSTM", [(5, 2, 3), (1, 16, 3), (1, 12, 4)], {}, r"R must have shape \(1, 16, 4\)"),
        ("LSTM", [(5, 2, 3), (2, 16, 3), (2, 16, 4)], {}, r"W must have shape \(1, 16, 3\)"),
        ("GRU", [(5, 2, 3), (2, 12, 3), (1, 12, 4)], {"direction": "bidirectional"}, r"R must have shape \(2, 12, 4\)"),
        ("GRU", [(5, 2, 3), (1, 12, 3), (1, 12, 4), (1, 12)], {}, r"B must have shape \(1, 24\)"),
        ("RNN", [(5, 2, 3), (1, 4, 3), (1, 4, 4), None, (1,)], {}, r"sequence_lens must have shape \(2,\)"),
        (
            "RNN",
            [(5, 2, 3), (1, 4, 3), (1, 4, 4), None, None, (1, 1, 4)],
            {"layout": 1},
            r"initial_h must have shape \(5, 1, 4\)",
        ),
        ("LSTM", [(5, 2, 3), (1, 16, 3), (1, 16, 4), None, None, None, None, (1, 4)], {}, r"P must have shape \(1, 12\)"),
    ],
)
def test_a_misfit_names_the_node(op_type: str, shapes: Any, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=rf"node 'the_node' \({op_type}\): .*{message}"):
        infer(op_type, *shapes, **attributes)


def test_views_are_inferred_without_memory() -> None:
    shape = (1 << 20, 1 << 20)
    assert infer("Transpose", shape) == [(FLOAT, shape)]
    assert infer("Flatten", (1 << 10, 1 << 10, 1 << 20), axis=2) == [(FLOAT, (1 << 20, 1 << 20))]
    assert infer("Reshape", shape, (2,), values=[None, np.array([-1, 4])]) == [(FLOAT, (1 << 38, 4))]


@pytest.mark.parametrize(
    ("op_type", "index", "rank", "attributes", "rows"),
    [
        ("Conv", 1, 4, {}, (0,)),
        ("ConvTranspose", 1, 4, {}, (1,)),
        ("Gemm", 1, 2, {}, (1,)),
        ("Gemm", 1, 2, {"transB": 1}, (0,)),
        ("MatMul", 1, 2, {}, (1,)),
        ("MatMul", 1, 3, {}, (0, 2)),
        ("MatMul", 1, 1, {}, ()),
        ("LSTM", 1, 3, {}, (0, 1)),
        ("LSTM", 2, 3, {}, (0, 1)),
        ("Gather", 0, 2, {}, (0,)),
    ],
)
def test_rows_of_weights(op_type: str, index: int, rank: int, attributes: dict[str, Any], rows: tuple[int, ...]) -> None:
    assert operators()[op_type].weights[index](node(op_type, **attributes), rank) == rows


def test_unknown_operators_attributes_and_values_are_refused() -> None:
    for bad, message in [
        (node("Frobnicate"), "no operator Frobnicate"),
        (node("Relu", slope=1.0), "'slope' is not supported"),
        (node("LpNormalization", p=3), "p=3 is not supported"),
        (node("Cast", to=16), "to=16 is not supported"),
        (node("Cast", to=np.array([1, 6])), r"to=\[1 6\] is not supported"),
        (node("Pad", mode=np.zeros(0)), r"mode=\[\] is not supported"),
        (node("QuantizeLinear", output_dtype=1), "output_dtype=1 is not supported"),
        (node("DequantizeLinear", output_dtype=3), "output_dtype=3 is not supported"),
    ]:
        with pytest.raises(UnsupportedOperator, match=f"'the_node': .*{message}"):
            find_operator(bad)


@pytest.mark.parametrize("op_type", sorted(operators()))
def test_operators_have_the_inputs_that_onnx_defines(op_type: str) -> None:
    schema, (least, most) = onnx.defs.get_schema(op_type), operators()[op_type].arity
    single = [formal.option == onnx.defs.OpSchema.FormalParameterOption.Single for formal in schema.inputs]
    endless = any(formal.option == onnx.defs.OpSchema.FormalParameterOption.Variadic for formal in schema.inputs)
    calls = any(kind.type == onnx.defs.OpSchema.AttrType.GRAPH for kind in schema.attributes.values())  # captures are inputs
    assert least == sum(single)
    assert all(single[:least])
    assert most == (inf if endless or calls else len(schema.inputs))


def test_an_operator_is_registered_once() -> None:
    operators()
    with pytest.raises(RuntimeError, match="Relu is registered twice"):
        operator("Relu")(lambda X: X)
    assert _registry.find_operator(node("Relu")).reference.__module__.endswith("activation")


def test_results_are_arrays_and_quiet() -> None:
    (quotient,) = operators()["Div"](np.array(1.0, np.float32), np.array(0.0, np.float32))
    assert isinstance(quotient, np.ndarray)
    assert (quotient.shape, quotient.dtype, float(quotient)) == ((), FLOAT, np.inf)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_activations_and_normalisations_keep_the_element_type(dtype: Any) -> None:
    x, ones = np.linspace(-2, 2, 24).reshape(1, 2, 3, 4).astype(dtype), np.ones(2, dtype)
    unary = ["Relu", "LeakyRelu", "Elu", "Celu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "Mish"]
    unary += ["Gelu", "Shrink", "Swish", "ThresholdedRelu", "Erf", "Softmax", "LogSoftmax", "Hardmax", "GlobalAveragePool"]
    unary += ["ReduceMean", "ReduceL2", "ReduceLogSumExp", "LpNormalization", "MeanVarianceNormalization"]
    for name in unary:
        assert operators()[name](x)[0].dtype == dtype, name
    assert operators()["BatchNormalization"](x, ones, ones, ones, ones)[0].dtype == dtype
    assert operators()["InstanceNormalization"](x, ones, ones)[0].dtype == dtype
    assert operators()["LRN"](x, size=3)[0].dtype == dtype
    assert operators()["AveragePool"](x, kernel_shape=(2, 2))[0].dtype == dtype
    assert operators()["Conv"](x, np.ones((1, 2, 2, 2), dtype), np.ones(1, dtype))[0].dtype == dtype


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_out_of_range_is_an_error(index: int) -> None:
    with pytest.raises(PlanError, match=f"index {index} is out of range for an axis of size 3"):
        operators()["Gather"](np.arange(3), np.array([0, index]))


def test_nested_graphs_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    body = Graph("g", (), (), (Node("Relu", "leaf", ("x",), ("y",)),))
    for depth in range(12):
        body = Graph("g", (), (), (Node("If", f"if{depth}", ("c",), ("y",), {"then_branch": body}),))
    seen: list[str] = []
    find = _registry.find_operator
    monkeypatch.setattr(_registry, "find_operator", lambda node: seen.append(node.name) or find(node))
    _registry.check_supported(body)
    assert len(seen) == 13
