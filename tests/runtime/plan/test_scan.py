"""Scans along any axes, in either direction; ONNX Runtime is the oracle."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.parser import parse_model

from tersor.converters import from_onnx
from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.runtime.model import Model

AXES = st.tuples(*[st.sampled_from([0, 1, -1, -2])] * 2)
DIRECTIONS = st.tuples(*[st.integers(0, 1)] * 2)


def rows_along(axis: int, count: int, size: int) -> tuple[int, int]:
    """The shape of ``count`` vectors of ``size`` that lie one behind another along ``axis``."""
    return (count, size) if axis in (0, -2) else (size, count)


@settings(max_examples=20)
@given(st.integers(1, 4), AXES, DIRECTIONS, AXES, DIRECTIONS)
def test_scans_along_any_axis_in_either_direction(
    n: int, taken: tuple[int, int], backwards: tuple[int, int], given_along: tuple[int, int], collected: tuple[int, int]
) -> None:
    shapes = {"a0": (2,), "b0": (3,), "x": rows_along(taken[0], n, 2), "z": rows_along(taken[1], n, 3)}
    inputs = ", ".join(f"float{list(shape)} {name}" for name, shape in shapes.items())
    source = parse_model(f"""<ir_version: 8, opset_import: ["" : 18]>
    g ({inputs}) => (float[2] a, float[3] b, float[i,j] s, float[k,l] t) {{
        a, b, s, t = Scan(a0, b0, x, z) <
          num_scan_inputs = 2, scan_input_axes = {list(taken)}, scan_input_directions = {list(backwards)},
          scan_output_axes = {list(given_along)}, scan_output_directions = {list(collected)},
          body = h (float[2] ai, float[3] bi, float[2] xi, float[3] zi)
              => (float[2] ao, float[3] bo, float[2] si, float[3] ti) {{
            ao = Sub(xi, ai)
            u = Tanh(bi)
            bo = Add(u, zi)
            si = Mul(ao, xi)
            ti = Neg(bo)
          }}
        >
    }}""")
    rng = np.random.default_rng(n)
    feed = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    session = onnxruntime.InferenceSession(source.SerializeToString(), providers=["CPUExecutionProvider"])
    with Model(from_onnx(source), threads=1) as model:
        outputs = model.run(feed)
    for value, expected in zip(outputs.values(), session.run(list(outputs), feed), strict=True):
        np.testing.assert_allclose(value, np.asarray(expected), rtol=1e-5, atol=1e-6)


def test_scanned_inputs_of_different_lengths_are_refused() -> None:
    row, rows = TensorType("float32", (2,)), [TensorType("float32", (n, 2)) for n in (3, 4)]
    body = Graph("b", (Value("p", row), Value("q", row)), (Value("r", row),), (Node("Add", "", ("p", "q"), ("r",)),))
    scan = Node("Scan", "scan", ("x", "z"), ("y",), {"body": body, "num_scan_inputs": 2})
    inputs = tuple(Value(name, kind) for name, kind in zip("xz", rows, strict=True))
    graph = Graph("g", inputs, (Value("y", TensorType("float32", None)),), (scan,))
    with Model(graph, threads=1) as built, pytest.raises(PlanError, match="have different lengths: 3, 4"):
        built.run({"x": np.zeros((3, 2), np.float32), "z": np.zeros((4, 2), np.float32)})
