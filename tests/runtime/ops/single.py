"""One operator: what its reference says, and what ONNX Runtime says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from onnx import helper

from tersor.format_spec.graph import Node
from tersor.runtime.ops import operators

QUIET = onnxruntime.SessionOptions()
QUIET.log_severity_level = 4
QUIET.intra_op_num_threads = QUIET.inter_op_num_threads = 1

Tensors: TypeAlias = "Sequence[np.ndarray | None]"


def onnx_runtime(op_type: str, inputs: Tensors, outputs: int = 1, *, opset: int = 22, **attributes: Any) -> Any:
    """What ONNX Runtime computes for one node."""
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    values = [
        helper.make_tensor_value_info(f"x{i}", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for i, x in enumerate(inputs)
        if x is not None
    ]
    results = [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outputs)]
    node = helper.make_node(op_type, names, [r.name for r in results], **attributes)
    graph = helper.make_graph([node], "g", values, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), QUIET, ["CPUExecutionProvider"])
    return session.run(None, {f"x{i}": x for i, x in enumerate(inputs) if x is not None})


def check(op_type: str, inputs: Tensors, outputs: int = 1, *, opset: int = 22, **attributes: Any) -> None:
    """Assert that the reference, and its ``infer``, agree with ONNX Runtime."""
    found = operators()[op_type]
    results = found(*inputs, **attributes)[:outputs]
    for result, expected in zip(results, onnx_runtime(op_type, inputs, outputs, opset=opset, **attributes), strict=True):
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    if found.infer:
        node = Node(op_type, "n", (), (), attributes)
        types = found.infer(node, [None if x is None else (x.dtype, x.shape) for x in inputs], inputs)
        assert types[:outputs] == [(r.dtype, r.shape) for r in results]


def floats(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)
