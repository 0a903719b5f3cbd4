"""Every node test of ONNX whose operators and types the runtime has, run through the references.

Models with subgraphs are left to tests/runtime/test_onnx_backend.py, which runs all of them through the whole path.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, defs, helper, numpy_helper

from tersor.format_spec.errors import PlanError, UnsupportedOperator
from tersor.format_spec.graph import OPSET, Node
from tersor.runtime.ops import find_operator, operators
from tersor.runtime.ops._dtypes import DTYPES, onnx_dtype

LEAST_PASSING = 1478

NEWEST_OPSET = 28
"""The newest opset whose changes since the pinned one are known to leave the meaning of operators alone."""

REFUSED_OPERATORS = {
    "sequences and optional values": {
        "ConcatFromSequence",
        "Optional",
        "OptionalGetElement",
        "OptionalHasElement",
        "SequenceAt",
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceErase",
        "SequenceInsert",
        "SequenceLength",
        "SequenceMap",
        "SplitToSequence",
    },
    "text": {"RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"},
    "randomness": {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"},
    "images": {"ImageDecoder"},
}

REFUSED_CASES = {
    "test_training_dropout": "Dropout in training mode",
    "test_training_dropout_default": "Dropout in training mode",
    "test_training_dropout_default_mask": "Dropout in training mode",
    "test_training_dropout_mask": "Dropout in training mode",
    "test_split_equal_parts_1d_opset13": "neither the sizes of the pieces nor their number",
    "test_split_equal_parts_2d_opset13": "neither the sizes of the pieces nor their number",
    "test_split_equal_parts_default_axis_opset13": "neither the sizes of the pieces nor their number",
}
"""Cases whose values, or the opset they follow, ask for what the reference refuses by name."""


def pinned_schema(name: str) -> defs.OpSchema | None:
    """The schema of an operator of the default domain at the pinned opset."""
    try:
        found = defs.get_schema(name, OPSET, "")
    except defs.SchemaError:
        return None
    return None if found.deprecated else found


def collect() -> list[Any]:
    """The generated node tests that are models."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators overflow and divide by zero on purpose
        from onnx.backend.test.case.node import collect_testcases

        return [case for case in collect_testcases(None) if case.model is not None]


def to_value(value: Any) -> Any:
    """A tensor or an attribute's value as the graph holds it."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value.decode()
    return tuple(map(to_value, value)) if isinstance(value, (list, tuple)) else value


def attribute(proto: AttributeProto) -> Any:
    """An attribute as the graph holds it."""
    if proto.type == AttributeProto.TENSOR:
        onnx_dtype(proto.t.data_type)
    return to_value(helper.get_attribute_value(proto))


def to_node(proto: onnx.NodeProto) -> Node:
    """A node as the graph holds it."""
    attributes = {a.name: attribute(a) for a in proto.attribute}
    return Node(proto.op_type, proto.name, tuple(proto.input), tuple(proto.output), attributes)


def missing_operator(model: onnx.ModelProto) -> str | None:
    """Why the model has an operator that the runtime has not, if so."""
    for proto in model.graph.node:
        if proto.domain:
            return "another domain"
        if any(a.type == AttributeProto.GRAPH for a in proto.attribute):
            return "a subgraph"
        if proto.op_type not in operators():
            return f"operator {proto.op_type}" if pinned_schema(proto.op_type) else "not in the pinned opset"
    return None


def missing_type(model: onnx.ModelProto) -> str | None:
    """Why an input or output is not a tensor of a numpy type, if so."""
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            return "not a tensor"
        if value.type.tensor_type.elem_type not in DTYPES:
            return "not a numpy type"
    return None


def missing_attribute(model: onnx.ModelProto) -> str | None:
    """Why the model has an attribute that the runtime has not, if so."""
    return next(filter(None, map(refused_attribute, model.graph.node)), None)


def refused_attribute(proto: onnx.NodeProto) -> str | None:
    """Why the runtime refuses an attribute of the node, if it does."""
    try:
        find_operator(to_node(proto))
    except UnsupportedOperator as error:
        schema = pinned_schema(proto.op_type)
        assert schema is not None
        if any(a.name not in schema.attributes for a in proto.attribute):
            return "another version of the operator"
        if "element type" in str(error) or ": to=" in str(error) or "output_dtype=" in str(error):
            return "not a numpy type"
        return str(error).split(": ", 1)[1]
    return None


def check_inference(node: Node, inputs: list[Any], results: tuple[np.ndarray, ...]) -> None:
    """Assert that the operator's ``infer`` foresees the types and shapes of ``results``."""
    infer = find_operator(node).infer
    if infer is not None:
        types = [None if x is None else (x.dtype, x.shape) for x in inputs]
        assert infer(node, types, inputs) == [(r.dtype, r.shape) for r in results]


