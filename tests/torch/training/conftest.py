"""A small network and data that it can learn."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

# Threads that spin for matrices this small only take time from the other test workers.
torch.set_num_threads(1)


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    conv = {"conv1": nn.Conv2d(1, 4, 3), "relu1": nn.ReLU(), "pool1": nn.MaxPool2d(2), "conv2": nn.Conv2d(4, 6, 3)}
    rest = {"relu2": nn.ReLU(), "flatten": nn.Flatten(), "fc1": nn.Linear(96, 20), "relu3": nn.ReLU(), "fc2": nn.Linear(20, 3)}
    return nn.Sequential(OrderedDict(conv | rest))


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    """Images (64, 1, 14, 14) whose class is the brightest third."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 3, (64,), generator=generator)
    images = torch.rand(64, 1, 14, 14, generator=generator) * 0.3
    for image, label in zip(images, labels.tolist(), strict=True):
        image[0, 4 * label + 1 : 4 * label + 5] += 1
    return images, labels


def train_step(network: nn.Module, optimizer: torch.optim.Optimizer, data: tuple[Tensor, Tensor]) -> float:
    optimizer.zero_grad()
    value = functional.cross_entropy(network(data[0]), data[1])
    value.backward()
    optimizer.step()
    return value.item()
