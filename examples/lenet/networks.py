"""The two networks of the paper, their training data, and the training loop that every script here uses."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from mnist import TRAIN_IMAGES, preprocess, read_mnist
from torch import Tensor, nn
from torch.nn import functional

from tersor.packer.training import distillation

FP32_BYTES = {"lenet-300-100": 1_066_440, "lenet-5": 1_724_320}
"""Bytes of all parameters (weights and biases) of the original networks."""

EXPORT = {"input_names": ["image"], "output_names": ["logits"], "dynamic_shapes": ({0: torch.export.Dim("N")},)}
"""How the networks are exported: free batch dimension."""

BATCH = 128


def lenet_300_100(first: int = 300, second: int = 100) -> nn.Sequential:
    """Two hidden layers with ReLU on the flattened image (N, 1, 28, 28); logits (N, 10)."""
    layers = {"flatten": nn.Flatten(), "fc1": nn.Linear(784, first), "relu1": nn.ReLU(), "fc2": nn.Linear(first, second)}
    return nn.Sequential(OrderedDict(layers | {"relu2": nn.ReLU(), "fc3": nn.Linear(second, 10)}))


def lenet_5(filters: int = 20, more: int = 50, units: int = 500) -> nn.Sequential:
    """Caffe's LeNet: two 5x5 convolutions, each with 2x2 max pooling and no activation, two linear layers with one ReLU."""
    conv = {"conv1": nn.Conv2d(1, filters, 5), "pool1": nn.MaxPool2d(2), "conv2": nn.Conv2d(filters, more, 5)}
    fc = {"fc1": nn.Linear(16 * more, units), "relu": nn.ReLU(), "fc2": nn.Linear(units, 10)}
    return nn.Sequential(OrderedDict(conv | {"pool2": nn.MaxPool2d(2), "flatten": nn.Flatten()} | fc))


NETWORKS: dict[str, Callable[..., nn.Sequential]] = {"lenet-300-100": lenet_300_100, "lenet-5": lenet_5}


@dataclass(frozen=True, eq=False)
class Data:
    """Training images (M, 28, 28) uint8, their labels and, when there is a teacher, its logits; and the held-out images."""

    images: Tensor
    labels: Tensor
    logits: Tensor | None
    held_out: tuple[Tensor, Tensor]

    def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images (B, 1, 28, 28) float32, labels (B,), logits (B, 10) or none, drawn with replacement."""
        chosen = torch.randint(len(self.images), (BATCH,), generator=generator)
        logits = None if self.logits is None else self.logits[chosen].float()
        return self.images[chosen][:, None].float() / 255, self.labels[chosen], logits


def read_data(
    folder: Path, teacher: nn.Module | None = None, *, variants: int = 0, flip: bool = False, cache: Path | None = None
) -> Data:
    """The training part of the data set in ``folder``, every image with ``variants`` random distortions of it beside.

    ``teacher`` answers each of them once. ``flip`` also mirrors half of the distorted images. ``cache`` is a file that keeps
    images and answers for the next run with the same arguments, or with no teacher.
    """
    images, labels = (torch.from_numpy(array.copy()) for array in read_mnist(folder, "train"))
    if cache is not None and cache.exists():
        pool, logits = torch.load(cache)
        logits = None if teacher is None else logits
    else:
        pool = _pool(images[:TRAIN_IMAGES], variants, flip)
        logits = None if teacher is None else answers(teacher, pool)
        if cache is not None:
            torch.save((pool, logits), cache)
    labels = labels.long()
    held_out = torch.from_numpy(preprocess(images[TRAIN_IMAGES:].numpy()))
    return Data(pool, labels[:TRAIN_IMAGES].repeat(variants + 1), logits, (held_out, labels[TRAIN_IMAGES:]))


def _pool(images: Tensor, variants: int, flip: bool) -> Tensor:
    """The images, then each variant of all of them, (M, 28, 28) uint8; always the same ones."""
    generator = torch.Generator().manual_seed(1)
    more = (torch.cat([distorted(part, generator, flip) for part in images.split(2_000)]) for _ in range(variants))
    return torch.cat([images, *more])


def distorted(images: Tensor, generator: torch.Generator, flip: bool = False) -> Tensor:
    """Each image (N, 28, 28) uint8 turned by up to 10°, scaled and sheared by up to a tenth, moved by up to 1.5 pixels."""
    count = len(images)

    def draw(most: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * most

    angle, shear, wide, high = draw(math.radians(10)), draw(0.12), 1 + draw(0.1), 1 + draw(0.1)
    if flip:
        wide = wide * torch.where(draw(1.0) < 0, -1.0, 1.0)
    first = torch.stack([angle.cos() * wide, shear - angle.sin() * high, draw(1.5 / 14)], 1)
    second = torch.stack([angle.sin() * wide, angle.cos() * high, draw(1.5 / 14)], 1)
    matrix = torch.stack([first, second], 1)
    grid = functional.affine_grid(matrix, [count, 1, 28, 28], align_corners=False)
    moved = functional.grid_sample(images[:, None].float(), grid, align_corners=False)
    return moved[:, 0].round().clamp(0, 255).to(torch.uint8)


@torch.inference_mode()
def answers(network: nn.Module, images: Tensor) -> Tensor:
    """Logits (N, 10) float16 of images (N, 28, 28) uint8."""
    network.eval()
    return torch.cat([network(part[:, None].float() / 255).half() for part in images.split(1_000)]).clone()


@torch.inference_mode()
def error(network: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Share of images that the network classifies wrongly, in percent."""
    network.eval()
    wrong = sum(int((network(x).argmax(1) != y).sum()) for x, y in zip(*(part.split(1_000) for part in data), strict=True))
    network.train()
    return 100 * wrong / len(data[1])


def loss(logits: Tensor, labels: Tensor, teacher: Tensor | None) -> Tensor:
    """Cross entropy, or :func:`distillation` when there are a teacher's answers."""
    return functional.cross_entropy(logits, labels) if teacher is None else distillation(logits, labels, teacher)


def cosine(peak: float, steps: int, hold: float = 0.0) -> Callable[[int], float]:
    """``peak`` for the share ``hold`` of the steps, then down to 0 along a half cosine."""
    return lambda step: peak * 0.5 * (1 + math.cos(math.pi * max(step / steps - hold, 0) / (1 - hold)))


def fit(
    network: nn.Module,
    data: Data,
    groups: Iterable[dict[str, object]],
    steps: int,
    rate: Callable[[int], float],
    generator: torch.Generator,
    after: Callable[[int], object] = lambda step: None,
) -> None:
    """Train by Adam for ``steps`` batches; a group's ``scale`` multiplies ``rate``; ``after`` is called after each step."""
    optimizer = torch.optim.Adam([{"scale": 1.0, **group} for group in groups], lr=1.0)  # type: ignore[list-item]
    network.train()
    started, total = time.perf_counter(), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step) * group["scale"]
        images, labels, logits = data.batch(generator)
        value = loss(network(images), labels, logits)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        after(step)
        total += value.item()
        if (step + 1) % 1_000 == 0 or step + 1 == steps:
            mean, seconds = total / (step % 1_000 + 1), time.perf_counter() - started
            held_out = error(network, data.held_out)
            print(f"{step + 1:6}: loss {mean:.4f}, held-out error {held_out:.2f} %, {seconds:.0f} s", flush=True)
            total = 0.0
