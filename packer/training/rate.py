"""What the entropy coder will charge for a shared tensor, and the assignment of values that minds it.

The model: whether the weight in row ``i`` and column ``j`` is zero costs ``-log2`` of a probability that follows the density of
that row and of that column; which value a nonzero takes costs ``-log2`` of the value's frequency. Rows are the first axis,
columns the second, further axes (the taps of a convolution) share a row and a column.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PRIOR = 2.0
"""Weights' worth of the tensor's own density that is mixed into the density of a row or column."""

FLOOR = 1e-4
"""Smallest probability of a nonzero anywhere: nothing is so dead that it cannot come back."""

CEILING = 0.5
"""Largest probability of a nonzero: a gap takes a whole bit at least, and a zero never costs more than a nonzero."""


@dataclass(frozen=True, eq=False)
class Rates:
    """Prices in bits: ``zero`` and ``nonzero`` of a position (broadcast to the tensor), ``values`` (k,) of each value."""

    zero: Tensor
    nonzero: Tensor
    values: Tensor

    def total(self, codes: Tensor) -> float:
        """Bits of a tensor with these ``codes``."""
        used = codes > 0
        where = torch.where(used, self.nonzero, self.zero).sum(dtype=torch.float64)
        counts = torch.bincount(codes.reshape(-1).to(torch.int32), minlength=len(self.values) + 1)[1:]
        return float(where + (counts * self.values).sum(dtype=torch.float64))


def rates(codes: Tensor, values: int, structure: float = 1.0) -> Rates:
    """Prices for a tensor that has ``codes`` (int, 0 is zero) into ``values`` values.

    ``structure`` (0 to 1) says how far prices follow rows and columns: 0 prices every position alike, 1 favours rows and
    columns that are already dense, so that whole units die out.
    """
    used = (codes > 0).to(torch.float32)
    mean = used.mean().clamp(FLOOR, 1 - FLOOR)
    odds = torch.full_like(used, 1.0) * mean
    if codes.dim() > 1 and structure > 0:
        for axis in (0, 1):
            odds = odds * (_density(used, axis, float(mean)) / mean) ** structure
    odds = odds.clamp(FLOOR, CEILING)
    counts = torch.bincount(codes.reshape(-1), minlength=values + 1)[1:].to(torch.float32) + 0.5
    return Rates(-torch.log2(1 - odds), -torch.log2(odds), -torch.log2(counts / counts.sum()))


def assign(weights: Tensor, codebook: Tensor, importance: Tensor | float, prices: Rates, multiplier: float) -> Tensor:
    """Codes that minimise ``importance * (weight - value)**2 + multiplier * bits``, weight by weight; int32, 0 is zero."""
    best = importance * weights.square() + multiplier * prices.zero
    codes = torch.zeros(weights.shape, dtype=torch.int32, device=weights.device)
    for index, value in enumerate(codebook.tolist()):
        cost = importance * (weights - value).square() + multiplier * (prices.nonzero + float(prices.values[index]))
        better = cost < best
        codes[better] = index + 1
        best = torch.where(better, cost, best)
    return codes


def _density(used: Tensor, axis: int, mean: float) -> Tensor:
    """Share of nonzeros along ``axis``, smoothed, shaped to broadcast."""
    others = [a for a in range(used.dim()) if a != axis]
    size = used.numel() / used.shape[axis]
    return (used.sum(others, keepdim=True) + PRIOR * mean) / (size + PRIOR)
