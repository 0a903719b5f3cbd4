"""The script that trained the demo's network, without the training."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

pytestmark = pytest.mark.torch


@pytest.fixture
def lenet(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples" / "lenet"))
    return import_module("train_lenet5")


def test_exported_file_answers_like_the_network(lenet: ModuleType, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = lenet.LeNet5()
    lenet.export(network, tmp_path / "lenet5.onnx")
    images = np.random.default_rng(0).integers(0, 256, (7, 28, 28), np.uint8)
    batch = lenet.preprocess(images)
    session = onnxruntime.InferenceSession(tmp_path / "lenet5.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": batch})
    with torch.inference_mode():
        np.testing.assert_allclose(np.asarray(logits), network(torch.from_numpy(batch)).numpy(), atol=1e-5)
    assert {t.name for t in onnx.load(tmp_path / "lenet5.onnx").graph.initializer} == set(network.state_dict())


def test_network_has_the_parameters_of_caffe_lenet(lenet: ModuleType) -> None:
    assert sum(p.numel() for p in lenet.LeNet5().parameters()) == 431_080


def test_shifted_moves_each_image_within_its_frame(lenet: ModuleType) -> None:
    images = torch.zeros(200, 1, 28, 28)
    images[:, 0, 10, 15] = 1
    moved = lenet.shifted(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    where = moved[:, 0].nonzero()
    assert len(where) == 200
    offsets = {(row - 10, column - 15) for _, row, column in where.tolist()}
    assert {o[0] for o in offsets} == {o[1] for o in offsets} == set(range(-2, 3))


def test_training_is_repeatable(lenet: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lenet, "TRAIN_IMAGES", 40)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(lenet.preprocess(rng.integers(0, 256, (60, 28, 28), np.uint8)))
    labels = torch.from_numpy(rng.integers(0, 10, 60))
    args = argparse.Namespace(seed=0, rate=0.03, epochs=2, batch=10)
    first, second = (lenet.train(images, labels, args).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
