"""Dead units removed, and the same outputs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tersor.format_spec.errors import RecipeError
from tersor.packer.training import prune, slim

pytestmark = pytest.mark.torch


def sizes(network: nn.Module) -> list[int]:
    return [len(parameter) for name, parameter in network.named_parameters() if name.endswith("weight")]


def test_unread_and_constant_units_go(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    with torch.no_grad():
        network.get_parameter("conv1.weight")[1] = 0  # constant, and it has a bias
        network.get_parameter("conv2.weight")[:, 2] = 0  # nobody reads it
        network.get_parameter("fc1.weight")[:, 16:32] = 0  # nobody reads the second map of conv2
        network.get_parameter("fc1.weight")[3:6] = 0
        network.get_parameter("fc1.bias")[3] = 2.0
        network.get_parameter("fc2.weight")[:, 7] = 0
        before = network(data[0])
    smaller = slim(network)
    assert sizes(network) == [4, 6, 20, 3]
    assert sizes(smaller) == [2, 5, 16, 3]
    assert [name for name, _ in smaller.named_children()] == [name for name, _ in network.named_children()]
    torch.testing.assert_close(smaller(data[0]), before)


@pytest.mark.parametrize("density", [0.5, 0.05, 0.01])
def test_pruned_network_computes_the_same(network: nn.Sequential, data: tuple[Tensor, Tensor], density: float) -> None:
    original = sizes(network)
    prune(network, {"*.weight": ("density", density)})
    smaller = slim(network)
    torch.testing.assert_close(smaller(data[0]), network(data[0]), atol=1e-5, rtol=1e-4)
    if density < 0.05:
        assert sum(sizes(smaller)) < sum(original)


def test_constant_before_a_padded_convolution_stays() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3, padding=1))
    with torch.no_grad():
        network.get_parameter("0.weight")[0] = 0
        network.get_parameter("0.bias")[:2] = 1.0
        network.get_parameter("0.weight")[2] = 0
        network.get_parameter("0.bias")[2] = -1.0
    smaller = slim(network)
    assert sizes(smaller) == [2, 2]
    images = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(smaller(images), network(images))


def test_what_it_cannot_follow_is_named() -> None:
    with pytest.raises(RecipeError, match="'1' is BatchNorm1d"):
        slim(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)))
    with pytest.raises(RecipeError, match="groups"):
        slim(nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 3)))


def tied() -> nn.Sequential:
    twice = nn.Linear(6, 6)
    return nn.Sequential(twice, nn.ReLU(), twice, nn.Linear(6, 2))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.AvgPool2d(2, divisor_override=1), nn.Conv2d(4, 2, 1)), "'1' is AvgPool2d"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(8, 5)), "inputs of '2'"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(2), nn.Linear(36, 5)), "inputs of '2'"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.MaxPool2d(2), nn.Linear(36, 5)), "inputs of '3'"),
        (nn.Sequential(nn.Linear(6, 4), nn.Flatten(), nn.Linear(12, 5)), "inputs of '2'"),
        (nn.Sequential(nn.Linear(6, 4), nn.Conv2d(1, 4, 1)), "inputs of '1'"),
        (tied(), "'2' occurs twice"),
    ],
    ids=["divisor", "no flatten", "planes alone", "pool behind", "several rows", "convolution behind", "twice"],
)
def test_chains_whose_units_are_not_clear_are_refused(network: nn.Sequential, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        slim(network)


def test_one_activation_may_occur_twice() -> None:
    torch.manual_seed(0)
    activation = nn.Sigmoid()
    network = nn.Sequential(nn.Linear(3, 4), activation, nn.Linear(4, 4), activation, nn.Linear(4, 2))
    with torch.no_grad():
        network.get_parameter("2.weight")[1] = 0
        network.get_parameter("2.bias")[1] = 0.5
    smaller = slim(network)
    assert sizes(smaller) == [4, 3, 2]
    x = torch.rand(5, 3)
    torch.testing.assert_close(smaller(x), network(x))
