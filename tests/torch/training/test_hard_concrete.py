"""Learned sparsity by hard concrete gates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tersor.format_spec.errors import RecipeError
from tersor.packer.training import HardConcrete, close_gates, densities, expected_weights, slots, wrap_gates, wrapped_tensors

pytestmark = pytest.mark.torch


def test_open_probability_is_the_share_of_samples_that_are_not_zero() -> None:
    torch.manual_seed(0)
    gates = HardConcrete((20_000,), initial=0.3)
    drawn = gates.gates()
    assert float(drawn.detach().min()) == 0
    assert float(drawn.detach().max()) == 1
    assert float((drawn.detach() != 0).float().mean()) == pytest.approx(float(gates.open_probability().detach()[0]), abs=0.01)


@pytest.mark.parametrize(("group", "shape"), [("weight", (20, 96)), ("row", (20, 1)), ("column", (1, 96))])
def test_one_gate_a_group(network: nn.Sequential, group: str, shape: tuple[int, ...]) -> None:
    wrap_gates(network, ["fc1.weight"], group=group)  # type: ignore[arg-type]
    ((_, gates),) = wrapped_tensors(network, HardConcrete)
    assert gates.log_alpha.shape == shape
    expected = float(gates.open_probability().detach().mean()) * 20 * 96
    assert float(expected_weights(network).detach()) == pytest.approx(expected, rel=1e-5)


def test_penalty_closes_gates_and_the_network_learns(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    wrap_gates(network, ["fc*.weight"])
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(120):
        optimizer.zero_grad()
        (functional.cross_entropy(network(data[0]), data[1]) + 1e-3 * expected_weights(network)).backward()
        optimizer.step()
    network.eval()
    before = {slot.name: slot.tensor.detach().clone() for slot in slots(network)}
    close_gates(network)
    assert all(torch.equal(slot.tensor, before[slot.name]) for slot in slots(network))
    assert densities(network)["fc1.weight"] < 0.5
    assert (network(data[0]).argmax(1) == data[1]).float().mean() > 0.9


@pytest.mark.parametrize("initial", [0.1, 0.5, 0.9])
def test_the_initial_share_of_gates_is_more_open_than_shut(initial: float) -> None:
    assert torch.sigmoid(HardConcrete((3,), initial=initial).log_alpha).tolist() == pytest.approx([initial] * 3)


def test_initial_share_is_checked() -> None:
    with pytest.raises(RecipeError, match="between 0 and 1"):
        HardConcrete((3,), initial=1.0)
