"""Learned sparsity: L0 regularisation by hard concrete gates (Louizos, Welling, Kingma, ICLR 2018).

Every weight, or every unit (a row of the weight matrix, a filter), is multiplied by a gate between 0 and 1 that is drawn at
random in training. The expected number of open gates is differentiable and goes into the loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from ...format_spec.errors import RecipeError
from ._slots import WEIGHTS, Wrapper, slots, wrapped_tensors
from .mask import Mask

TEMPERATURE = 2 / 3
LOW, HIGH = -0.1, 1.1
"""The interval that a gate is stretched to before it is cut to 0..1; values of the paper, section 4."""

Group: TypeAlias = Literal["weight", "row", "column"]
"""What one gate switches: a weight, or all weights of one index of the first or second axis (outputs, inputs)."""


class HardConcrete(Wrapper):
    """Parametrization by gates with trainable ``log_alpha``, in a shape that broadcasts to the tensor.

    In evaluation mode gates are deterministic. At the start, ``initial`` is the share of gates that are more open than shut
    before they are stretched, which opens some more: :meth:`open_probability` says how many.
    """

    def __init__(self, shape: tuple[int, ...], *, initial: float = 0.9) -> None:
        super().__init__()
        if not 0 < initial < 1:
            raise RecipeError(f"initial = {initial!r}: a number between 0 and 1 is expected")
        start = log(initial / (1 - initial))
        self.log_alpha = nn.Parameter(torch.full(shape, start))

    def forward(self, original: Tensor) -> Tensor:
        """``original`` times its gates."""
        return original * self.gates().to(original.dtype)

    def gates(self) -> Tensor:
        """Gates of this pass, in the shape of ``log_alpha``: sampled in training, their deterministic value otherwise."""
        if self.training:
            noise = torch.empty_like(self.log_alpha).uniform_(1e-6, 1 - 1e-6)
            soft = torch.sigmoid((torch.logit(noise) + self.log_alpha) / TEMPERATURE)
        else:
            soft = torch.sigmoid(self.log_alpha)
        return (soft * (HIGH - LOW) + LOW).clamp(0, 1)

    def open_probability(self) -> Tensor:
        """Probability that each gate is not 0, in the shape of ``log_alpha``."""
        return torch.sigmoid(self.log_alpha - TEMPERATURE * log(-LOW / HIGH))


def wrap_gates(module: nn.Module, names: Iterable[str] = WEIGHTS, *, group: Group = "weight", initial: float = 0.9) -> None:
    """Wrap the parameters that fit ``names`` in hard concrete gates; existing wrappers are replaced, their result kept.

    Raises:
        RecipeError: a pattern fits no parameter, or ``initial`` is not between 0 and 1.
    """
    for slot in slots(module, names):
        shape = tuple(slot.tensor.shape)
        keep = {"weight": range(len(shape)), "row": (0,), "column": (1,)}[group]
        slot.wrap(
            HardConcrete(tuple(size if axis in keep else 1 for axis, size in enumerate(shape)), initial=initial).to(
                slot.original.device
            )
        )


def expected_weights(module: nn.Module) -> Tensor:
    """Expected number of weights whose gates are open, a differentiable scalar: add a multiple of it to the loss."""
    total = torch.zeros(())
    for slot, gates in wrapped_tensors(module, HardConcrete):
        total = total + gates.open_probability().sum() * (slot.original.numel() / gates.log_alpha.numel())
    return total


def close_gates(module: nn.Module) -> None:
    """Turn gates into masks: weights times their deterministic gates, zeros pruned."""
    for slot, gates in wrapped_tensors(module, HardConcrete):
        gates.eval()
        slot.unwrap()
        slot.wrap(Mask(slot.tensor.detach() != 0))
