"""Pruning masks: a parametrization that holds weights at zero, and who decides which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...format_spec.errors import RecipeError
from ..prune import prune as magnitude_mask
from ._slots import WEIGHTS, Slot, Wrapper, choose, slots, wrapped_tensors
from .schedules import Schedule, constant


class Mask(Wrapper):
    """Parametrization that multiplies by ``mask`` (bool, the tensor's shape; false is pruned).

    Gradients are masked too, so that pruned weights stay where they were; with ``splicing`` pruned weights receive the gradient
    of the zero that stands for them, keep learning, and may come back (dynamic network surgery, Guo 2016).
    """

    mask: Tensor

    def __init__(self, mask: Tensor, *, splicing: bool = False) -> None:
        super().__init__()
        self.register_buffer("mask", mask.to(torch.bool))
        self.splicing = splicing

    def forward(self, original: Tensor) -> Tensor:
        """``original`` with zeros where the mask is false."""
        return _Masked.apply(original, self.mask, self.splicing)  # type: ignore[no-any-return]


class _Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, original: Tensor, mask: Tensor, splicing: bool) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.splicing = splicing
        return torch.where(mask, original, original.new_zeros(()))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        (mask,) = ctx.saved_tensors
        return gradient if ctx.splicing else gradient * mask, None, None


def wrap_masks(module: nn.Module, names: Iterable[str] = WEIGHTS, *, splicing: bool = False) -> None:
    """Wrap the parameters that fit ``names`` in masks that prune the zeros they hold; existing wrappers are replaced.

    Raises:
        RecipeError: a pattern fits no parameter.
    """
    for slot in slots(module, names):
        slot.wrap(Mask(slot.tensor.detach() != 0, splicing=splicing))


def prune(module: nn.Module, pruning: Mapping[str, tuple[str, float]]) -> None:
    """Prune once by magnitude: ``{"fc*.weight": ("quality", 0.8)}``, patterns to a method of the packer and its parameter.

    Methods are those of recipes: ``density``, ``threshold`` and ``quality`` (a threshold in standard deviations of the layer).
    The last pattern that fits a name counts. Weights that are pruned already stay pruned.

    Raises:
        RecipeError: a pattern fits no parameter, or a parameter holds NaN or infinity.
    """
    for slot, method in choose(module, pruning):
        _prune_one(slot, method)


class Pruner:
    """Iterative magnitude pruning: densities fall by a schedule while the network trains.

    ``densities`` maps patterns to a density (0 to 1) or a schedule of it. Call :meth:`step` after each optimiser step: it
    prunes every ``every`` steps.
    """

    def __init__(self, module: nn.Module, densities: Mapping[str, float | Schedule], *, every: int = 100) -> None:
        if every < 1:
            raise RecipeError(f"every = {every}: at least 1 is expected")
        self.steps = 0
        self.every = every
        schedules = {p: density if callable(density) else constant(float(density)) for p, density in densities.items()}
        self.schedules = choose(module, schedules)
        for slot, _ in self.schedules:
            if slot.find(Mask) is None:
                slot.wrap(Mask(slot.tensor.detach() != 0))

    def step(self) -> None:
        """Count a step, and prune when it is time."""
        if self.steps % self.every == 0:
            self.prune()
        self.steps += 1

    def prune(self) -> None:
        """Prune to the densities of this step."""
        for slot, schedule in self.schedules:
            _prune_one(slot, ("density", min(max(schedule(self.steps), 0.0), 1.0)))

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs to go on; masks are in the module's own ``state_dict``."""
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.steps = state["steps"]


def densities(module: nn.Module) -> dict[str, float]:
    """Share of the weights that masks leave, by parameter name."""
    return {slot.name: float(part.mask.float().mean()) for slot, part in wrapped_tensors(module, Mask)}


def mask_by_magnitude(slot: Slot, method: tuple[str, float]) -> Tensor:
    """What the packer's ``method`` keeps of the tensor: bool, of its shape.

    Raises:
        RecipeError: the tensor holds NaN or infinity.
    """
    weights = slot.tensor.detach()
    known_to_numpy = weights if weights.dtype == torch.float64 else weights.float()
    return torch.from_numpy(magnitude_mask(slot.name, known_to_numpy.cpu().numpy(), method)).to(weights.device)


def _prune_one(slot: Slot, method: tuple[str, float]) -> None:
    mask = mask_by_magnitude(slot, method)
    part = slot.find(Mask)
    if part is None:
        slot.wrap(Mask(mask))
    else:
        part.mask.copy_(mask)
