"""What is made for older opsets has names of its own, and is refused where it cannot be made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx.parser import parse_model

from tersor.converters import from_onnx
from tersor.format_spec.errors import UnsupportedOperator


def model(opset: int, body: str) -> onnx.ModelProto:
    return parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {body}')


def test_values_keep_the_names_that_an_adapter_would_give(agree: Callable[..., onnx.ModelProto]):
    source = model(
        10,
        "agraph (double[3] x) => (double[3] y, double[3] z) <double[3] y_min = {5,6,7}>"
        "{ y_max = Neg(x) y = Clip<min=-0.5, max=0.25>(y_max) z = Add(y_min, x) }",
    )
    agree(source, np.array([-1, 0.1, 2]), by_reference=True)


@pytest.mark.parametrize("body", ["y = Add<axis=1, broadcast=1>(x, s)", "y = PRelu(x, s)"])
def test_ranks_that_opset_6_needs(body: str):
    source = model(6, f"agraph (float[a] x, float[3] s) => (float[c] y) {{ {body} }}")
    source.graph.input[0].type.tensor_type.ClearField("shape")
    source.graph.node[0].name = "old"
    with pytest.raises(UnsupportedOperator, match=r"node 'old': \w+ of opset 6 .*known rank; export at opset 7 or later"):
        from_onnx(source)
