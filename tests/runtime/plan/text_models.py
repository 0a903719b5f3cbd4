"""Models as ONNX's text, with ONNX Runtime as the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.parser import parse_model

from tersor.converters import from_onnx
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.packer import pack
from tersor.runtime import load
from tersor.runtime.model import Model
from tersor.runtime.ops import Closure
from tersor.runtime.orders.workers import Workers
from tersor.runtime.plan.subgraph import close_over


def model(body: str) -> onnx.ModelProto:
    return parse_model(f'<ir_version: 8, opset_import: ["" : 18]> {body}')


def check(body: str, folder: Path, *feeds: dict[str, Any]) -> Model:
    """Compare the packed model with ONNX Runtime for each of ``feeds``."""
    source = model(body)
    session = onnxruntime.InferenceSession(source.SerializeToString(), providers=["CPUExecutionProvider"])
    pack(from_onnx(source), folder / "m.tersor", threads=1)
    packed = load((folder / "m.tersor").read_bytes(), threads=1)
    for feed in feeds:
        for _ in range(2):
            outputs = packed.run(feed)
            for value, expected in zip(packed.outputs, session.run(None, feed), strict=True):
                found, wanted = outputs[value.name], np.asarray(expected)
                assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
                np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    return packed


def bodies(body: str) -> list[Closure]:
    """The bodies of loops and scans as they are planned."""
    graph = close_over(from_onnx(model(body)), Workers(1), DEFAULT_LIMITS)
    found: list[Any] = [node.attributes["body"] for node in graph.nodes if "body" in node.attributes]
    return found
