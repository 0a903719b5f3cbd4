"""Compression-aware training: what is zero, and which value a weight takes, is assigned anew while the network learns.

Every few steps each weight takes the value, or zero, that minimises squared error plus rate (:mod:`.rate`), at the one
multiplier for which the whole network fits the budget of bits of that moment. Between assignments the weights learn: behind
shared values as latent weights, through the straight-through estimator.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from typing import Any

import torch
from torch import Tensor, nn

from ._slots import Slot, wrapped_tensors
from .mask import Mask
from .rate import Rates, assign, rates
from .shared import SharedValues, freeze_codes

SMALLEST = 1e-9
"""Multiplier at which rate no longer matters."""


class RateAware:
    """Keeps the wrapped tensors of ``module`` within a budget of bits while the network trains.

    Tensors wrapped by ``share(..., learning=True)`` have their codes assigned, others keep theirs. Masks are assigned too,
    every kept weight being priced ``value_bits`` for its value: for a first stage that prunes before it shares. Call
    :meth:`step` after each optimiser step. ``budget`` maps a step's number to bits for all these tensors together; assignment
    is done every ``every`` steps. ``structure``: see :func:`~.rate.rates`. :meth:`finish` freezes codes and masks: then only
    what is left learns.
    """

    def __init__(
        self,
        module: nn.Module,
        budget: Callable[[int], float],
        *,
        every: int = 50,
        structure: float = 1.0,
        value_bits: float = 2.0,
    ) -> None:
        self.module = module
        self.budget = budget
        self.every = every
        self.structure = structure
        self.value_bits = value_bits
        self.steps = 0
        self.multiplier = 1e-6
        self.bits = 0.0
        self.tensors: list[tuple[Slot, SharedValues | Mask]] = [
            *((slot, part) for slot, part in wrapped_tensors(module, SharedValues) if part.learning),
            *wrapped_tensors(module, Mask),
        ]
        self.finished = False

    def step(self) -> None:
        """Count a step; assign when it is time."""
        self.steps += 1
        if not self.finished and self.steps % self.every == 0:
            self.assign()

    def assign(self) -> None:
        """Assign codes and masks at the smallest multiplier that keeps within the budget of this step."""
        budget = self.budget(self.steps)
        weights = [slot.original.detach() for slot, _ in self.tensors]
        importance = [_importance(w, _codes(part)) for w, (_, part) in zip(weights, self.tensors, strict=True)]
        prices = [self._prices(_codes(part), part) for _, part in self.tensors]

        def coded(multiplier: float) -> tuple[list[Tensor], float]:
            codes = [
                _assign(w, part, i, price, multiplier)
                for w, (_, part), i, price in zip(weights, self.tensors, importance, prices, strict=True)
            ]
            bits = [self._prices(c, part).total(c) for c, (_, part) in zip(codes, self.tensors, strict=True)]
            return codes, sum(bits)

        self.multiplier = _bisect(lambda m: coded(m)[1] > budget, self.multiplier)
        codes, self.bits = coded(self.multiplier)
        for new, (_, part) in zip(codes, self.tensors, strict=True):
            _codes(part).copy_(new)

    def _prices(self, codes: Tensor, part: SharedValues | Mask) -> Rates:
        if isinstance(part, SharedValues):
            return rates(codes.to(torch.int32), len(part.centroids), self.structure)
        prices = rates(codes.to(torch.int32), 1, self.structure)
        return Rates(prices.zero, prices.nonzero, prices.values + self.value_bits)

    def finish(self) -> None:
        """Freeze codes and masks."""
        self.finished = True
        freeze_codes(self.module)
        for _, part in wrapped_tensors(self.module, Mask):
            part.splicing = False

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs to go on; the module's own ``state_dict`` has codes and values."""
        return {"steps": self.steps, "multiplier": self.multiplier}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.steps, self.multiplier = state["steps"], state["multiplier"]


def _codes(part: SharedValues | Mask) -> Tensor:
    return part.codes if isinstance(part, SharedValues) else part.mask


def _importance(weights: Tensor, codes: Tensor) -> float:
    """Weight of a tensor's squared error: relative to the mean square of what is left, so that layers of any scale compare."""
    kept = weights[codes > 0]
    return 1 / max(float(kept.square().mean()), 1e-30) if len(kept) else 1.0


def _assign(weights: Tensor, part: SharedValues | Mask, importance: float, prices: Rates, multiplier: float) -> Tensor:
    if isinstance(part, SharedValues):
        return assign(weights, part.codebook, importance, prices, multiplier)
    return importance * weights.square() > multiplier * (prices.nonzero + prices.values - prices.zero)


def _bisect(too_large: Callable[[float], bool], guess: float) -> float:
    """The smallest multiplier of at least :data:`SMALLEST`, to 2 %, that is not ``too_large``; larger ones are not either."""
    low = high = log(guess)
    width = 0.5
    while too_large(exp(high)) and width < 64:
        low, high, width = high, high + width, 2 * width
    while low == high or not too_large(exp(low)):
        if low <= log(SMALLEST):
            return SMALLEST
        low, high, width = max(low - width, log(SMALLEST)), low, 2 * width
    while high - low > 0.02:
        middle = (low + high) / 2
        low, high = (middle, high) if too_large(exp(middle)) else (low, middle)
    return exp(high)
