"""The benchmark's contest of processes, on a small model, and its table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tersor.cli._engines import WORKER, Contestant, Engine, EngineStopped, compete
from tersor.converters import from_onnx
from tersor.packer import pack


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    """y = relu(x) + x as ONNX and packed; x (2, 3)."""
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Add", ["r", "x"], ["y"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    graph = helper.make_graph(nodes, "small", values[:1], values[1:])
    source, packed = tmp_path / "small.onnx", tmp_path / "small.tersor"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), source)
    pack(from_onnx(source), packed)
    return source, packed


def test_engines_take_turns(models: tuple[Path, Path]):
    source, packed = models
    x = np.arange(6, dtype=np.float32).reshape(2, 3) - 2
    engines = [Contestant("tersor", packed), Contestant("onnxruntime", source)]
    found = compete(engines, {"x": x}, threads=1, rounds=3, round_seconds=0.001)
    assert list(found) == ["tersor", "onnxruntime"]
    for latency in found.values():
        assert 0 < latency.low <= latency.median <= latency.high
        assert latency.load > 0
        assert latency.difference < 1e-6
        assert 10 << 20 < latency.peak < 4 << 30


def test_an_engine_that_cannot_load_says_so(models: tuple[Path, Path], tmp_path: Path):
    np.savez(tmp_path / "inputs.npz", x=np.zeros((2, 3), np.float32))
    with pytest.raises(EngineStopped, match="onnxruntime"):
        Engine(Contestant("onnxruntime", models[1]), 1, tmp_path / "inputs.npz")


def test_the_worker_needs_no_tersor():
    text = WORKER.read_text(encoding="utf-8")
    imports = [line for line in text.splitlines() if line.startswith(("import", "from"))]
    assert not any("tersor" in line or " ." in line for line in imports)
