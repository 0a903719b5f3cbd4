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
from tersor.runtime import load
from tersor.runtime.kernels import _cache
from tersor.runtime.kernels._link import Code

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
        (("--lossless", "--bits", 4), 2, "exclude one another"),
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


def test_inspect_accounts_for_every_byte(run: Run, packed: Path):
    facts = json.loads(run("inspect", packed, "--json").stdout)
    manifest = sum(s["bytes"] for s in facts["sections"] if s["kind"] == "manifest")
    assert sum(t["bytes"] for t in facts["tensors"]) + manifest + facts["overhead"] == packed.stat().st_size
    assert facts["inputs"] == {"x": "float32[N, 1, 6, 6]"}
    shown = run("inspect", packed).output
    assert "fc.w" in shown
    plan = json.loads(run("inspect", packed, "--plan", "--size", "N=2", "--json").stdout)
    assert any(step["op"].startswith("Conv") for step in plan["steps"])
    assert plan["intermediate_bytes"] > 0
    assert run("inspect", packed, "--plan", "--size", "N").exit_code == 2


def test_report(run: Run, packed: Path):
    assert "P+Q+H after Huffman coding" in " ".join(run("report", "--help").output.split())
    assert "paper" in run("report", packed).output
    assert json.loads(run("report", packed, "--json").stdout)["file_bytes"] == packed.stat().st_size


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


def test_bench(run: Run, packed: Path):
    options = ("--rounds", 2, "--seconds", 0.01, "--threads", 1)
    result = run("bench", packed, *options, "--batch", 2, "--against", "onnxruntime", "--json")
    facts = json.loads(result.stdout)
    assert set(facts["engines"]) == {"tersor", "onnxruntime"}
    assert facts["speedup"] > 0
    assert facts["engines"]["tersor"]["difference"] < 1e-4
    assert all(engine["peak"] > 10_000_000 for engine in facts["engines"].values())
    assert "peak memory" in run("bench", packed, *options).output


@pytest.mark.parametrize(
    "arguments", [("-o", "packed"), ("--trace", "packed"), ("-o", "x"), ("-o", "link"), ("-o", "new", "--trace", "new")]
)
def test_run_replaces_nothing_that_it_reads(run: Run, packed: Path, tmp_path: Path, arguments: tuple[str, ...]):
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 6, 6), np.float32))
    (tmp_path / "link").symlink_to(packed)
    paths = {"packed": packed, "x": tmp_path / "x.npy", "link": tmp_path / "link", "new": tmp_path / "new"}
    result = run("run", packed, paths["x"], *(paths.get(a, a) for a in arguments))
    assert (result.exit_code, "would replace" in result.output) == (2, True), result.output


@pytest.mark.parametrize("option", ["--std=0", "--scale=0", "--mean=inf", "--std=1,nan"])
def test_run_takes_finite_numbers(run: Run, packed: Path, option: str):
    assert run("run", packed, "i.png", option).exit_code == 2


def test_run_prints_json_that_strict_readers_take(run: Run, packed: Path, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.full((1, 1, 6, 6), np.nan, np.float32))
    result = run("run", packed, tmp_path / "x.npy", "--json", "--top", 1)
    shown = json.loads(result.stdout, parse_constant=pytest.fail)
    assert shown["outputs"]["y"]["top"] == [[{"index": 0, "value": "NaN"}]]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--plan", "--size", "Q=3"), 2, "no symbolic dimension 'Q'; it has N"),
        (("--size", "N=3"), 2, "--size needs --plan"),
        (("--plan", "--size", f"N={1 << 63}"), 4, "small.tersor: input 'x'"),
        (("--plan", "--size", "N=99999999999"), 4, "Limits.activation_bytes"),
    ],
)
def test_inspect_refuses_sizes(run: Run, packed: Path, arguments: tuple[str, ...], code: int, message: str):
    result = run("inspect", packed, *arguments)
    assert (result.exit_code, message in result.output) == (code, True), result.output


