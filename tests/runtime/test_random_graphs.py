"""Random small graphs over the operator set; ONNX Runtime is the oracle."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.fixture(scope="module")
def graphs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("random_graphs", Path(__file__).with_name("random_graphs.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(data=st.data(), seed=st.integers(0, 1 << 16))
def test_packed_graphs_answer_like_onnx_runtime(graphs: ModuleType, data: st.DataObject, seed: int) -> None:
    built = graphs.build(lambda n: data.draw(st.integers(0, n - 1)), seed)
    assume(built.nodes)
    with tempfile.TemporaryDirectory() as folder:
        graphs.check(built, Path(folder, "m.tersor"))
