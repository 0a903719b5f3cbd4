"""An If that machine code decides, with the orders of both branches in the plan around it; ONNX Runtime is the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tersor.converters import from_onnx
from tersor.format_spec.errors import PlanError
from tersor.packer import pack
from tersor.runtime import load
from tersor.runtime.plan import subgraph
from tests.runtime.plan.text_models import check, model

X = np.arange(-3, 5, dtype=np.float32).reshape(2, 4)

WHOLE = """g (float[2,4] x, bool c) => (float[2,4] y) {{
    t = Relu(x)
    p = If(c) <then_branch = a () => (float[2,4] p) {{ {first} }}, else_branch = b () => (float[2,4] q) {{ {second} }}>
    y = Neg(p)
}}"""

SECOND = "k = Constant <value_float = 2.0> () u = Mul(x, k) q = Add(u, t)"

SEVERAL = """g (float[2,4] x, bool[1] c) => (float[2,4] y, float[4] z, float[2,4] s) <float[4] w = {1,2,3,4}> {
    y, z, s = If(c) <
      then_branch = a () => (float[2,4] y1, float[4] z1, float[2,4] s1) {
        y1 = Identity(x) z1 = Identity(w) s1 = Abs(x)
      },
      else_branch = b () => (float[2,4] y2, float[4] z2, float[2,4] s2) {
        y2 = Mul(x, w) z2 = Neg(w) s2 = Identity(x)
      }
    >
}"""

NESTED = """g (float[2,4] x, bool c, bool d) => (float[2,4] y) {
    y = If(c) <
      then_branch = a () => (float[2,4] p) {
        p = If(d) <
          then_branch = e () => (float[2,4] r) { r = Relu(x) },
          else_branch = f () => (float[2,4] s) { u = Exp(x) s = Neg(u) }
        >
      },
      else_branch = b () => (float[2,4] q) { q = Abs(x) }
    >
}"""

INDEXED = """g (float[3] x, int64[1] i, bool c) => (float[1] y) {
    y = If(c) <
      then_branch = a () => (float[1] p) { p = Gather(x, i) },
      else_branch = b () => (float[1] q) <float[1] one = {1}> { q = Identity(one) }
    >
}"""


def kernels(packed: Any) -> list[str]:
    """Those of the If of a plan."""
    return [row.kernel for row in packed.plan().rows() if row.op == "If"]


@pytest.mark.parametrize("first", ["p = Exp(t)", "p = Identity(t)", "p = Identity(x)", "u = Exp(x) v = Neg(u) p = Sub(v, t)"])
def test_one_branch_after_the_other(tmp_path: Path, first: str) -> None:
    feeds = [{"x": X * k, "c": np.array(c)} for k in (1, 2) for c in (True, False, True)]
    assert kernels(check(WHOLE.format(first=first, second=SECOND), tmp_path, *feeds)) == ["branches"]


def test_outputs_that_are_inputs_or_constants(tmp_path: Path) -> None:
    assert kernels(check(SEVERAL, tmp_path, *({"x": X, "c": np.array([c])} for c in (True, False)))) == ["branches"]


def test_branches_in_branches(tmp_path: Path) -> None:
    feeds = [{"x": X, "c": np.array(c), "d": np.array(d)} for c in (True, False) for d in (True, False)]
    assert kernels(check(NESTED, tmp_path, *feeds)) == ["branches"]


def test_one_value_that_is_two_outputs_and_one_that_nobody_reads(tmp_path: Path) -> None:
    body = """g (float[2,4] x, bool c) => (float[2,4] y, float[2,4] z) {
        y, w, z = If(c) <
          then_branch = a () => (float[2,4] p, float[2,4] e, float[2,4] o) { p = Relu(x) e = Exp(x) o = Identity(p) },
          else_branch = b () => (float[2,4] q, float[2,4] f, float[2,4] r) { q = Neg(x) f = Exp(x) r = Abs(x) }
        >
    }"""
    assert kernels(check(body, tmp_path, *({"x": X, "c": np.array(c)} for c in (True, False)))) == ["branches"]


def test_parts_of_what_a_branch_computes(tmp_path: Path) -> None:
    body = """g (float[2,4] x, bool c) => (float[2,2] y) {
        y = If(c) <
          then_branch = a () => (float[2,2] p) { t = Relu(x) u = Transpose(t) p, r = Split <axis = 0, num_outputs = 2> (u) },
          else_branch = b () => (float[2,2] q) { s, q = Split <axis = 1, num_outputs = 2> (x) }
        >
    }"""
    check(body, tmp_path, *({"x": X, "c": np.array(c)} for c in (True, False)))


def test_large_branches_are_planned_when_they_are_taken(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(subgraph, "SMALL", 15)  # less than the four constants
    assert kernels(check(SEVERAL, tmp_path, *({"x": X, "c": np.array([c])} for c in (True, False)))) == ["subgraph"]


def test_threads_and_traces(tmp_path: Path) -> None:
    pack(from_onnx(model(NESTED)), tmp_path / "m.tersor", threads=1)
    with load(tmp_path / "m.tersor", threads=2) as packed:
        for c, expected in ((True, np.maximum(X, 0)), (False, np.abs(X))):
            feed = {"x": X, "c": np.array(c), "d": np.array(True)}
            for _ in range(3):
                np.testing.assert_array_equal(packed.run(feed)["y"], expected)
            trace = packed.trace(feed, runs=2)
            assert [row.kernel for row in trace.rows] == ["branches"]
            assert len(trace.step_seconds()) == 1


def test_any_byte_but_zero_is_true(tmp_path: Path) -> None:
    pack(from_onnx(model(NESTED)), tmp_path / "m.tersor", threads=1)
    odd = np.array(2, np.uint8).view(bool)
    with load(tmp_path / "m.tersor", threads=1) as packed:
        for _ in range(2):
            np.testing.assert_array_equal(packed.run({"x": X, "c": odd, "d": odd})["y"], np.maximum(X, 0))


def test_the_branch_that_is_taken_refuses_its_inputs(tmp_path: Path) -> None:
    pack(from_onnx(model(INDEXED)), tmp_path / "m.tersor", threads=1)
    x = np.arange(3, dtype=np.float32)
    with load(tmp_path / "m.tersor", threads=1) as packed:
        for _ in range(2):
            assert packed.run({"x": x, "i": np.array([2]), "c": np.array(True)})["y"] == [2]
            assert packed.run({"x": x, "i": np.array([7]), "c": np.array(False)})["y"] == [1]
            with pytest.raises(PlanError, match="7"):
                packed.run({"x": x, "i": np.array([7]), "c": np.array(True)})