def test_repack_has_gaps_in_the_paper_profile_only(run: Run, packed: Path, tmp_path: Path):
    target = tmp_path / "new.tersor"
    assert run("repack", packed, "--profile", "compact", "--index-bits", 4, "-o", target).exit_code == 2
    assert not target.exists()
    assert run("repack", packed, "--profile", "paper", "--index-bits", 4, "-o", target).exit_code == 0


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("none.onnx", 1, "none.onnx: No such file"),
        (".", 1, "Is a directory"),
        ("text.onnx", 5, "text.onnx: ONNX Runtime does not read it"),
        ("packed", 5, "ONNX Runtime does not read it"),
        ("wide.onnx", 8, "wide.onnx: does not run on the packed model's inputs"),
        ("other.onnx", 8, "other.onnx: has no output 'y'"),
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
    result = run("verify", packed, "--against", packed if name == "packed" else tmp_path / name)
    assert (result.exit_code, message in result.output) == (code, True), result.output


def test_verify_takes_seeds_from_0_on(run: Run, packed: Path):
    assert run("verify", packed, "--seed", -1).exit_code == 2


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


def test_trace(run: Run, packed: Path, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 6, 6), np.float32))
    shown = run("run", packed, tmp_path / "x.npy", "--trace", tmp_path / "trace.json")
    assert shown.exit_code == 0, shown.output
    assert "GMAC/s" in shown.output
    assert json.loads((tmp_path / "trace.json").read_bytes())["traceEvents"]
    steps = json.loads(run("run", packed, tmp_path / "x.npy", "--trace", tmp_path / "t.json", "--json").stdout)["steps"]
    assert [step["op"] for step in steps] == ["Conv + Relu", "Gemm"]


def test_warmup_says_where_kernels_are_kept(run: Run, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERSOR_CACHE_DIR", "elsewhere")  # put back after the test
    facts = json.loads(run("warmup", packed, "--cache", tmp_path / "kept", "--json").stdout)
    assert facts["folder"] == str(tmp_path / "kept")
    assert list(facts["seconds"]) == [str(packed)]
    assert str(tmp_path / "kept") in run("warmup", "--cache", tmp_path / "kept").output


def test_warmup_covers_streamed_memory(run: Run, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERSOR_CACHE_DIR", "elsewhere")  # put back after the test
    asked: list[str] = []
    monkeypatch.setattr("tersor.runtime.load", lambda *_, memory, **more: asked.append(memory) or load(packed, **more))
    assert run("warmup", packed, "--cache", tmp_path, "--memory", "streamed").exit_code == 0
    assert asked == ["streamed"]


def test_warmup_fails_when_a_kernel_is_not_kept(run: Run, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TERSOR_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(_cache, "_lost", {})
    _cache.write("kernel", Code("", "", (), b""))  # those of the model have been compiled in this process already
    result = run("warmup", packed)
    assert result.exit_code == 1
    assert f"{tmp_path / 'file'}: kernels cannot be kept there: Not a directory" in result.output


def test_unpack_gives_the_same_weights(run: Run, packed: Path, model: Path, tmp_path: Path):
    target = tmp_path / "back.onnx"
    assert run("unpack", packed, target).exit_code == 0
    back = {t.name: numpy_helper.to_array(t) for t in onnx.load(target).graph.initializer}
    for tensor in onnx.load(model).graph.initializer:
        np.testing.assert_array_equal(back[tensor.name], numpy_helper.to_array(tensor))
    assert run("unpack", packed, packed).exit_code == 2


def test_unpack_keeps_the_model_that_was_packed(run: Run, packed: Path, model: Path):
    before = model.read_bytes()
    result = run("unpack", packed)
    assert (result.exit_code, "give OUTPUT to replace it" in result.output) == (2, True), result.output
    assert model.read_bytes() == before


def test_demo_tells_the_story_in_numbers(run: Run, tmp_path: Path):
    result = run("demo", "--output", tmp_path / "lenet5.tersor", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["packed_bytes"] == (tmp_path / "lenet5.tersor").stat().st_size
    assert facts["onnx_bytes"] / facts["packed_bytes"] > 10
    assert facts["before"]["accuracy"] - facts["after"]["accuracy"] <= 0.005
