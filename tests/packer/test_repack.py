from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tersor.cli.main import cli
from tersor.converters import to_npz, to_onnx, to_safetensors
from tersor.format_spec.container import open_container
from tersor.format_spec.errors import FormatError, LimitError, RecipeError
from tersor.format_spec.graph import OPSET, Graph, Node, TensorType, Value
from tersor.format_spec.limits import Limits
from tersor.format_spec.model_file import StoredTensors, read_graph
from tersor.format_spec.tensors import DenseTensor
from tersor.packer import Recipe, pack
from tersor.packer.repack import repack
from tersor.packer.report import report_file
from tersor.runtime.decode import decode


def contents(path: Path) -> tuple[Graph, dict[str, bytes]]:
    with open_container(path) as container:
        graph = read_graph(container, decode)
        return graph, {name: graph.initializers[name].dense().tobytes() for name in graph.initializers}


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    weights = np.round(rng.standard_normal((40, 60))).astype(np.float32) * np.float32(0.37)
    tensors = {"w": weights, "b": rng.standard_normal(60).astype(np.float32)[:40], "one": np.ones(5000, np.float32)}
    tensors["pads"] = np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)  # one row: rows and columns list it alike
    graph = Graph(
        name="small",
        opset=OPSET,
        inputs=(Value("x", TensorType("float32", (1, 60))),),
        outputs=(Value("y", TensorType("float32", (1, 40))),),
        nodes=(Node("Gemm", "fc", ("x", "w", "b"), ("y",), {"transB": 1}),),
        initializers={name: DenseTensor.of(array) for name, array in tensors.items()},
        metadata={"author": "nobody"},
    )
    path = tmp_path / "small.tersor"
    pack(graph, path, Recipe.lossless())
    return path


def test_profiles_are_lossless_of_one_another(packed: Path, tmp_path: Path) -> None:
    graph, tensors = contents(packed)
    source = packed
    for profile in ("paper", "max", "compact"):
        target = tmp_path / f"{profile}.tersor"
        report = repack(source, target, profile)
        assert report.file_bytes == target.stat().st_size
        again, values = contents(target)
        assert values == tensors
        assert (again.inputs, again.outputs, again.metadata) == (graph.inputs, graph.outputs, graph.metadata)
        assert [(n.label, n.inputs, n.outputs, dict(n.attributes)) for n in again.nodes] == [
            (n.label, n.inputs, n.outputs, dict(n.attributes)) for n in graph.nodes
        ]
        source = target
    assert (tmp_path / "compact.tersor").read_bytes() == packed.read_bytes()


def test_a_file_can_be_replaced_by_its_own_repacking(packed: Path) -> None:
    before = contents(packed)[1]
    compact = packed.stat().st_size
    report = repack(packed, packed, "paper", index_bits=3)
    assert report.profile == "paper"
    assert [tensor.account.index_bits for tensor in report.tensors if tensor.account] == [3]
    assert packed.stat().st_size != compact
    assert contents(packed)[1] == before
    assert [p.name for p in packed.parent.iterdir()] == [packed.name]


def test_what_is_there_stays_when_the_source_is_damaged(packed: Path, tmp_path: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[70] ^= 1
    damaged, target = tmp_path / "damaged.tersor", tmp_path / "old.tersor"
    damaged.write_bytes(data)
    target.write_bytes(b"old")
    with pytest.raises(FormatError):
        repack(damaged, target, "paper")
    with pytest.raises(RecipeError, match="profile"):
        repack(packed, target, "smallest")
    assert target.read_bytes() == b"old"


def test_what_pack_takes_is_passed_on(packed: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    repack(packed, tmp_path / "other", "max", progress=lambda name, *_: seen.append(name))
    assert sorted(seen) == ["b", "one", "pads", "w"]
    with pytest.raises(RecipeError, match="threads = 0"):
        repack(packed, tmp_path / "other", "max", threads=0)


def test_limits_hold_for_both_files(packed: Path, tmp_path: Path) -> None:
    target = tmp_path / "max.tersor"
    with pytest.raises(LimitError, match=r"Limits\.tensor_bytes"):
        repack(packed, target, "max", limits=Limits(tensor_bytes=100))
    deep = Graph("deep", (), (), (), {"deep": DenseTensor.of(np.ones((1,) * 17, np.float32))})
    pack(deep, packed, limits=Limits(rank=17))
    with pytest.raises(LimitError, match=r"Limits\.rank"):
        repack(packed, target, "max")
    assert not target.exists()
    assert repack(packed, target, "max", limits=Limits(rank=17)).file_bytes == target.stat().st_size


def test_the_verb(packed: Path, tmp_path: Path) -> None:
    before = contents(packed)[1]
    target = tmp_path / "paper.tersor"
    result = CliRunner().invoke(cli, ["repack", str(packed), "--profile", "paper", "-o", str(target)])
    assert result.exit_code == 0, result.output
    assert "paper profile" in result.output
    assert contents(target)[1] == before
    result = CliRunner().invoke(cli, ["repack", str(target), "--profile", "compact", "--json"])
    assert result.exit_code == 0, result.output
    assert '"profile": "compact"' in result.output
    assert CliRunner().invoke(cli, ["repack", str(target)]).exit_code == 2


@pytest.mark.parametrize("work", ["repack", "report", "onnx", "safetensors", "npz"])
def test_a_tensor_is_decoded_once_and_let_go(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    decoded: list[str] = []
    look_up = StoredTensors.__getitem__
    monkeypatch.setattr(StoredTensors, "__getitem__", lambda self, name: decoded.append(name) or look_up(self, name))
    if work == "repack":
        repack(packed, tmp_path / "other", "max")
        # Twice, in the old file and in the new one; what is no weight is measured by its payload alone.
        assert sorted(decoded) == ["b", "one", "pads", "w", "w"]
        return
    if work == "report":
        report_file(packed)
        assert decoded == ["w"]
        return
    write = {"onnx": to_onnx, "safetensors": to_safetensors, "npz": to_npz}[work]
    with open_container(packed) as container:
        write(read_graph(container, decode), tmp_path / "out")
    assert sorted(decoded) == ["b", "one", "pads", "w"]
