"""Sensitivity scan, dropout, schedules, distillation, slots."""

from __future__ import annotations

import copy
from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from tersor.format_spec.errors import RecipeError
from tersor.packer.training import (
    baked,
    choose_densities,
    cubic,
    distillation,
    geometric,
    linear,
    prune,
    rescale_dropout,
    scan,
    share,
    slots,
)

pytestmark = pytest.mark.torch


def test_scan_prunes_one_layer_at_a_time_and_restores_it(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    before = copy.deepcopy(network.state_dict())
    seen: list[list[float]] = []

    def evaluate(module: nn.Module) -> float:
        seen.append([float((slot.tensor != 0).float().mean()) for slot in slots(module)])
        return float(module(data[0]).abs().sum().detach())

    found = scan(network, evaluate, ["fc*.weight"], [0.5, 0.1])
    assert {name: list(errors) for name, errors in found.items()} == {"fc1.weight": [0.5, 0.1], "fc2.weight": [0.5, 0.1]}
    assert [[round(share, 2) for share in row] for row in seen] == [
        [1, 1, 0.5, 1],
        [1, 1, 0.1, 1],
        [1, 1, 1, 0.5],
        [1, 1, 1, 0.1],
    ]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_smallest_density_within_the_limit_is_chosen() -> None:
    found = {"a": {0.5: 1.0, 0.2: 1.4, 0.1: 3.0}, "b": {0.5: 2.0}}
    assert choose_densities(found, 1.5) == {"a": 0.2, "b": 1.0}
    with pytest.raises(RecipeError, match="no measurements"):
        choose_densities({"a": {}}, 1.0)


def test_dropout_follows_the_density() -> None:
    network = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    for density in (0.5, 0.25):
        prune(network, {"0.weight": ("density", density)})
        rescale_dropout(network, {"1": "0.weight"})
        assert network[1].p == pytest.approx(0.5 * sqrt(density))
    with pytest.raises(RecipeError, match="not a dropout module"):
        rescale_dropout(network, {"0": "0.weight"})


def test_dropout_follows_one_parameter(network: nn.Sequential) -> None:
    network.add_module("drop", nn.Dropout(0.5))
    with pytest.raises(RecipeError, match="several parameters"):
        rescale_dropout(network, {"drop": "*weight"})


def test_what_is_shared_is_not_scanned(network: nn.Sequential) -> None:
    share(network, 8, ["fc1.weight"])
    with pytest.raises(RecipeError, match=r"'fc1\.weight' is shared"):
        scan(network, lambda module: 0.0)


def test_a_schedule_of_one_step_is_a_step() -> None:
    schedule = cubic(1.0, 0.1, 100, 100)
    assert [schedule(step) for step in (0, 99, 100, 101)] == [1.0, 1.0, 0.1, 0.1]


def test_schedules() -> None:
    assert [linear(1, 0, 10, 20)(step) for step in (0, 10, 15, 20, 99)] == [1, 1, 0.5, 0, 0]
    assert [cubic(1, 0.2, 0, 10)(step) for step in (0, 5, 10)] == pytest.approx([1, 0.3, 0.2])
    assert [geometric(1000, 10, 2, 6)(step) for step in (0, 4, 6, 9)] == pytest.approx([1000, 10 * 100 ** (1 / 8), 10, 10])


def test_distillation_mixes_cross_entropy_and_softened_agreement() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, teacher = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    p, q = torch.softmax(teacher / 3, 1), torch.softmax(logits / 3, 1)
    soft = 9 * (p * (p / q).log()).sum(1).mean()
    hard = -torch.log_softmax(logits, 1)[torch.arange(6), labels].mean()
    found = distillation(logits, labels, teacher, temperature=3, share=0.25)
    torch.testing.assert_close(found, 0.25 * soft + 0.75 * hard)
    torch.testing.assert_close(distillation(logits, labels, logits, share=1.0), torch.zeros((), dtype=torch.float64))


def test_slots_keep_their_names_when_wrapped(network: nn.Sequential) -> None:
    names = [slot.name for slot in slots(network, ["*"])]
    share(network, 4, ["*"])
    assert sorted(slot.name for slot in slots(network, ["*"])) == sorted(names)


def test_tied_parameters_are_one_slot() -> None:
    layer = nn.Linear(3, 3)
    assert [slot.name for slot in slots(nn.Sequential(layer, nn.ReLU(), layer))] == ["0.weight"]


def test_baked_copy_leaves_the_wrapped_module_alone(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    share(network, 4, ["*"])
    plain = baked(network)
    assert not any(slot.wrapped for slot in slots(plain, ["*"]))
    assert all(slot.wrapped for slot in slots(network, ["*"]))
    torch.testing.assert_close(plain(data[0]), network(data[0]))
