"""Dynamic network surgery (Guo, Yao, Chen, NIPS 2016): weights are pruned and spliced back while the network trains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ._slots import WEIGHTS, slots
from .mask import Mask
from .schedules import Schedule


class Surgery:
    """Prunes what falls below ``0.9 t`` and splices what rises above ``1.1 t``; between the two, masks stay as they are.

    ``t = mean(|w|) + c * std(|w|)`` of the layer, over its nonzeros at the start, as in the paper; ``strength`` is *c*, a
    number or a schedule. Masks change at a step with probability ``1 / (1 + decay * step)``, drawn from ``seed``. Pruned
    weights keep receiving gradient. Call :meth:`step` after each optimiser step.

    Raises:
        RecipeError: a pattern of ``names`` fits no parameter.
    """

    def __init__(
        self,
        module: nn.Module,
        strength: float | Schedule,
        names: Iterable[str] = WEIGHTS,
        *,
        margin: float = 0.1,
        decay: float = 1e-3,
        seed: int = 0,
    ) -> None:
        self.strength: Schedule = strength if callable(strength) else lambda step: strength
        self.margin = margin
        self.decay = decay
        self.steps = 0
        self.generator = torch.Generator().manual_seed(seed)
        self.slots = slots(module, names)
        self.scales: list[tuple[float, float]] = []
        for slot in self.slots:
            weights = slot.tensor.detach()
            kept = weights[weights != 0].abs()
            self.scales.append((float(kept.mean()), float(kept.std(unbiased=False))))
            slot.wrap(Mask(weights != 0, splicing=True))

    def step(self) -> None:
        """Count a step, and change the masks if the draw says so."""
        if float(torch.rand((), generator=self.generator)) < 1 / (1 + self.decay * self.steps):
            self.operate()
        self.steps += 1

    def operate(self) -> None:
        """Prune and splice by the thresholds of this step."""
        strength = self.strength(self.steps)
        for slot, (mean, deviation) in zip(self.slots, self.scales, strict=True):
            part = slot.find(Mask)
            if part is None:
                continue
            threshold = max(mean + strength * deviation, 0.0)
            magnitudes = slot.original.detach().abs()
            part.mask &= magnitudes >= (1 - self.margin) * threshold
            part.mask |= magnitudes > (1 + self.margin) * threshold

    def finish(self) -> None:
        """Keep the masks as they are and mask the gradients too, for the last fine-tuning."""
        for slot in self.slots:
            part = slot.find(Mask)
            if part is not None:
                part.splicing = False

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs to go on; masks are in the module's own ``state_dict``."""
        return {"steps": self.steps, "scales": self.scales, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.steps, self.scales = state["steps"], state["scales"]
        self.generator.set_state(state["generator"])
