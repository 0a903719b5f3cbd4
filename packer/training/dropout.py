"""Dropout for a pruned network (Han, Pool, Tran, Dally, NIPS 2015, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from torch import nn

from ...format_spec.errors import RecipeError
from ._slots import slots


def rescale_dropout(module: nn.Module, layers: Mapping[str, str]) -> None:
    """Scale dropout with the capacity that pruning left: ``Dr = Do * sqrt(Cir / Cio)``.

    ``layers`` maps the name of a dropout module to the parameter whose connections it thins (``{"drop1": "fc1.weight"}``).
    The ratio is taken from the dropout's probability when first rescaled, so that repeated calls follow the density.

    Raises:
        RecipeError: a name is not a dropout module or not a parameter of ``module``.
    """
    parts = dict(module.named_modules())
    for name, parameter in layers.items():
        drop = parts.get(name)
        if not isinstance(drop, nn.modules.dropout._DropoutNd):
            raise RecipeError(f"{name!r} is not a dropout module of the network")
        slot, *others = slots(module, [parameter])
        if others:
            raise RecipeError(f"{parameter!r} is the name of several parameters, {others[0].name!r} among them: give one")
        weights = slot.tensor.detach()
        original = getattr(drop, "unpruned_p", drop.p)
        drop.unpruned_p = original  # type: ignore[assignment]
        drop.p = original * sqrt(float((weights != 0).float().mean()))
