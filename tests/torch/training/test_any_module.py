"""Wrap, train, unwrap and export with modules and loops of other kinds than chains of convolutions under Adam."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tersor.packer.training import RateAware, export, share, slots, unwrap, wrap_masks
from tersor.runtime import load

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::FutureWarning:copyreg")]


class Recurrent(nn.Module):
    """An LSTM over (N, 6, 5), read at its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Attention(nn.Module):
    """Self-attention over (N, 6, 5) with a skip connection and layer norm, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Linear(5, 8)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.lift(x)
        normed = self.norm(h)
        return self.head((h + self.attention(normed, normed, normed, need_weights=False)[0]).mean(1))


class Tied(nn.Module):
    """A matrix that is used twice, once transposed, and a parameter of the module's own, over (N, 6, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.mix_weight = nn.Parameter(torch.randn(30, 16) / 5)
        self.head = nn.Linear(30, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(x.flatten(1) @ self.mix_weight) @ self.mix_weight.T)


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(48, 6, 5, generator=generator)
    return images, images.mean(1)[:, :3].argmax(1)


def loop(network: nn.Module, data: tuple[Tensor, Tensor], steps: int, after: Callable[[], None]) -> list[float]:
    """A user's own loop: momentum, clipped gradients, accumulation over two halves."""
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        parts = [functional.cross_entropy(network(x), y) / 2 for x, y in zip(data[0].split(24), data[1].split(24), strict=True)]
        for part in parts:
            part.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        after()
        losses.append(sum(part.item() for part in parts))
    return losses


@pytest.mark.parametrize("make", [Recurrent, Attention, Tied])
def test_compressed_training_and_export(make: type[nn.Module], data: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = make()
    dense = sum(slot.tensor.numel() for slot in slots(network))
    wrap_masks(network)
    pruning = RateAware(network, lambda step: 3.0 * dense, every=5)
    losses = loop(network, data, 80, pruning.step)
    share(network, 4, learning=True)
    sharing = RateAware(network, lambda step: 3.0 * dense, every=5)
    loop(network, data, 20, sharing.step)
    sharing.finish()
    last = loop(network, data, 20, lambda: None)[-1]
    assert last < 0.8 * losses[0]
    network.eval()
    expected = network(data[0]).detach()
    path = tmp_path / "net.tersor"
    export(network, data[0], path, input_names=["x"], output_names=["y"])
    with load(path) as model:
        np.testing.assert_allclose(model.run({"x": data[0].numpy()})["y"], expected.numpy(), atol=2e-5)
    assert sharing.bits <= 3.0 * dense
    unwrap(network)
    assert not any(slot.wrapped for slot in slots(network, ["*"]))
    assert all(len(slot.tensor.unique()) <= 5 for slot in slots(network) if "norm" not in slot.name)
    torch.testing.assert_close(network(data[0]), expected)
