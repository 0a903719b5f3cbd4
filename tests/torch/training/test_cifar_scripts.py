"""The scripts of ``examples/cifar10``, on a data set of noise."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tersor.runtime import load

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::FutureWarning:copyreg")]


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "examples" / "cifar10"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    sprites = {"train": ("train.png", 26), "test": ("test.png", 10)}
    for part, (name, count) in sprites.items():
        Image.fromarray(rng.integers(0, 256, (count, 1024, 3), np.uint8)).save(tmp_path / name)
        (tmp_path / f"{part}.json").write_text(json.dumps(rng.integers(0, 10, count).tolist()))
    cifar = import_module("cifar")
    monkeypatch.setattr(cifar, "SPRITES", {part: [name] for part, (name, _) in sprites.items()})
    monkeypatch.setattr(cifar, "LABELS", {part: f"{part}.json" for part in sprites})
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: str) -> None:
    for name in ("network", script):
        module = import_module(name)
        for constant, value in (("TRAIN_IMAGES", 16), ("BATCH", 8)):
            if hasattr(module, constant):
                monkeypatch.setattr(module, constant, value)
    monkeypatch.setattr(import_module("network").network, "__defaults__", ((16, 24, 32),))
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    import_module(script).main()


def test_sprites_are_read_one_image_a_row(folder: Path) -> None:
    cifar = import_module("cifar")
    images, labels = cifar.read_cifar(folder, "test")
    row = np.asarray(Image.open(folder / "test.png"))[3]
    np.testing.assert_array_equal(images[3, 1], row[32:64])
    assert labels.shape == (10,)
    assert cifar.preprocess(images)[3, 2, 1, 0] == np.float32(row[32, 2]) / np.float32(255)
    (folder / "test.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="10 images and 2 labels"):
        cifar.read_cifar(folder, "test")


def test_batch_norm_is_folded_through_the_pooling() -> None:
    torch.manual_seed(0)
    model = import_module("network").network((4, 6, 8))
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if "norm" in name and "weight" not in name and tensor.is_floating_point():
            tensor.data.uniform_(0.5, 1.5)
    images = torch.rand(3, 3, 32, 32)
    plain = import_module("network").folded(model)
    assert not [name for name, _ in plain.named_children() if name.startswith("norm")]
    torch.testing.assert_close(plain(images), model.eval()(images), rtol=1e-4, atol=1e-5)


def test_augmented_images_are_shifted_and_mirrored_ones() -> None:
    augmented = import_module("network").augmented
    image = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    image[0, :, 10, 12] = 255
    moved = augmented(image.expand(2_000, -1, -1, -1), torch.Generator().manual_seed(0))
    places = {(row - 10, column) for _, row, column in moved[:, 0].nonzero().tolist()}
    columns = {12 + shift for shift in range(-2, 3)} | {19 + shift for shift in range(-2, 3)}
    assert places == {(row, column) for row in range(-2, 3) for column in columns}


def test_train_retrain_measure(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    models = tmp_path / "models"
    run(monkeypatch, "train", str(folder), "--epochs", "2", "--output", str(models / "dense.tersor"))
    options = ["--models", str(models), "--cache", str(tmp_path / "cache"), "--steps", "80", "80"]
    options += ["--variants", "1", "--values", "4"]
    run(monkeypatch, "retrain", str(folder), "--bytes", "5000", *options)
    summary = json.loads((models / "retrained_5000_4.json").read_text())
    assert summary["file_bytes"] == (models / "retrained_5000_4.tersor").stat().st_size < 10_000
    written = (models / "retrained_5000_4.tersor").stat().st_mtime_ns
    run(monkeypatch, "retrain", str(folder), "--bytes", "5000", *options)
    assert (models / "retrained_5000_4.tersor").stat().st_mtime_ns == written
    with load(models / "retrained_5000_4.tersor") as model:
        assert model.run({"image": np.zeros((2, 3, 32, 32), np.float32)})["logits"].shape == (2, 10)
    run(monkeypatch, "measure", str(folder), "--models", str(models))
    rows = json.loads((models / "results.json").read_text())
    assert rows[-1]["file_bytes"] == summary["file_bytes"]
    assert (models / "RESULTS.md").read_text() == import_module("measure").document(rows)
