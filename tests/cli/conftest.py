"""A small model, packed, and the real entry point to give it to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from tersor.cli.main import cli

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    return lambda *arguments: CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """conv 3x3 -> relu -> flatten -> gemm on (N, 1, 6, 6)."""
    rng = np.random.default_rng(0)
    tensors = {
        "conv.w": rng.standard_normal((8, 1, 3, 3)),
        "conv.b": rng.standard_normal(8),
        "fc.w": rng.standard_normal((10, 128)),
        "fc.b": rng.standard_normal(10),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "conv.w", "conv.b"], ["c"], kernel_shape=[3, 3]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("Flatten", ["r"], ["f"]),
            helper.make_node("Gemm", ["f", "fc.w", "fc.b"], ["y"], transB=1),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def packed(model: Path) -> Path:
    path = model.with_suffix(".tersor")
    result = CliRunner().invoke(cli, ["pack", str(model), "-o", str(path), "--lossless", "--quiet"])
    assert result.exit_code == 0, result.output
    return path
