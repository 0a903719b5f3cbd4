"""Shared values, their price, and training within a budget."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from tersor.format_spec.errors import RecipeError
from tersor.packer.training import (
    RateAware,
    SharedValues,
    assign,
    constant,
    geometric,
    prune,
    rates,
    share,
    slots,
    wrap_masks,
    wrapped_tensors,
)

pytestmark = pytest.mark.torch


def weight(network: nn.Module, name: str) -> Tensor:
    return slots(network, [name])[0].tensor.detach()


def backward(network: nn.Module, data: tuple[Tensor, Tensor]) -> None:
    functional.cross_entropy(network(data[0]), data[1]).backward()


def test_every_weight_takes_the_nearest_value_and_zeros_stay(network: nn.Sequential) -> None:
    prune(network, {"fc1.weight": ("density", 0.4)})
    before = weight(network, "fc1.weight").clone()
    share(network, 6, ["fc1.weight"])
    after = weight(network, "fc1.weight")
    values = after.unique()
    assert torch.equal(after == 0, before == 0)
    assert len(values) == 7
    assert torch.equal(values, values.half().float())
    nearest = values[values != 0][(before[before != 0][:, None] - values[values != 0]).abs().argmin(1)]
    assert (nearest - after[before != 0]).abs().max() < 1e-3


def test_gradient_of_a_value_is_the_sum_over_its_weights(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    reference = copy.deepcopy(network)
    share(network, 4, ["fc1.weight"], half=False)
    reference.get_parameter("fc1.weight").data.copy_(weight(network, "fc1.weight"))
    backward(network, data)
    backward(reference, data)
    ((slot, part),) = wrapped_tensors(network, SharedValues)
    gradient = reference.get_parameter("fc1.weight").grad
    assert gradient is not None
    expected = torch.stack([gradient[part.codes == code].sum() for code in range(1, 5)])
    torch.testing.assert_close(part.centroids.grad, expected, rtol=1e-4, atol=1e-6)
    assert slot.original.grad is None


def test_learning_passes_the_gradient_to_the_nonzeros(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    prune(network, {"fc1.weight": ("density", 0.4)})
    share(network, 4, ["fc1.weight"], learning=True)
    backward(network, data)
    ((slot, part),) = wrapped_tensors(network, SharedValues)
    assert slot.original.grad is not None
    assert not slot.original.grad[part.codes == 0].any()
    assert slot.original.grad[part.codes != 0].any()


def test_counts_by_pattern(network: nn.Sequential) -> None:
    share(network, {"conv*.weight": 8, "fc*": 3})
    counts = {slot.name: len(part.centroids) for slot, part in wrapped_tensors(network, SharedValues)}
    assert counts == {"conv1.weight": 8, "conv2.weight": 8, "fc1.weight": 3, "fc1.bias": 3, "fc2.weight": 3, "fc2.bias": 3}
    with pytest.raises(RecipeError, match="0 shared values"):
        share(network, 0)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_values_of_weights_of_one_sign(sign: int, count: int) -> None:
    layer = nn.Linear(8, 8)
    layer.weight.data = sign * layer.weight.data.abs() - sign * 0.1
    layer.weight.data[layer.weight.data * sign < 0] = 0
    share(layer, count)
    assert len(layer.weight.unique()) == count + 1
    assert (layer.weight * sign >= 0).all()


def test_a_tensor_of_zeros_is_shared() -> None:
    layer = nn.Linear(3, 3)
    nn.init.zeros_(layer.weight)
    share(layer, 4)
    assert not layer.weight.any()


def test_a_single_value_is_the_mean() -> None:
    layer = nn.Linear(8, 8)
    mean = float(layer.weight.detach().double().mean())
    share(layer, 1, half=False)
    assert layer.weight.unique().tolist() == pytest.approx([mean])


def test_the_prices_of_a_vector_are_alike() -> None:
    prices = rates(torch.tensor([0, 1, 0, 2, 0]), 2)
    assert (prices.nonzero == prices.nonzero[0]).all()
    assert prices.values[0] == prices.values[1]


def test_values_that_would_fit_half_precision_may_have_all_their_digits(network: nn.Sequential) -> None:
    share(network, 4, ["fc1.weight"], half=False)
    values = weight(network, "fc1.weight").unique()
    assert not torch.equal(values, values.half().float())


def test_the_last_pattern_counts(network: nn.Sequential) -> None:
    alone = copy.deepcopy(network)
    share(alone, 16, ["fc1.weight"])
    share(network, {"*weight": 4, "fc1.weight": 16})
    assert torch.equal(weight(network, "fc1.weight"), weight(alone, "fc1.weight"))
    assert len(weight(network, "fc2.weight").unique()) == 4


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e6])
def test_values_outside_half_precision_are_kept(network: nn.Sequential, scale: float) -> None:
    weights = network.get_parameter("fc1.weight").data.mul_(scale).clone()
    share(network, 16, ["fc1.weight"])
    assert (weight(network, "fc1.weight") - weights).norm() < 0.1 * weights.norm()


@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0, 1), st.floats(0, 0.1))
@settings(max_examples=40, deadline=None)
def test_assignment_has_the_least_cost(seed: int, count: int, structure: float, multiplier: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(7, 5, generator=generator)
    codebook = torch.randn(count, generator=generator).sort().values
    prices = rates(torch.randint(0, count + 1, (7, 5), generator=generator), count, structure)
    codes = assign(weights, codebook, 0.5, prices, multiplier)
    table = torch.cat([torch.zeros(1), codebook])
    bits = torch.stack([prices.zero, *(prices.nonzero + value for value in prices.values)])
    costs = 0.5 * (weights - table[:, None, None]).square() + multiplier * bits
    chosen = costs.gather(0, codes[None].long())[0]
    torch.testing.assert_close(chosen, costs.min(0).values)


def test_prices_follow_density() -> None:
    codes = torch.zeros(10, 20, dtype=torch.int32)
    codes[:2] = 1
    codes[4, 3] = 2
    flat, structured = rates(codes, 2, 0.0), rates(codes, 2, 1.0)
    assert (flat.nonzero == flat.nonzero[0, 0]).all()
    assert structured.nonzero[0, 0] < structured.nonzero[4, 0] < structured.nonzero[5, 0]
    assert structured.values[0] < structured.values[1]
    assert structured.total(codes) < flat.total(codes)


@pytest.mark.parametrize("shared", [False, True])
def test_training_keeps_within_its_budget_and_learns(network: nn.Sequential, data: tuple[Tensor, Tensor], shared: bool) -> None:
    if shared:
        share(network, 4, learning=True)
    else:
        wrap_masks(network)
    control = RateAware(network, geometric(9000.0, 1500.0, 0, 60), every=5)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    bits = []
    for _ in range(100):
        optimizer.zero_grad()
        backward(network, data)
        optimizer.step()
        control.step()
        bits.append(control.bits)
    assert bits[-1] <= 1500
    assert all(later <= earlier * 1.2 for earlier, later in pairwise(bits[10:]))
    control.finish()
    frozen = [slot.tensor != 0 for slot in slots(network)]
    backward(network, data)
    optimizer.step()
    assert all(torch.equal(slot.tensor != 0, mask) for slot, mask in zip(slots(network), frozen, strict=True))
    assert (network(data[0]).argmax(1) == data[1]).float().mean() > 0.9


def test_saved_training_goes_on_alike(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    fresh = copy.deepcopy(network)
    networks, controls = [network, fresh], []
    for module in networks:
        share(module, 4, learning=True)
        controls.append(RateAware(module, constant(4000), every=2))

    def train(index: int, steps: int) -> None:
        optimizer = torch.optim.SGD(networks[index].parameters(), 0.05)
        for _ in range(steps):
            optimizer.zero_grad()
            backward(networks[index], data)
            optimizer.step()
            controls[index].step()

    train(0, 5)
    fresh.load_state_dict(copy.deepcopy(network.state_dict()))
    controls[1].load_state_dict(controls[0].state_dict())
    train(0, 5)
    train(1, 5)
    states = network.state_dict(), fresh.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_what_is_no_number_is_not_shared(network: nn.Sequential) -> None:
    with torch.no_grad():
        network.get_parameter("fc2.weight")[0, 0] = float("nan")
    with pytest.raises(RecipeError, match=r"fc2\.weight.*NaN"):
        share(network, 4)
    assert not any(parametrize.is_parametrized(part) for part in network.modules())


def test_only_what_learns_is_assigned_and_only_until_the_end(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    share(network, 6, learning=True)
    share(network, 4, ["*.bias"])
    control = RateAware(network, lambda step: 500.0, every=1)
    fixed = {name: part.clone() for name, part in network.named_buffers() if "bias" in name}
    control.step()
    assert all(torch.equal(part, fixed[name]) for name, part in network.named_buffers() if "bias" in name)
    control.finish()
    codes = {name: part.clone() for name, part in network.named_buffers()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(-3)
    control.step()
    assert all(torch.equal(part, codes[name]) for name, part in network.named_buffers())
