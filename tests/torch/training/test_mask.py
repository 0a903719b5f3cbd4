"""Pruning masks, iterative pruning, network surgery."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tersor.format_spec.errors import RecipeError
from tersor.packer.prune import prune as packer_mask
from tersor.packer.training import Mask, Pruner, Surgery, cubic, densities, prune, slots, wrap_masks

pytestmark = pytest.mark.torch


def weight(network: nn.Module, name: str) -> Tensor:
    return slots(network, [name])[0].tensor.detach()


def train(network: nn.Module, data: tuple[Tensor, Tensor], steps: int, *controls: Pruner | Surgery) -> None:
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(network(data[0]), data[1]).backward()
        optimizer.step()
        for control in controls:
            control.step()


@pytest.mark.parametrize("method", [("density", 0.3), ("threshold", 0.1), ("quality", 1.0)])
def test_prunes_as_the_packer_does(network: nn.Sequential, method: tuple[str, float]) -> None:
    weights = weight(network, "fc1.weight").numpy().copy()
    expected = packer_mask("fc1.weight", weights, method)
    prune(network, {"fc1.weight": method})
    np.testing.assert_array_equal(weight(network, "fc1.weight").numpy(), np.where(expected, weights, 0))
    assert densities(network) == {"fc1.weight": pytest.approx(expected.mean())}


def test_the_last_pattern_counts(network: nn.Sequential) -> None:
    prune(network, {"*.weight": ("density", 0.5), "fc*.weight": ("density", 0.1)})
    assert densities(network)["fc1.weight"] == pytest.approx(0.1)
    assert densities(network)["conv2.weight"] == pytest.approx(0.5)


def test_pruned_weights_stay_zero_and_unchanged_under_momentum(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    train(network, data, 2)
    prune(network, {"*.weight": ("density", 0.3)})
    (slot,) = slots(network, ["fc1.weight"])
    pruned = slot.tensor == 0
    before = slot.original.detach().clone()
    train(network, data, 5)
    assert torch.equal(slot.tensor == 0, pruned)
    assert torch.equal(slot.original[pruned], before[pruned])
    assert not torch.equal(slot.original[~pruned], before[~pruned])


def test_splicing_passes_the_gradient_of_the_zero(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    prune(network, {"fc1.weight": ("density", 0.3)})
    plain = copy.deepcopy(network.state_dict())
    wrap_masks(network, ["fc1.weight"], splicing=True)
    (slot,) = slots(network, ["fc1.weight"])
    functional.cross_entropy(network(data[0]), data[1]).backward()
    mask = plain["fc1.parametrizations.weight.0.mask"]
    assert slot.original.grad is not None
    assert slot.original.grad[~mask].abs().sum() > 0


def test_iterative_pruning_follows_the_schedule_and_learns(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    pruner = Pruner(network, {"*.weight": cubic(1.0, 0.2, 0, 60), "fc2.weight": 0.6}, every=5)
    train(network, data, 90, pruner)
    found = densities(network)
    assert found["fc1.weight"] == pytest.approx(0.2, abs=0.01)
    assert found["fc2.weight"] == pytest.approx(0.6, abs=0.01)
    assert (network(data[0]).argmax(1) == data[1]).float().mean() > 0.9


def test_a_pruner_prunes_at_its_first_step_and_keeps_masks_that_are_there(network: nn.Sequential) -> None:
    wrap_masks(network, ["fc1.weight"], splicing=True)
    pruner = Pruner(network, {"fc*.weight": lambda step: 0.5 - 0.1 * step}, every=2)
    found = []
    for _ in range(4):
        pruner.step()
        found.append(densities(network)["fc1.weight"])
    assert found == pytest.approx([0.5, 0.5, 0.3, 0.3], abs=0.01)
    mask = slots(network, ["fc1.weight"])[0].find(Mask)
    assert mask is not None
    assert mask.splicing
    Pruner(network, {"conv2.weight": 0.5}, every=1).step()
    assert densities(network)["conv2.weight"] == pytest.approx(0.5, abs=0.02)


def test_surgery_prunes_and_splices_by_its_two_thresholds(network: nn.Sequential) -> None:
    weights = weight(network, "fc1.weight").clone()
    surgery = Surgery(network, 0.5, ["fc1.weight"])
    (slot,) = slots(network, ["fc1.weight"])
    threshold = float(weights.abs().mean() + 0.5 * weights.abs().std(unbiased=False))
    surgery.operate()
    part = slot.find(Mask)
    assert part is not None
    assert torch.equal(part.mask, weights.abs() >= 0.9 * threshold)
    pruned = (~part.mask).nonzero()[0].tolist()
    for magnitude, kept in ((0.95, False), (1.05, False), (1.15, True), (1.05, True), (0.95, True), (0.85, False)):
        with torch.no_grad():
            slot.original[tuple(pruned)] = magnitude * threshold
        surgery.operate()
        assert bool(part.mask[tuple(pruned)]) is kept


def test_surgery_learns_sparse(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    surgery = Surgery(network, 0.3, ["fc*.weight", "conv2.weight"])
    train(network, data, 80, surgery)
    surgery.finish()
    before = [slot.original[slot.tensor == 0].clone() for slot in surgery.slots]
    train(network, data, 10)
    assert all(torch.equal(s.original[s.tensor == 0], pruned) for s, pruned in zip(surgery.slots, before, strict=True))
    assert densities(network)["fc1.weight"] < 0.6
    assert (network(data[0]).argmax(1) == data[1]).float().mean() > 0.9


def test_saved_training_goes_on_alike(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    def start(module: nn.Module) -> tuple[Pruner, Surgery]:
        return Pruner(module, {"conv*.weight": cubic(1.0, 0.2, 0, 20)}, every=3), Surgery(
            module, 0.2, ["fc1.weight"], decay=0.5
        )

    fresh = copy.deepcopy(network)
    controls = start(network)
    train(network, data, 7, *controls)
    saved = copy.deepcopy((network.state_dict(), [control.state_dict() for control in controls]))
    resumed = start(fresh)
    fresh.load_state_dict(saved[0])
    for control, state in zip(resumed, saved[1], strict=True):
        control.load_state_dict(state)
    train(network, data, 9, *controls)
    train(fresh, data, 9, *resumed)
    states = network.state_dict(), fresh.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_pattern_that_fits_nothing_is_named(network: nn.Sequential) -> None:
    with pytest.raises(RecipeError, match=r"fc9.*conv1\.weight"):
        prune(network, {"fc9.weight": ("density", 0.5)})


def test_steps_between_prunings_are_counted_from_one(network: nn.Sequential) -> None:
    with pytest.raises(RecipeError, match="every = 0"):
        Pruner(network, {"*.weight": 0.5}, every=0)