def evaluate(model: onnx.ModelProto, inputs: list[Any]) -> list[np.ndarray]:
    """Run every node by its reference."""
    values: dict[str, Any] = {"": None}
    values |= {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    values |= dict(zip((v.name for v in model.graph.input), inputs, strict=True))
    for proto in model.graph.node:
        node = to_node(proto)
        taken = [values[name] for name in node.inputs]
        results = find_operator(node)(*taken, **node.attributes)
        check_inference(node, taken, results)
        values |= {name: result for name, result in zip(node.outputs, results, strict=False) if name}
    return [values[v.name] for v in model.graph.output]


def compare(case: Any) -> None:
    """Assert that the case's outputs, types and shapes included, come out."""
    for inputs, wanted in case.data_sets:
        outputs = evaluate(case.model, [np.asarray(to_value(i)) for i in inputs])
        for found, expected in zip(outputs, map(np.asarray, map(to_value, wanted)), strict=True):
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            np.testing.assert_allclose(found, expected, rtol=case.rtol, atol=case.atol)


def refusal(case: Any) -> str | None:
    """Why the runtime refuses the case before it runs, if it does."""
    if any(o.version > NEWEST_OPSET for o in case.model.opset_import if not o.domain):
        return "newer than the operators are known"
    return missing_operator(case.model) or missing_type(case.model) or missing_attribute(case.model)


def test_every_node_case_agrees_or_is_refused_by_name() -> None:
    passed, failed, refused = 0, {}, set()
    for case in collect():
        reason = refusal(case)
        if reason:
            refused.add(reason)
        elif case.name in REFUSED_CASES:
            with pytest.raises(PlanError, match=REFUSED_CASES[case.name]):
                compare(case)
        else:
            try:
                compare(case)
                passed += 1
            except (AssertionError, PlanError, ValueError, IndexError, TypeError, KeyError) as error:
                failed[case.name] = str(error)
    assert not failed
    assert passed >= LEAST_PASSING
    known = {"another domain", "not in the pinned opset", "not a tensor", "not a numpy type", "another version of the operator"}
    known |= {"newer than the operators are known", "a subgraph"}
    known |= {f"operator {name}" for names in REFUSED_OPERATORS.values() for name in names}
    assert refused <= known


def test_every_operator_of_the_pinned_opset_is_known_or_refused() -> None:
    refused = set().union(*REFUSED_OPERATORS.values())
    pinned = {s.name for s in defs.get_all_schemas() if not s.domain and pinned_schema(s.name)}
    assert set(operators()) | refused == pinned
    assert not set(operators()) & refused


def test_references_take_the_attributes_of_the_pinned_schema_with_its_defaults() -> None:
    for name, found in operators().items():
        schema = pinned_schema(name)
        assert schema is not None
        assert found.attribute_names <= schema.attributes.keys()
        for attribute_name in found.attribute_names:
            proto = schema.attributes[attribute_name]
            assert proto.required == (attribute_name not in found.defaults), (name, attribute_name)
            if proto.default_value.type:
                assert found.defaults[attribute_name] == pytest.approx(attribute(proto.default_value)), (name, attribute_name)
