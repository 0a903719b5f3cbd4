"""The scripts of ``examples/lenet``, on a data set of noise."""

from __future__ import annotations

import gzip
import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from tersor.runtime import load

EXAMPLES = Path(__file__).parents[3] / "examples" / "lenet"

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::FutureWarning:copyreg")]


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 20)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)
        head = b"\x00\x00\x08"
        sizes = np.array([count, 28, 28], ">u4").tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + b"\x03" + sizes + images.tobytes()))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + b"\x01" + sizes[:4] + labels.tobytes()))
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: str) -> None:
    networks = import_module("networks")

    monkeypatch.setattr(networks, "TRAIN_IMAGES", 40)
    monkeypatch.setattr(networks, "BATCH", 10)
    module = import_module(script)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    try:
        module.main()
    finally:
        torch.use_deterministic_algorithms(False)


def test_networks_are_those_of_the_paper() -> None:
    networks = import_module("networks")
    counts = {name: sum(parameter.numel() for parameter in make().parameters()) for name, make in networks.NETWORKS.items()}
    assert {name: 4 * count for name, count in counts.items()} == networks.FP32_BYTES


def test_keeping_all_units_changes_nothing_and_keeping_few_keeps_the_largest() -> None:
    compress = import_module("compress")
    network = import_module("checkpoints").demo_network()
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(compress.keep_units(network, (20, 50, 500))(images), network(images))
    with torch.no_grad():
        network.get_parameter("conv1.weight")[2:18] *= 1e-3
    kept = compress.keep_units(network, (4, 16, 80)).get_parameter("conv1.weight")
    assert torch.equal(kept, network.get_parameter("conv1.weight")[[0, 1, 18, 19]])


def test_distorted_images_stay_close_to_their_own() -> None:
    networks = import_module("networks")
    images = torch.zeros(100, 28, 28, dtype=torch.uint8)
    images[:, 10:18, 10:18] = 200
    moved = networks.distorted(images, torch.Generator().manual_seed(0))
    assert moved.dtype == torch.uint8
    assert not torch.equal(moved[0], moved[1])
    overlap = (moved.float() * images.float()).flatten(1).sum(1) / images.float().square().flatten(1).sum(1)
    assert float(overlap.min()) > 0.4


@pytest.mark.parametrize(("network", "dense"), [("lenet-5", "demo"), ("lenet-300-100", "train")])
def test_compress_writes_a_file_that_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: str, dense: str
) -> None:
    output = folder / "small.tersor"
    options = ["--dense", dense, "--bytes", "4000", "--steps", "2", "110", "60", "--variants", "1", "--output", str(output)]
    run(monkeypatch, "compress", str(folder), network, *options)
    summary = json.loads(output.with_suffix(".json").read_text())
    assert summary["file_bytes"] == output.stat().st_size < 6_000
    assert "held-out error" in capsys.readouterr().out
    with load(output) as model:
        assert model.run({"image": np.zeros((3, 1, 28, 28), np.float32)})["logits"].shape == (3, 10)


def test_dense_training_writes_a_network_that_pipeline_and_pruning_start_from(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense, packed = tmp_path / "dense.tersor", tmp_path / "paper.tersor"
    run(monkeypatch, "train_dense", str(folder), "lenet-300-100", "--steps", "8", "--variants", "0", "--output", str(dense))
    network = import_module("checkpoints").stored_network("lenet-300-100", str(dense))
    image = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    with load(dense) as model, torch.inference_mode():
        found = model.run({"image": image})["logits"]
        np.testing.assert_allclose(found, network(torch.from_numpy(image)).numpy(), atol=1e-5)
    options = ["--dense", str(dense), "--steps", "8", "--variants", "0", "--output", str(packed)]
    run(monkeypatch, "pipeline_2016", str(folder), "lenet-300-100", *options)
    summary = json.loads(packed.with_suffix(".json").read_text())
    assert summary["paper_formula_ratio"] > 30
    assert summary["file_bytes"] == packed.stat().st_size
