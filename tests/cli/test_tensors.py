"""``pack`` and ``unpack`` of files that hold tensors without a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

WEIGHT = np.random.default_rng(0).standard_normal((32, 40)).astype(np.float32)


@pytest.fixture
def packed(run, tmp_path: Path) -> Path:
    save_file({"w": WEIGHT}, tmp_path / "w.safetensors")
    result = run("pack", tmp_path / "w.safetensors", "--lossless")
    assert result.exit_code == 0, result.output
    return tmp_path / "w.tersor"


def test_safetensors_and_npz_come_back(run, packed: Path, tmp_path: Path):
    assert run("unpack", packed, tmp_path / "back.safetensors").exit_code == 0
    assert np.array_equal(load_file(tmp_path / "back.safetensors")["w"], WEIGHT)
    assert run("unpack", packed, tmp_path / "back.npz").exit_code == 0
    with np.load(tmp_path / "back.npz") as archive:
        assert np.array_equal(archive["w"], WEIGHT)


def test_the_default_output_of_mere_tensors_is_safetensors(run, packed: Path, tmp_path: Path):
    (tmp_path / "w.safetensors").unlink()
    assert run("unpack", packed).exit_code == 0
    assert np.array_equal(load_file(tmp_path / "w.safetensors")["w"], WEIGHT)


def test_sharing_applies_to_mere_tensors(run, packed: Path, tmp_path: Path):
    assert run("pack", tmp_path / "w.safetensors", "--bits", 3, "-o", tmp_path / "s.tersor", "-q").exit_code == 0
    assert run("unpack", tmp_path / "s.tersor").exit_code == 0
    assert len(np.unique(load_file(tmp_path / "s.safetensors")["w"])) <= 8


@pytest.mark.parametrize(
    ("name", "message"), [("x.onnx", "holds tensors and no graph"), ("x.txt", "cannot tell what to write")]
)
def test_what_cannot_be_written_is_told(run, name: str, message: str, packed: Path, tmp_path: Path):
    result = run("unpack", packed, tmp_path / name)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("verb", ["run", "bench"])
def test_mere_tensors_do_not_run(run, verb: str, packed: Path):
    result = run(verb, packed)
    assert result.exit_code == 7, result.output
    assert "load_tensors" in result.output


@pytest.mark.parametrize("verb", ["inspect", "verify", "report"])
def test_mere_tensors_are_looked_into(run, verb: str, packed: Path):
    result = run(verb, packed)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["net.tflite", "net.keras", "NET.H5"])
def test_the_way_through_onnx_is_told(run, name: str, tmp_path: Path):
    (tmp_path / name).touch()
    result = run("pack", tmp_path / name)
    assert result.exit_code == 2
    assert "onnx" in result.output
