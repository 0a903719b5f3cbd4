"""Parameters and the places where they hang: tied ones, and those that have a parametrization of somebody else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from tersor.format_spec.errors import RecipeError
from tersor.format_spec.tensors import SharedTensor
from tersor.packer.training import (
    baked,
    close_gates,
    export,
    prune,
    share,
    slots,
    to_graph,
    unwrap,
    wrap_gates,
    wrap_masks,
)
from tersor.runtime import load

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::FutureWarning:copyreg")]


class Tied(nn.Module):
    """Two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)))


def gate(network: nn.Module) -> None:
    wrap_gates(network, initial=0.5)
    network.eval()


@pytest.mark.parametrize("wrap", [lambda n: prune(n, {"b.weight": ("density", 0.25)}), lambda n: share(n, 4), gate])
def test_tied_weights_stay_tied(wrap: Callable[[nn.Module], None]) -> None:
    network = Tied()
    parameter = network.a.weight
    wrap(network)
    (slot,) = slots(network)
    assert slot.original is parameter
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    before = slot.tensor.detach().clone()
    network(torch.ones(2, 8)).square().sum().backward()
    optimizer.step()
    assert torch.equal(network.a.weight, network.b.weight)
    assert not torch.equal(network.a.weight, before)
    result = network.a.weight.detach().clone()
    plain = baked(network)
    assert plain.get_parameter("a.weight") is plain.get_parameter("b.weight")
    unwrap(network)
    assert network.a.weight is parameter
    assert network.b.weight is parameter
    assert torch.equal(parameter, result)


def test_gates_of_tied_weights_close_once() -> None:
    network = Tied()
    gate(network)
    expected = network.a.weight.detach().clone()
    close_gates(network)
    assert torch.equal(network.a.weight, expected)
    assert torch.equal(network.b.weight, expected)


def test_a_tied_weight_is_stored_once() -> None:
    network = Tied()
    share(network, 4)
    (tensor,) = to_graph(network, torch.zeros(1, 8)).initializers.values()
    assert isinstance(tensor, SharedTensor)
    assert torch.equal(torch.from_numpy(tensor.dense()), network.a.weight)


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_parametrizations_of_others_stay(norm: Callable[[nn.Module], nn.Module]) -> None:
    normed = nn.Linear(8, 8)
    norm(normed)
    network = nn.Sequential(normed, nn.Linear(8, 2)).eval()
    before = normed.weight.detach().clone()
    with pytest.raises(RecipeError, match=r"'0.weight' has a parametrization already \(_\w+Norm\)"):
        wrap_masks(network)
    prune(network, {"1.weight": ("density", 0.5)})
    unwrap(network)
    assert torch.equal(normed.weight, before)
    assert nn.utils.parametrize.is_parametrized(normed, "weight")
    assert not nn.utils.parametrize.is_parametrized(network[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    network = nn.Linear(16, 8).to(dtype)
    prune(network, {"weight": ("density", 0.5)})
    assert float((network.weight != 0).float().mean()) == pytest.approx(0.5)
    wrap_gates(network)
    assert network.weight.dtype == dtype


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_are_exported_right_after_training(kind: Callable[..., nn.RNNBase], tmp_path: Path) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.r = kind(4, 6, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.r(x)[0][:, -1]

    network = Last()
    wrap_masks(network, ["r.weight*"])
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    x = torch.rand(2, 3, 4)
    network(x).square().sum().backward()
    optimiser.step()
    export(network, x, tmp_path / "r.tersor")
    with torch.no_grad(), load(tmp_path / "r.tersor", threads=1) as model:
        (found,) = model.run({model.inputs[0].name: x.numpy()}).values()
        torch.testing.assert_close(torch.from_numpy(found), network.eval()(x), atol=1e-5, rtol=1e-4)


def test_a_copy_can_be_unwrapped_without_the_original(network: nn.Sequential, data: tuple[Tensor, Tensor]) -> None:
    wrap_masks(network)
    best = copy.deepcopy(network)
    expected = network(data[0])
    share(best, 4)
    unwrap(best)
    torch.testing.assert_close(network(data[0]), expected)
    unwrap(network)
    torch.testing.assert_close(network(data[0]), expected)
