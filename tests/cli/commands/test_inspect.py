"""``inspect``: bytes, plans and sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from tersor.format_spec.graph import Graph
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import pack

Run = Callable[..., Result]


def test_inspect_accounts_for_every_byte(run: Run, packed: Path):
    facts = json.loads(run("inspect", packed, "--json").stdout)
    manifest = sum(s["bytes"] for s in facts["sections"] if s["kind"] == "manifest")
    assert sum(t["bytes"] for t in facts["tensors"]) + manifest + facts["overhead"] == packed.stat().st_size
    assert facts["inputs"] == {"x": "float32[N, 1, 6, 6]"}
    shown = [line.split() for line in run("inspect", packed).output.splitlines() if "fc.w" in line]
    (stored,) = (t["bytes"] for t in facts["tensors"] if t["name"] == "fc.w")
    assert {f"{stored:,}", f"{8 * stored / 1280:.2f}"} <= set(shown[0])
    plan = json.loads(run("inspect", packed, "--plan", "--size", "N=2", "--json").stdout)
    assert any(step["op"].startswith("Conv") for step in plan["steps"])
    assert plan["intermediate_bytes"] > 0
    for threads in (1, 2):
        given = ("inspect", packed, "--plan", "--size", "N=2", "--threads", threads)
        assert json.loads(run(*given, "--json").stdout)["threads"] == threads
        assert f"Plan for {threads} thread" in run(*given).output
    assert run("inspect", packed, "--plan", "--size", "N").exit_code == 2


def test_inspect_names_the_tensor_that_another_is_the_same_as(run: Run, tmp_path: Path):
    array = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    path = tmp_path / "twice.tersor"
    pack(Graph("g", (), (), (), {name: DenseTensor.of(array) for name in ("one", "two")}), path)
    facts = json.loads(run("inspect", path, "--json").stdout)
    one, two = facts["tensors"]
    assert one["same_as"] is None
    assert two == one | {"name": "two", "bytes": 0, "items": {}, "same_as": "one"}
    manifest = sum(s["bytes"] for s in facts["sections"] if s["kind"] == "manifest")
    assert one["bytes"] + manifest + facts["overhead"] == path.stat().st_size
    assert "the same as one" in run("inspect", path).output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--plan", "--size", "Q=3"), 2, "no open dimension 'Q'; it has N"),
        (("--size", "N=3"), 2, "--size needs --plan"),
        (("--memory", "expanded"), 2, "--memory needs --plan"),
        (("--threads", "1"), 2, "--threads needs --plan"),
        (("--plan", "--size", "N=1000", "--max-decoded-bytes", "100k"), 4, "(Limits.activation_bytes)"),
        (("--plan", "--size", f"N={1 << 63}"), 4, "small.tersor: input 'x'"),
        (("--plan", "--size", "N=99999999999"), 4, "Limits.activation_bytes"),
        (("--plan", "--size", "N=1", "--size", "N=2"), 2, "--size says the same dimension twice"),
    ],
)
def test_inspect_refuses_sizes(run: Run, packed: Path, arguments: tuple[str, ...], code: int, message: str):
    result = run("inspect", packed, *arguments)
    assert (result.exit_code, message in result.output) == (code, True), result.output
