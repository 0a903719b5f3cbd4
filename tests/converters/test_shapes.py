"""Shapes of values are what onnx infers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx.parser import parse_model

from tersor.converters import from_onnx
from tersor.converters.shapes import infer_shapes
from tersor.format_spec.graph import Graph
from tersor.format_spec.tensors import DenseTensor


def read(text: str) -> Graph:
    return from_onnx(parse_model(f'<ir_version: 8, opset_import: ["" : 18]> {text}'))


def test_sizes_and_names_of_symbolic_ones():
    graph = read("g (float[N,3,4] x) => (y) { t = Transpose<perm=[1,0,2]>(x) y = Relu(t) }")
    assert infer_shapes(graph) == {"x": ("N", 3, 4), "t": (3, "N", 4)}


def test_shapes_that_are_computed():
    text = "<int64[1] zero = {0}, int64[1] rest = {-1}> { s = Shape(x) n = Gather(s, zero) t = Concat<axis=0>(n, rest)"
    graph = read(f"g (float[N,3,4] x) => (y) {text} r = Reshape(x, t) y = Relu(r) }}")
    assert infer_shapes(graph)["r"][0] == "N"


def test_what_is_not_known():
    graph = read("g (float[N,3] x, int64[n] t) => (y, z) { p = NonZero(x) y = Neg(p) r = Reshape(x, t) z = Neg(r) }")
    found = infer_shapes(graph)
    assert found["p"][0] == 2
    assert "r" not in found


def test_large_tensors_are_not_read():
    graph = read("g (float[N,20] x, float[20,30] w) => (y) { h = MatMul(x, w) y = Relu(h) }")
    large = DenseTensor(np.dtype(np.float32), (20, 30), lambda: pytest.fail("a large tensor was read"))
    assert infer_shapes(replace(graph, inputs=graph.inputs[:1], initializers={"w": large}))["h"] == ("N", 30)
