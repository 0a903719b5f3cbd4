"""Trained weight sharing: every weight of a tensor is zero or one of a few trained values.

The gradient of a value (a centroid) is the sum of the gradients of the weights that take it (Han, Mao, Dally, ICLR 2016,
section 3.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...format_spec.errors import RecipeError
from ._slots import WEIGHTS, Slot, Wrapper, choose, wrapped_tensors

MAX_VALUES = 65_535
"""Values that one tensor can have besides zero."""


class SharedValues(Wrapper):
    """Parametrization of a tensor by ``codes`` (its shape, int32; 0 is zero, others count from 1) and ``centroids`` (k,).

    With ``half`` the values are rounded to what fp16 holds, in the forward pass too, so that a file may store them so; but not
    while one of them lies outside its range of normal numbers.
    While ``learning`` is true the nonzeros' original weights receive the gradient of what stands for them, as if there were no
    sharing (the straight-through estimator): codes can then be assigned anew. Otherwise only the centroids learn.
    """

    codes: Tensor

    def __init__(self, codes: Tensor, centroids: Tensor, *, half: bool = True, learning: bool = False) -> None:
        super().__init__()
        self.register_buffer("codes", codes.to(torch.int32))
        self.centroids = nn.Parameter(centroids.detach().clone())
        self.half_precision = half
        self.learning = learning

    @property
    def codebook(self) -> Tensor:
        """The values as they are used and stored, (k,)."""
        values = self.centroids.detach()
        if not self.half_precision:
            return values
        half, sizes = torch.finfo(torch.float16), values.abs()
        fits = ((sizes == 0) | ((sizes >= half.tiny) & (sizes <= half.max))).all()
        return torch.where(fits, values.to(torch.float16).to(values.dtype), values)

    def forward(self, original: Tensor) -> Tensor:
        """The shared tensor, in the shape of ``original``."""
        return _Lookup.apply(original, self.centroids, self.codebook, self.codes, self.learning)  # type: ignore[no-any-return]


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, original: Tensor, centroids: Tensor, codebook: Tensor, codes: Tensor, learning: bool) -> Tensor:
        ctx.save_for_backward(codes)
        ctx.values, ctx.learning = len(codebook), learning
        table = torch.cat([codebook.new_zeros(1), codebook])
        return table.index_select(0, codes.reshape(-1)).reshape(codes.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        (codes,) = ctx.saved_tensors
        sums = torch.bincount(codes.reshape(-1), gradient.reshape(-1).double(), ctx.values + 1)
        latent = gradient * (codes != 0) if ctx.learning else None
        return latent, sums[1:].to(gradient.dtype), None, None, None


def share(
    module: nn.Module,
    values: int | Mapping[str, int],
    names: Iterable[str] = WEIGHTS,
    *,
    half: bool = True,
    learning: bool = False,
    iterations: int = 50,
) -> None:
    """Wrap the parameters that fit ``names``: each nonzero takes the nearest of ``values`` centroids, zeros stay zero.

    The centroids come from k-means that starts from evenly spaced values, negative and positive ones apart. ``values`` may
    map patterns to counts: the last pattern that fits a name counts. A wrapper that is there already (a pruning mask) is
    replaced, its result kept.

    Raises:
        RecipeError: a pattern fits nothing, a count is out of range, or a parameter holds NaN or infinity.
    """
    counts = values if isinstance(values, Mapping) else dict.fromkeys([names] if isinstance(names, str) else names, values)
    for pattern, count in counts.items():
        if not 1 <= count <= MAX_VALUES:
            raise RecipeError(f"{count} shared values for {pattern!r}: 1 to {MAX_VALUES} are possible")
    chosen = choose(module, counts)
    for slot, _ in chosen:
        if not slot.tensor.isfinite().all():
            raise RecipeError(f"{slot.name!r} holds NaN or infinity: it cannot be shared")
    for slot, count in chosen:
        _share_one(slot, count, half, learning, iterations)


def freeze_codes(module: nn.Module) -> None:
    """Only centroids learn from here on."""
    for _, part in wrapped_tensors(module, SharedValues):
        part.learning = False


def _share_one(slot: Slot, count: int, half: bool, learning: bool, iterations: int) -> None:
    weights = slot.tensor.detach()
    nonzero = weights != 0
    centroids = _kmeans(weights[nonzero], count, iterations)
    codes = torch.zeros(weights.shape, dtype=torch.int32, device=weights.device)
    codes[nonzero] = (_nearest(weights[nonzero], centroids) + 1).to(torch.int32)
    slot.wrap(SharedValues(codes, centroids, half=half, learning=learning))


def _nearest(weights: Tensor, centroids: Tensor) -> Tensor:
    """Index (n,) of the nearest of the ascending ``centroids`` (k,)."""
    return torch.bucketize(weights, (centroids[1:] + centroids[:-1]) / 2)


def _kmeans(weights: Tensor, count: int, iterations: int) -> Tensor:
    """Ascending centroids (count,) of ``weights`` (n,); ones when there are no weights."""
    if not len(weights):
        return weights.new_ones(count)
    centroids = _linear_by_sign(weights.double(), count)
    for _ in range(iterations):
        nearest = _nearest(weights.double(), centroids)
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.bincount(nearest, weights.double(), count)
        moved = torch.where(sizes > 0, sums / sizes.clamp(min=1), centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved.sort().values
    return centroids.to(weights.dtype)


def _linear_by_sign(weights: Tensor, count: int) -> Tensor:
    """Ascending starting points (count,), evenly spaced over the negative and over the positive weights: none falls in the gap
    that pruning leaves around zero.
    """
    negative, positive = weights[weights < 0], weights[weights > 0]
    below = (count + (len(negative) > len(positive))) // 2
    if not len(negative) or not len(positive):
        below = count if len(negative) else 0
    parts = ((negative, below), (positive, count - below))
    points = [
        torch.linspace(float(part.min()), float(part.max()), n, dtype=torch.float64, device=part.device)
        for part, n in parts
        if n
    ]
    return torch.cat(points)
