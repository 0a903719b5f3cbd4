"""Models in ONNX's textual form, and numbers for them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx.parser import parse_model


def model(opset: int, body: str) -> onnx.ModelProto:
    """A model in ONNX's textual form; strings may be in single quotes."""
    text = body.replace("'", '"')
    return parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {text}')


def normal(*shape: int) -> np.ndarray:
    """Seeded by the number of axes."""
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


X4 = "agraph (float[2,3,4,5] x) => (float[a,b,c,d] y)"
