"""Operators that ONNX defines by others: the definition takes their place where the pinned opset has no such operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx.parser import parse_model
from onnx.reference import ReferenceEvaluator

from tersor.converters import from_onnx, to_onnx
from tersor.format_spec.errors import ConversionError, UnsupportedOperator

HEADER = '<ir_version: 11, opset_import: ["" : {}, "ai.onnx.preview" : 1]>'


def evaluate(model: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> Any:
    """The first output by onnx's reference."""
    return next(iter(ReferenceEvaluator(model).run(None, arrays)))


def compare(text: str, **arrays: np.ndarray) -> list[str]:
    """Check the expanded model against onnx's reference of the source; return its operators."""
    source = parse_model(text)
    before = source.SerializeToString(deterministic=True)
    graph = from_onnx(source)
    assert source.SerializeToString(deterministic=True) == before
    expected, found = (np.asarray(evaluate(m, arrays)) for m in (source, to_onnx(graph)))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    return [node.op_type for node in graph.nodes]


def test_an_operator_newer_than_the_pinned_opset_is_expanded():
    text = HEADER.format(28) + "g (float[2,6] x) => (float[a,b] y) { t = Relu(x) y = SwiGLU(t, x) }"
    operators = compare(text, x=np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32))
    assert operators[0] == "Relu"
    assert "SwiGLU" not in operators


def test_a_definition_that_depends_on_types_is_expanded_with_inputs_left_out():
    rng = np.random.default_rng(1)
    x, w, state = (rng.standard_normal(shape).astype(np.float32) for shape in ((1, 2, 5), (2, 1, 3), (1, 2, 2)))
    text = HEADER.format(27) + (
        "g (float[1,2,5] x, float[2,1,3] w, float[1,2,2] s) => (float[a,b,c] y) { y, p = CausalConvWithState(x, w, '', s) }"
    )
    operators = compare(text.replace("''", ""), x=x, w=w, s=state)
    assert "Conv" in operators


def test_each_call_has_a_definition_of_its_own():
    text = HEADER.format(28) + "g (float[2,8] x) => (float[a,b] y) { t = SwiGLU(x, x) y = SwiGLU(t, x) }"
    compare(text, x=np.random.default_rng(2).standard_normal((2, 8)).astype(np.float32))


def test_a_call_that_does_not_fit_is_refused():
    with pytest.raises(ConversionError, match="SwiGLU has 1 inputs"):
        from_onnx(parse_model(HEADER.format(28) + "g (float[2,8] x) => (float[a,b] y) { y = SwiGLU(x) }"))


@pytest.mark.parametrize("kind", ["bfloat16", "float8e4m3fn", "float8e5m2", "int4", "uint4", "float4e2m1", "string"])
def test_types_that_numpy_lacks_are_refused_by_name(kind):
    with pytest.raises(UnsupportedOperator, match=f"input 'x' has element type {kind}"):
        from_onnx(parse_model(HEADER.format(23) + f"g ({kind}[2] x) => ({kind}[2] y) {{ y = Identity(x) }}"))


@pytest.mark.parametrize("kind", ["seq(float[2])", "optional(float[2])"])
def test_values_that_are_no_tensors_are_refused(kind):
    with pytest.raises(UnsupportedOperator, match=r"only tensors are supported"):
        from_onnx(parse_model(HEADER.format(23) + f"g ({kind} x) => ({kind} y) {{ y = Identity(x) }}"))


LOCAL = '<ir_version: 10, opset_import: ["" : 21, "local" : 1]> g (float[4] x) => (float[4] y) '
FUNCTION = ' <domain: "local", opset_import: ["" : 21, "local" : 1]> '
LEAK = FUNCTION + "leak <alpha: float = 0.5> (a) => (b) { b = LeakyRelu <alpha: float = @alpha> (a) }"


@pytest.mark.parametrize(
    ("text", "slope"),
    [
        ("{ y = local.leak(x) }" + LEAK, 0.5),
        ("{ y = local.leak <alpha = 0.25> (x) }" + LEAK, 0.25),
        (
            "{ t = Constant <value = bool {1}> () y = If (t) <then_branch = p () => (float[4] u) { u = local.leak(x) },"
            "else_branch = q () => (float[4] v) { v = local.leak(x) }> }" + LEAK,
            0.5,
        ),
        ("{ y = local.outer(x) }" + LEAK + FUNCTION + "outer (a) => (b) { b = local.leak(a) }", 0.5),
        (
            "{ y = local.outer(x) }" + LEAK + FUNCTION + "outer <k: float = 0.75> (a) => (b)"
            "{ b = local.leak <alpha: float = @k> (a) }",
            0.75,
        ),
        (
            "{ y = local.outer(x) }" + LEAK + FUNCTION + "outer <k> (a) => (b) { b = local.leak <alpha: float = @k> (a) }",
            0.5,
        ),
        (
            "{ y = local.scale(x) }" + FUNCTION + "scale <k: float = 3.0> (a) => (b)"
            "{ c = Constant <value_float: float = @k> () d = Mul(a, c) b = Min(a, d) }",
            3.0,
        ),
    ],
    ids=["left out", "given", "in a subgraph", "in a function", "handed on", "handed on by a caller without one", "a constant"],
)
def test_a_call_takes_the_defaults_of_the_attributes_that_it_leaves_out(text: str, slope: float):
    source, x = parse_model(LOCAL + text), np.array([-1, -2, 3, 4], np.float32)
    written = to_onnx(from_onnx(source))
    np.testing.assert_array_equal(evaluate(written, {"x": x}), np.where(x < 0, slope * x, x))
    (expected,) = ort.InferenceSession(source.SerializeToString()).run(None, {"x": x})
    np.testing.assert_array_equal(evaluate(written, {"x": x}), expected)


