"""``run``: what it reads and writes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import Result
from onnx import TensorProto, helper

Run = Callable[..., Result]


def test_run_reads_arrays_and_images(run: Run, packed: Path, tmp_path: Path):
    from PIL import Image

    x = np.random.default_rng(1).standard_normal((2, 1, 6, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    out = tmp_path / "out.npz"
    result = run("run", packed, tmp_path / "x.npy", "-o", out)
    assert result.exit_code == 0, result.output
    with np.load(out) as first:
        assert first["y"].shape == (2, 10)
        assert run("run", packed, "--input", f"x={tmp_path / 'x.npz'}", "-o", out).exit_code == 0
        with np.load(out) as second:
            np.testing.assert_array_equal(first["y"], second["y"])
    Image.fromarray(np.arange(144, dtype=np.uint8).reshape(12, 12)).save(tmp_path / "i.png")
    result = run("run", packed, tmp_path / "i.png", tmp_path / "i.png", "--mean", "0.5", "--json")
    assert json.loads(result.stdout)["outputs"]["y"]["shape"] == [2, 10]


def test_run_mistakes(run: Run, packed: Path, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 5, 6), np.float32))
    result = run("run", packed, tmp_path / "x.npy")
    assert result.exit_code == 8
    assert "6" in result.output
    assert run("run", packed).exit_code == 8
    assert "no input 'z'" in run("run", packed, "--input", f"z={tmp_path / 'x.npy'}").output
    (tmp_path / "bad.npy").write_bytes(b"nonsense")
    assert run("run", packed, tmp_path / "bad.npy").exit_code == 8


@pytest.mark.parametrize(
    "arguments", [("-o", "packed"), ("--trace", "packed"), ("-o", "x"), ("-o", "link"), ("-o", "new", "--trace", "new")]
)
def test_run_replaces_nothing_that_it_reads(run: Run, packed: Path, tmp_path: Path, arguments: tuple[str, ...]):
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 6, 6), np.float32))
    (tmp_path / "link").symlink_to(packed)
    paths = {"packed": packed, "x": tmp_path / "x.npy", "link": tmp_path / "link", "new": tmp_path / "new"}
    result = run("run", packed, paths["x"], *(paths.get(a, a) for a in arguments))
    assert (result.exit_code, "would replace" in result.output) == (2, True), result.output


@pytest.mark.parametrize("option", ["--mean=3", "--std=9", "--scale=4", "--bgr"])
def test_options_of_images_are_refused_for_arrays(run: Run, packed: Path, tmp_path: Path, option: str):
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 6, 6), np.float32))
    result = run("run", packed, tmp_path / "x.npy", option)
    assert (result.exit_code, "are for images" in result.output) == (2, True), result.output


def test_a_named_input_needs_the_name_of_a_file(run: Run, packed: Path):
    result = run("run", packed, "--input", "x=")
    assert (result.exit_code, "the name is empty" in result.output) == (2, True), result.output
    result = run("run", packed, "--input", "x.npy")
    assert (result.exit_code, "'x.npy' is not NAME=FILE" in result.output) == (2, True), result.output


@pytest.mark.parametrize("option", ["--std=0", "--scale=0", "--mean=inf", "--std=1,nan"])
def test_run_takes_finite_numbers(run: Run, packed: Path, option: str):
    assert run("run", packed, "i.png", option).exit_code == 2


def test_run_prints_json_that_strict_readers_take(run: Run, packed: Path, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.full((1, 1, 6, 6), np.nan, np.float32))
    result = run("run", packed, tmp_path / "x.npy", "--json", "--top", 1)
    shown = json.loads(result.stdout, parse_constant=pytest.fail)
    assert shown["outputs"]["y"]["top"] == [[{"index": 0, "value": "NaN"}]]


def test_trace(run: Run, packed: Path, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 6, 6), np.float32))
    shown = run("run", packed, tmp_path / "x.npy", "--trace", tmp_path / "trace.json")
    assert shown.exit_code == 0, shown.output
    assert "GMAC/s" in shown.output
    assert json.loads((tmp_path / "trace.json").read_bytes())["traceEvents"]
    steps = json.loads(run("run", packed, tmp_path / "x.npy", "--trace", tmp_path / "t.json", "--json").stdout)["steps"]
    assert [step["op"] for step in steps] == ["Conv + Relu", "Gemm"]


def test_run_says_how_many_values_are_no_numbers(run: Run, packed: Path, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.full((1, 1, 6, 6), np.nan, np.float32))
    assert "10 of 10 values are not a number" in run("run", packed, tmp_path / "x.npy").output


def test_run_writes_no_archive_under_the_name_of_an_array(run: Run, packed: Path, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 6, 6), np.float32))
    result = run("run", packed, tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert (result.exit_code, "y.npz, not .npy" in result.output) == (2, True), result.output
    assert not (tmp_path / "y.npy").exists()


@pytest.mark.parametrize("name", ["file", "allow_pickle", "args"])
def test_values_may_be_called_as_arguments_of_numpy_are(run: Run, tmp_path: Path, name: str):
    values = [helper.make_tensor_value_info(value, TensorProto.FLOAT, [2]) for value in (f"{name}_", name)]
    for given, made in (values, values[::-1]):
        graph = helper.make_graph([helper.make_node("Neg", [given.name], [made.name])], "g", [given], [made])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10), tmp_path / "m.onnx")
        assert run("pack", tmp_path / "m.onnx", "--lossless", "--quiet").exit_code == 0
        np.save(tmp_path / "x.npy", np.array([1, 2], np.float32))
        result = run("run", tmp_path / "m.tersor", tmp_path / "x.npy", "-o", tmp_path / "y.npz")
        assert result.exit_code == 0, result.output
        with np.load(tmp_path / "y.npz") as found:
            assert {key: found[key].tolist() for key in found.files} == {made.name: [-1, -2]}
        result = run("bench", tmp_path / "m.tersor", "--against", "onnxruntime", "--rounds", 1, "--threads", 1)
        assert result.exit_code == 0, result.output


def test_integers_are_shown_whole(run: Run, tmp_path: Path):
    values = [helper.make_tensor_value_info(value, TensorProto.INT64, [4]) for value in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10), tmp_path / "m.onnx")
    assert run("pack", tmp_path / "m.onnx", "--lossless", "--quiet").exit_code == 0
    np.save(tmp_path / "x.npy", np.array([-(2**53 + 1), 5, -(2**53 + 3), -50257]))
    shown = run("run", tmp_path / "m.tersor", tmp_path / "x.npy")
    assert "2 = 9007199254740995  0 = 9007199254740993  3 = 50257  1 = -5" in shown.output, shown.output
    top = json.loads(run("run", tmp_path / "m.tersor", tmp_path / "x.npy", "--json", "--top", 1).stdout)["outputs"]["y"]["top"]
    assert top == [[{"index": 2, "value": 2**53 + 3}]]
