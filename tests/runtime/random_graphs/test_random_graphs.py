"""Random small graphs over the operator set; ONNX Runtime is the oracle."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from .graphs import build, check

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(data=st.data(), seed=st.integers(0, 1 << 16))
def test_packed_graphs_answer_like_onnx_runtime(data: st.DataObject, seed: int) -> None:
    built = build(lambda n: data.draw(st.integers(0, n - 1)), seed)
    assume(built.nodes)
    with tempfile.TemporaryDirectory() as folder:
        check(built, Path(folder, "m.tersor"))
