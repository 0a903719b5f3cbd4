"""Every verb through the real entry point, on a small model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper

from tersor.cli.main import cli
from tersor.converters import onnx_writer

Run = Callable[..., Result]


def test_help_lists_every_verb_and_the_exit_codes(run: Run):
    result = run("--help")
    assert result.exit_code == 0
    for verb in ["pack", "inspect", "report", "verify", "run", "bench", "unpack", "demo", "warmup"]:
        assert f"\n  {verb} " in result.output
        assert run(verb, "--help").exit_code == 0
    assert "Exit codes" in result.output


def test_pack_writes_beside_the_model_and_reports(run: Run, model: Path, tmp_path: Path):
    source = tmp_path / "net.onnx"
    source.write_bytes(model.read_bytes())
    result = run("pack", source, "--bits", 4, "--density", 0.5, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["file_bytes"] == (tmp_path / "net.tersor").stat().st_size == sum(facts["items"].values())
    fc = next(t for t in facts["tensors"] if t["name"] == "fc.w")
    assert fc["paper"]["density"] == 0.5
    assert fc["paper"]["weight_bits"] == 4
    assert source.read_bytes() == model.read_bytes()


def test_pack_takes_rules_and_keeps(run: Run, model: Path, tmp_path: Path):
    flags = ("-o", tmp_path / "a", "--bits", 4, "--rule", "fc*=bits:2,density:0.25", "--json")
    fc = next(t for t in json.loads(run("pack", model, *flags).stdout)["tensors"] if t["name"] == "fc.w")
    assert (fc["paper"]["weight_bits"], fc["paper"]["density"]) == (2, 0.25)
    fc = next(t for t in json.loads(run("pack", model, *flags, "--keep", "fc.w").stdout)["tensors"] if t["name"] == "fc.w")
    assert (fc["relative_error"], fc["paper"]["density"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--bits", 9), 6, "bits = 9"),
        (("--rule", "nothing*=bits:2"), 6, "nothing*"),
        (("--rule", "fc"), 2, "PATTERN=KEY:VALUE"),
        *((("--lossless", flag, value), 2, "exclude one another") for flag, value in (("--bits", 4), ("--threshold", 0))),
        (("--lossless", "--seed", 0), 2, "exclude one another"),
        (("--recipe", "missing.toml", "--bits", 4), 2, "exclude one another"),
        (("--recipe", "missing.toml", "--lossless"), 2, "exclude one another"),
        (("--recipe", "missing.toml", "--profile", "paper", "--index-bits", 4), 2, "exclude one another"),
        (("--index-bits", 4), 2, "--index-bits is for --profile paper"),
        (("--recipe", "missing.toml"), 6, "missing.toml"),
        (("--bits", 4, "-o", ""), 2, "the name is empty"),
    ],
)
def test_pack_mistakes(run: Run, model: Path, tmp_path: Path, arguments: tuple[object, ...], code: int, message: str):
    target = tmp_path / "out.tersor"
    result = run("pack", model, "-o", target, *arguments)
    assert (result.exit_code, message in result.output) == (code, True), result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_missing_and_foreign_files(run: Run, tmp_path: Path):
    result = run("inspect", tmp_path / "none.tersor")
    assert result.exit_code == 1
    assert "none.tersor: No such file" in result.output
    foreign = tmp_path / "foreign.tersor"
    foreign.write_bytes(b"PK" * 100)
    assert (run("verify", foreign).exit_code, run("run", foreign).exit_code) == (3, 3)
    assert "not a Tersor file" in run("verify", foreign).output
    result = run("pack", foreign, "-o", tmp_path / "o")
    assert result.exit_code == 5
    with pytest.raises(Exception, match="not a Tersor file"):
        CliRunner().invoke(cli, ["--traceback", "verify", str(foreign)], catch_exceptions=False)


def test_report(run: Run, packed: Path):
    assert "P+Q+H after Huffman coding" in " ".join(run("report", "--help").output.split())
    assert "paper" in run("report", packed).output
    assert json.loads(run("report", packed, "--json").stdout)["file_bytes"] == packed.stat().st_size


def test_report_counts_gaps_of_the_width_that_is_asked_for(run: Run, model: Path, tmp_path: Path):
    assert run("pack", model, "-o", tmp_path / "p", "--bits", 4, "--density", 0.2).exit_code == 0
    for options, width in (((), 5), (("--index-bits", 3), 3)):
        tensors = json.loads(run("report", tmp_path / "p", *options, "--json").stdout)["tensors"]
        assert next(t for t in tensors if t["name"] == "fc.w")["paper"]["index_bits"] == width


def test_bench(run: Run, packed: Path):
    options = ("--rounds", 2, "--seconds", 0.01, "--threads", 1)
    result = run("bench", packed, *options, "--batch", 2, "--against", "onnxruntime", "--json")
    facts = json.loads(result.stdout)
    assert set(facts["engines"]) == {"tersor", "onnxruntime"}
    assert facts["speedup"] == facts["engines"]["onnxruntime"]["median"] / facts["engines"]["tersor"]["median"]
    assert facts["engines"]["tersor"]["difference"] < 1e-4
    assert all(engine["peak"] > 10_000_000 for engine in facts["engines"].values())
    assert "peak memory" in run("bench", packed, *options).output


def test_repack_has_gaps_in_the_paper_profile_only(run: Run, packed: Path, tmp_path: Path):
    target = tmp_path / "new.tersor"
    assert run("repack", packed, "--profile", "compact", "--index-bits", 4, "-o", target).exit_code == 2
    assert not target.exists()
    assert run("repack", packed, "--profile", "paper", "--index-bits", 4, "-o", target).exit_code == 0


def damage(packed: Path, target: Path) -> Path:
    """A file whose header and manifest are sound, and whose first tensor is not."""
    data = bytearray(packed.read_bytes())
    data[100] ^= 1
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("verb", ["bench", "warmup", "run", "inspect", "report", "unpack", "verify"])
def test_a_damaged_file_is_named(run: Run, packed: Path, tmp_path: Path, verb: str):
    bad = damage(packed, tmp_path / "bad.tersor")
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 6, 6), np.float32))
    result = run(verb, bad, *([tmp_path / "x.npy"] if verb == "run" else []))
    assert result.exit_code == 3, result.output
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"tersor: {bad}")
    assert result.stderr.count("(in section") == 1


@pytest.mark.parametrize(
    ("arguments", "code"), [(("--threads", 99999999), 2), (("--seconds", "nan"), 2), (("--batch", 1 << 63), 4)]
)
def test_bench_mistakes(run: Run, packed: Path, arguments: tuple[object, ...], code: int):
    assert run("bench", packed, *arguments).exit_code == code


def test_bench_takes_a_batch_only_where_there_is_one(run: Run, model: Path, tmp_path: Path):
    fixed = onnx.load(model)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(fixed, tmp_path / "fixed.onnx")
    run("pack", tmp_path / "fixed.onnx", "--quiet")
    result = run("bench", tmp_path / "fixed.tersor", "--batch", 2)
    assert (result.exit_code, "--batch 2: no input of" in result.output) == (2, True), result.output


def test_unpack_gives_the_same_weights(run: Run, packed: Path, model: Path, tmp_path: Path):
    target = tmp_path / "back.onnx"
    assert run("unpack", packed, target).exit_code == 0
    back = {t.name: numpy_helper.to_array(t) for t in onnx.load(target).graph.initializer}
    for tensor in onnx.load(model).graph.initializer:
        np.testing.assert_array_equal(back[tensor.name], numpy_helper.to_array(tensor))
    assert run("unpack", packed, packed).exit_code == 2
    facts = json.loads(run("unpack", packed, target, "--json").stdout)
    assert facts == {"file": str(packed), "output": str(target), "bytes": target.stat().st_size}


def test_unpack_keeps_the_file_that_it_reads(run: Run, packed: Path, tmp_path: Path):
    file = tmp_path / "p.onnx"
    file.write_bytes(packed.read_bytes())
    for output in ([], [file]):
        result = run("unpack", file, *output)
        assert (result.exit_code, "would replace" in result.output) == (2, True), result.output
        assert file.read_bytes() == packed.read_bytes()


def test_unpack_keeps_the_model_that_was_packed(run: Run, packed: Path, model: Path):
    before = model.read_bytes()
    result = run("unpack", packed)
    assert (result.exit_code, "give OUTPUT to replace it" in result.output) == (2, True), result.output
    assert model.read_bytes() == before


def test_unpack_keeps_the_data_of_a_large_model(
    run: Run, packed: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onnx_writer, "MOST_INLINE_BYTES", 0)
    file, data = tmp_path / "net.tersor", tmp_path / "net.onnx.data"
    file.write_bytes(packed.read_bytes())
    data.write_bytes(b"kept")
    result = run("unpack", file)
    assert (result.exit_code, f"{data} exists" in result.output) == (2, True), result.output
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == {file: packed.read_bytes(), data: b"kept"}
    assert run("unpack", file, tmp_path / "net.onnx").exit_code == 0
    assert data.read_bytes() != b"kept"
    result = run("unpack", file.rename(tmp_path / "it.onnx.data"), tmp_path / "it.onnx")
    assert (result.exit_code, "would replace" in result.output) == (2, True), result.output


def test_pack_keeps_the_external_data_of_the_model(run: Run, model: Path, tmp_path: Path):
    source, data = tmp_path / "net.onnx", tmp_path / "net.onnx.data"
    onnx.save(onnx.load(model), source, save_as_external_data=True, location=data.name, size_threshold=100)
    before = data.read_bytes()
    result = run("pack", source, "--quiet", "-o", data)
    assert (result.exit_code, f"would replace {data}" in result.output) == (2, True), result.output
    assert data.read_bytes() == before
    assert run("pack", source, "--quiet").exit_code == 0


def test_demo_tells_the_story_in_numbers(run: Run, tmp_path: Path):
    result = run("demo", "--output", tmp_path / "lenet5.tersor", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["packed_bytes"] == (tmp_path / "lenet5.tersor").stat().st_size
    assert facts["onnx_bytes"] / facts["packed_bytes"] > 10
    assert facts["before"]["accuracy"] > 0.99
    assert facts["before"]["accuracy"] - facts["after"]["accuracy"] <= 0.005


def test_models_that_do_not_run_at_size_1_run_at_those_given(run: Run, model: Path, tmp_path: Path):
    open_model, open_packed = tmp_path / "open.onnx", tmp_path / "open.tersor"
    proto = onnx.load(model)
    for axis, symbol in ((2, "H"), (3, "")):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = symbol
    onnx.save(proto, open_model)
    run("pack", open_model, "--lossless", "--quiet")
    fast = ("--rounds", 1, "--seconds", 0, "--threads", 1)
    for verb in (("verify", "--against", open_model), ("inspect", "--plan"), ("bench", *fast), ("warmup",)):
        refused = run(*verb, open_packed)
        assert refused.exit_code == 7, refused.output
        assert "(with N=1, H=1, x[3]=1; --size gives other sizes)" in refused.output
        found = run(*verb, open_packed, "--size", "H=6", "--size", "x[3]=6")
        assert found.exit_code == 0, found.output
