"""Operators that ONNX defines by others: the definition takes their place where the pinned opset has no such operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
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
