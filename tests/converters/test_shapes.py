"""Shapes of values are what onnx infers."""

from __future__ import annotations

from onnx.parser import parse_model

from tersor.converters import from_onnx
from tersor.converters.shapes import infer_shapes


def test_sizes_and_names_of_symbolic_ones():
    text = '<ir_version: 8, opset_import: ["" : 18]> g (float[N,3,4] x) => (y) { t = Transpose<perm=[1,0,2]>(x) y = Relu(t) }'
    assert infer_shapes(from_onnx(parse_model(text))) == {"x": ("N", 3, 4), "t": (3, "N", 4)}