def test_functions_that_call_themselves_are_refused():
    circle = FUNCTION + "f (a) => (b) { b = local.h(a) }" + FUNCTION + "h (a) => (b) { b = local.f(a) }"
    with pytest.raises(ConversionError, match="call themselves: f -> h -> f"):
        from_onnx(parse_model(LOCAL + "{ y = local.f(x) }" + circle))


def test_functions_that_multiply_are_refused():
    calls = "".join(FUNCTION + f"f{i} (a) => (b) {{ c = local.f{i + 1}(a) b = local.f{i + 1}(c) }}" for i in range(60))
    last = FUNCTION + "f60 (a) => (b) { b = Relu(a) }"
    with pytest.raises(ConversionError, match="functions make more than 262,144 operators"):
        from_onnx(parse_model(LOCAL + "{ y = local.f0(x) }" + calls + last))


def calling(*body: onnx.NodeProto, opset: int = 17) -> onnx.ModelProto:
    """A model of opset 17, (float32[2, 3] x, bool c) to y, that calls a function of these nodes, from a and c to b."""
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("own", 1)]
    function = onnx.helper.make_function("own", "f", ["a", "c"], ["b"], body, [onnx.helper.make_opsetid("", opset), opsets[1]])
    x, c, y = (
        onnx.helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (
            ("x", onnx.TensorProto.FLOAT, [2, 3]), ("c", onnx.TensorProto.BOOL, []), ("y", onnx.TensorProto.FLOAT, [2, 3]),
        )
    )  # fmt: skip
    graph = onnx.helper.make_graph([onnx.helper.make_node("f", ["x", "c"], ["y"], domain="own")], "g", [x, c], [y])
    return onnx.helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=9)


def check_sum(source: onnx.ModelProto, added: np.ndarray) -> None:
    before, x = source.SerializeToString(deterministic=True), np.ones((2, 3), np.float32)
    session = ort.InferenceSession(to_onnx(from_onnx(source)).SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = {"x": x, "c": np.array(True)}
    (found,) = session.run(None, {value.name: wanted[value.name] for value in session.get_inputs()})
    np.testing.assert_array_equal(found, x + added)
    assert source.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("opset", [14, 17])
@pytest.mark.parametrize("place", ["body", "branch", "initializer of a branch"])
def test_sparse_tensors_of_functions_are_read(place: str, opset: int) -> None:
    added = np.array([[0, 7, 0], [0, 0, -1]], np.float32)
    values = onnx.numpy_helper.from_array(added[added != 0], "s")
    held = onnx.helper.make_sparse_tensor(values, onnx.numpy_helper.from_array(np.flatnonzero(added), "places"), [2, 3])
    constant, sum_ = onnx.helper.make_node("Constant", [], ["s"], sparse_value=held), onnx.helper.make_node("Add", "as", "b")
    if place == "body":
        check_sum(calling(constant, sum_, opset=opset), added)
        return
    b = onnx.helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, None)
    branch = onnx.helper.make_graph([constant, sum_], "branch", [], [b])
    if place != "branch":
        branch = onnx.helper.make_graph([sum_], "branch", [], [b], sparse_initializer=[held])
    check_sum(calling(onnx.helper.make_node("If", ["c"], ["b"], then_branch=branch, else_branch=branch), opset=opset), added)


def test_external_data_of_functions_are_read(tmp_path: Path) -> None:
    added = np.arange(6, dtype=np.float32).reshape(2, 3)
    (tmp_path / "data").write_bytes(added.tobytes())
    value = onnx.TensorProto(
        name="s", data_type=onnx.TensorProto.FLOAT, dims=added.shape, data_location=onnx.TensorProto.EXTERNAL
    )
    value.external_data.add(key="location", value="data")
    source = calling(onnx.helper.make_node("Constant", [], ["s"], value=value), onnx.helper.make_node("Add", "as", "b"))
    (tmp_path / "model.onnx").write_bytes(source.SerializeToString())
    assert [t.dense().tolist() for t in from_onnx(tmp_path / "model.onnx").initializers.values()] == [added.tolist()]
