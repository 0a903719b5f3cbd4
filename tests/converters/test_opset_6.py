"""Definitions of opset 6, for which ONNX Runtime has no kernels: what they meant is computed here."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.converters import from_onnx, to_onnx

from .textual import X4, model, normal

PRELU_6 = "agraph (float[2,3,4] x) => (float[a,b,c] y) <float[{}] s = {{{}}}> {{ y = PRelu(x, s) }}"

OPSET_6 = {
    "prelu": (PRELU_6.format(3, "0.5,2,-1"), lambda x: np.where(x < 0, x * np.array([0.5, 2, -1], np.float32)[:, None], x)),
    "prelu-one": (PRELU_6.format(1, "0.5"), lambda x: np.where(x < 0, x / 2, x)),
    "prelu-matrix": (
        "agraph (float[2,3] x) => (float[a,b] y) <float[3] s = {0.5,2,-1}> { y = PRelu(x, s) }",
        lambda x: np.where(x < 0, x * np.array([0.5, 2, -1], np.float32), x),
    ),
    "batch-norm": (
        f"{X4} <float[3] s = {{1,2,3}}, float[3] b = {{0,1,0}}, float[3] m = {{1,0,2}}, float[3] v = {{1,4,2}}>"
        "{ y = BatchNormalization<is_test=1, epsilon=0.0>(x, s, b, m, v) }",
        lambda x: (
            (x - np.array([[[1]], [[0]], [[2]]], np.float32)) * np.array([[[1]], [[1]], [[4.5**0.5]]], np.float32)
            + np.array([[[0]], [[1]], [[0]]], np.float32)
        ),
    ),
    "gemm": (
        "agraph (float[2,3] x) => (float[a,b] y) <float[3,1] w = {1,2,3}, float[1] c = {4}>{ y = Gemm<broadcast=1>(x, w, c) }",
        lambda x: x @ np.array([[1], [2], [3]], np.float32) + 4,
    ),
    "dropout": (f"{X4} {{ t = Dropout<is_test=1>(x) y = Relu(t) }}", lambda x: np.maximum(x, 0)),
    "upsample": (
        f"{X4} {{ y = Upsample<height_scale=3.0, width_scale=2.0>(x) }}",
        lambda x: x.repeat(3, axis=2).repeat(2, axis=3),
    ),
    "upsample-among-others": (
        f"{X4} {{ t = Add(x, x) y = Upsample<height_scale=1.0, width_scale=2.0, mode='nearest'>(t) }}",
        lambda x: 2 * x.repeat(2, axis=3),
    ),
    "upsample-bilinear": (
        "agraph (float[1,1,1,2] x) => (float[a,b,c,d] y)"
        "{ y = Upsample<height_scale=1.0, width_scale=2.0, mode='bilinear'>(x) }",
        lambda x: x[..., [0, 0, 1, 1]] * 0.5 + x[..., [0, 1, 1, 1]] * 0.5,
    ),
}


ARITHMETIC = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Pow": np.power}
LOGIC = {
    "And": np.logical_and,
    "Equal": np.equal,
    "Greater": np.greater,
    "Less": np.less,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
}


@pytest.mark.parametrize(
    ("axis", "shape", "aligned"),
    [("", (5,), (5,)), ("axis=1,", (3,), (3, 1, 1)), ("axis=1,", (3, 4), (3, 4, 1)), ("axis=-1,", (5,), (5,))],
)
@pytest.mark.parametrize("batch", [2, "N"])
@pytest.mark.parametrize("op", ARITHMETIC)
def test_an_axis_to_broadcast_along_is_upgraded(op, batch, axis, shape, aligned, run):
    body = (
        f"agraph (float[{batch},3,4,5] x, float{list(shape)} w) => (float[a,b,c,d] y) {{ y = {op}<{axis} broadcast=1>(x, w) }}"
    )
    x, w = np.abs(normal(2, 3, 4, 5)), normal(*shape)
    (found,) = run(to_onnx(from_onnx(model(6, body))), [x, w])
    np.testing.assert_allclose(found, ARITHMETIC[op](x, w.reshape(aligned)), rtol=1e-5)


@pytest.mark.parametrize("batch", [2, "N"])
@pytest.mark.parametrize("op", LOGIC)
def test_comparisons_and_logic_broadcast_as_they_did(op, batch, run):
    kind = "bool" if op in ("And", "Or", "Xor") else "int32" if op == "Equal" else "float"
    body = f"agraph ({kind}[{batch},3,4] x, {kind}[3] w) => (bool[a,b,c] y) {{ y = {op}<axis=1, broadcast=1>(x, w) }}"
    dtype = np.dtype(kind if kind != "float" else np.float32)
    x, w = (np.random.default_rng(0).integers(0, 2, shape).astype(dtype) for shape in ((2, 3, 4), (3,)))
    (found,) = run(to_onnx(from_onnx(model(6, body))), [x, w])
    np.testing.assert_array_equal(found, LOGIC[op](x, w[:, None]))


@pytest.mark.parametrize("batch", ["N", "?"])
def test_a_batch_of_unknown_size_is_no_hindrance(batch, run):
    body = "{ t = Gemm<broadcast=1>(x, w, c) u = Dropout<is_test=1>(t) y = Add<broadcast=1>(u, c) }"
    source = model(6, f"agraph (float[{batch},3] x) => (float[a,b] y) <float[3,1] w = {{1,2,3}}, float[1] c = {{4}}> {body}")
    x = normal(2, 3)
    (found,) = run(to_onnx(from_onnx(source)), [x])
    np.testing.assert_allclose(found, x @ np.array([[1], [2], [3]], np.float32) + 8, rtol=1e-5)


@pytest.mark.parametrize("name", OPSET_6)
def test_old_definitions_are_upgraded(name, run):
    source = model(6, OPSET_6[name][0])
    x = normal(*(d.dim_value for d in source.graph.input[0].type.tensor_type.shape.dim))
    (result,) = run(to_onnx(from_onnx(source)), [x])
    np.testing.assert_allclose(result, OPSET_6[name][1](x), rtol=1e-5, atol=1e-6)
