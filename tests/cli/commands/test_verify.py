"""``verify``: alone, and against the model that was packed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from click.testing import Result

Run = Callable[..., Result]


def test_verify(run: Run, packed: Path, model: Path, tmp_path: Path):
    assert json.loads(run("verify", packed, "--json").stdout)["ok"]
    result = run("verify", packed, "--against", model)
    assert result.exit_code == 0, result.output
    rough = tmp_path / "rough.tersor"
    run("pack", model, "-o", rough, "--bits", 1, "--quiet")
    result = run("verify", rough, "--against", model)
    assert result.exit_code == 11
    assert "--tolerance" in result.output
    assert run("verify", rough, "--against", model, "--tolerance", 10).exit_code == 0
    damaged = bytearray(packed.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    rough.write_bytes(damaged)
    assert run("verify", rough).exit_code == 3


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("none.onnx", 1, "none.onnx: No such file"),
        (".", 1, "Is a directory"),
        ("text.onnx", 5, "text.onnx: ONNX Runtime does not read it"),
        ("packed", 5, "ONNX Runtime does not read it"),
        ("wide.onnx", 8, "wide.onnx: does not run on the packed model's inputs"),
        ("other.onnx", 8, "other.onnx: has no output 'y'"),
        ("turned.onnx", 8, "turned.onnx: output 'y' has the shape [10, 1], the packed model's [1, 10]"),
    ],
)
def test_verify_against_what_is_no_such_model(
    run: Run, packed: Path, model: Path, tmp_path: Path, name: str, code: int, message: str
):
    (tmp_path / "text.onnx").write_text("hello")
    proto = onnx.load(model)
    proto.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 7
    proto.graph.node[2].CopyFrom(onnx.helper.make_node("GlobalMaxPool", ["r"], ["f"]))
    proto.graph.node[3].CopyFrom(onnx.helper.make_node("Identity", ["f"], ["y"]))
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(proto, tmp_path / "wide.onnx")
    proto = onnx.load(model)
    proto.graph.node[3].output[0] = proto.graph.output[0].name = "z"
    onnx.save(proto, tmp_path / "other.onnx")
    proto.graph.node.append(onnx.helper.make_node("Transpose", ["z"], ["y"]))
    proto.graph.output[0].name = "y"
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(proto, tmp_path / "turned.onnx")
    result = run("verify", packed, "--against", packed if name == "packed" else tmp_path / name)
    assert (result.exit_code, message in result.output) == (code, True), result.output


def test_verify_takes_seeds_from_0_on(run: Run, packed: Path):
    assert run("verify", packed, "--seed", -1).exit_code == 2


@pytest.mark.parametrize(("option", "value"), [("--tolerance", 1), ("--seed", 1), ("--size", "N=1")])
def test_verify_takes_no_option_that_it_would_not_use(run: Run, packed: Path, option: str, value: object):
    result = run("verify", packed, option, value)
    assert (result.exit_code, f"{option} needs --against" in result.output) == (2, True), result.output


def test_weights_that_are_no_numbers_are_so_in_both_models(run: Run, model: Path, tmp_path: Path):
    broken = onnx.load(model)
    weights = next(t for t in broken.graph.initializer if t.name == "fc.b")
    weights.CopyFrom(onnx.numpy_helper.from_array(np.array([np.nan, *range(9)], np.float32), "fc.b"))
    onnx.save(broken, tmp_path / "nan.onnx")
    run("pack", tmp_path / "nan.onnx", "--lossless", "--quiet")
    result = run("verify", tmp_path / "nan.tersor", "--against", tmp_path / "nan.onnx")
    assert result.exit_code == 0, result.output
    result = run("verify", tmp_path / "nan.tersor", "--against", model)
    assert (result.exit_code, "where the other model has infinity or none" in result.output) == (11, True), result.output
