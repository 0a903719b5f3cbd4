"""Types of what follows If, Loop and Scan, known before the run; ONNX Runtime is the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tersor.converters import from_onnx
from tersor.format_spec.errors import PlanError
from tersor.packer import pack
from tersor.runtime import load
from tests.runtime.plan.test_subgraph import LOOP, SCAN
from tests.runtime.plan.text_models import check, model

BRANCHES = """g (float[N,4] x, float[N,4] z, bool c) => (float[a,b] y) <float[4,3] w = {1,2,3,4,5,6,7,8,9,1,2,3}> {
    t = If(c) <
      then_branch = a () => (float[a,b] p) { p = Relu(x) },
      else_branch = b () => (float[a,b] q) { q = Sub(x, z) }
    >
    y = MatMul(t, w)
}"""


def test_what_follows_a_subgraph_of_known_types_runs_on_kernels(tmp_path: Any) -> None:
    for n in (1, 3):
        feed = {"x": np.ones((n, 4), np.float32), "z": np.full((n, 4), 3, np.float32), "c": np.array(n == 1)}
        packed = check(BRANCHES, tmp_path, feed)
        rows = list(packed.plan({name: array.shape for name, array in feed.items()}).rows())
        assert [row.kernel == "branches" for row in rows] == [True, False]
        assert "reference" not in rows[1].kernel
        assert rows[0].output == f"float32 {n}x4"


def test_a_branch_that_a_constant_chooses_gives_its_type(tmp_path: Any) -> None:
    for chosen, size in ((1, 2), (0, 3)):
        body = f"""g (float[2] x, float[3] z) => (float[a] y) <bool c = {{{chosen}}}> {{
            y = If(c) <
              then_branch = a () => (float[a] p) {{ p = Neg(x) }},
              else_branch = b () => (float[a] q) {{ q = Abs(z) }}
            >
        }}"""
        packed = check(body, tmp_path, {"x": np.ones(2, np.float32), "z": np.full(3, -2, np.float32)})
        plan = packed.plan()
        assert plan.slots[plan.outputs["y"]].shape == (size,)


def test_carried_values_and_scans_have_types_before_the_run(tmp_path: Any) -> None:
    loop = model(LOOP)
    pack(from_onnx(loop), tmp_path / "l.tersor")
    with load(tmp_path / "l.tersor") as packed:
        plan = packed.plan()
        assert [plan.slots[plan.outputs[name]].shape for name in ("last", "all")] == [(3,), None]
    pack(from_onnx(model(SCAN)), tmp_path / "s.tersor")
    with load(tmp_path / "s.tersor") as packed:
        plan = packed.plan()
        assert [plan.slots[plan.outputs[name]].shape for name in ("h", "all")] == [(2,), (2, 5)]


def test_a_branch_that_does_not_fit_leaves_the_type_open(tmp_path: Any) -> None:
    body = """g (float[2] x, float[3] z, bool c) => (float[a] y) {
        y = If(c) <
          then_branch = a () => (float[a] p) { p = Add(x, x) },
          else_branch = b () => (float[a] q) { q = Add(x, z) }
        >
    }"""
    pack(from_onnx(model(body)), tmp_path / "m.tersor")
    with load(tmp_path / "m.tersor") as packed:
        feed = {"x": np.ones(2, np.float32), "z": np.ones(3, np.float32)}
        np.testing.assert_array_equal(packed.run({**feed, "c": np.array(True)})["y"], [2, 2])
        with pytest.raises(PlanError, match="do not broadcast"):
            packed.run({**feed, "c": np.array(False)})
