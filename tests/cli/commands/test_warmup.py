"""``warmup``: kernels that are kept, and those that cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from click.testing import Result

from tersor.runtime import load
from tersor.runtime.jit import cache
from tersor.runtime.jit.link import Code

Run = Callable[..., Result]


def test_warmup_says_where_kernels_are_kept(run: Run, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERSOR_CACHE_DIR", "elsewhere")  # put back after the test
    facts = json.loads(run("warmup", packed, "--cache", tmp_path / "kept", "--json").stdout)
    assert facts["folder"] == str(tmp_path / "kept")
    assert list(facts["seconds"]) == [str(packed)]
    assert str(tmp_path / "kept") in run("warmup", "--cache", tmp_path / "kept").output


def test_warmup_counts_kernels_and_nothing_else(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERSOR_CACHE_DIR", "elsewhere")  # put back after the test
    assert json.loads(run("warmup", "--cache", tmp_path / "none", "--json").stdout)["kernels"] == 0
    (tmp_path / "photos").mkdir()
    for name in ("notes", "photos/one"):
        (tmp_path / name).write_bytes(b"123")
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path))
    cache.write("kernel", Code("", "", (), b"1"))
    facts = json.loads(run("warmup", "--json").stdout)
    (kernel,) = tmp_path.glob("*/kernel")
    assert (facts["kernels"], facts["bytes"]) == (1, kernel.stat().st_size)


def test_warmup_covers_streamed_memory(run: Run, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERSOR_CACHE_DIR", "elsewhere")  # put back after the test
    asked: list[str] = []
    monkeypatch.setattr("tersor.runtime.load", lambda *_, memory, **more: asked.append(memory) or load(packed, **more))
    assert run("warmup", packed, "--cache", tmp_path, "--memory", "streamed").exit_code == 0
    assert asked == ["streamed"]


def test_warmup_fails_when_a_kernel_is_not_kept(run: Run, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr("tersor.runtime.jit.cache._lost", {})
    cache.write("kernel", Code("", "", (), b""))  # those of the model have been compiled in this process already
    result = run("warmup", packed)
    assert result.exit_code == 1
    assert f"{tmp_path / 'file'}: kernels cannot be kept there: Not a directory" in result.output


def test_warmup_needs_a_place(run: Run, packed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tersor.runtime.jit.cache.cache_folder", lambda: None)
    result = run("warmup", packed)
    assert (result.exit_code, "say where, with --cache DIR" in result.output) == (8, True), result.output


def test_warmup_refuses_a_batch_where_no_size_is_open(run: Run, model: Path, tmp_path: Path):
    fixed = onnx.load(model)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(fixed, tmp_path / "fixed.onnx")
    assert run("pack", tmp_path / "fixed.onnx", "-q").exit_code == 0
    result = run("warmup", tmp_path / "fixed.tersor", "--batch", 3)
    assert (result.exit_code, "left open" in result.output) == (2, True), result.output
