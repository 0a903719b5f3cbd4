from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from tersor.converters import from_onnx, to_onnx

Arrays = Sequence[np.ndarray]


def _run(model: ModelProto, arrays: Arrays) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {value.name: array for value, array in zip(session.get_inputs(), arrays, strict=True)}
    return [np.asarray(output) for output in session.run(None, feeds)]


def _refer(model: ModelProto, arrays: Arrays) -> list[np.ndarray]:
    evaluator = ReferenceEvaluator(model)
    feeds = {str(name): array for name, array in zip(evaluator.input_names, arrays, strict=True)}
    return [np.asarray(output) for output in evaluator.run(None, feeds)]


@pytest.fixture
def run() -> Callable[[ModelProto, Arrays], list[np.ndarray]]:
    """Outputs of a model by ONNX Runtime, one thread."""
    return _run


@pytest.fixture
def agree() -> Callable[..., ModelProto]:
    """Check that a model, read and written back, gives the source's outputs in ONNX Runtime; return what was written."""

    def check(source: ModelProto, *arrays: np.ndarray, by_reference: bool = False, tolerance: float = 1e-6) -> ModelProto:
        written = to_onnx(from_onnx(source))
        onnx.checker.check_model(written, full_check=True)
        run = _refer if by_reference else _run
        for expected, actual in zip(run(source, arrays), run(written, arrays), strict=True):
            assert actual.dtype == expected.dtype
            assert actual.shape == expected.shape
            np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
        return written

    return check
