"""Dead units removed: the same function in a smaller network.

A unit (a row of a linear layer, a filter of a convolution) is dead when nothing reads it, or when it computes a constant, which
then moves into the bias of its readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from ...format_spec.errors import RecipeError
from ._slots import baked

_PASSING = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Dropout, nn.Dropout2d, nn.Identity)
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True, eq=False)
class _Link:
    """Two layers with weights and what lies between them."""

    first: nn.Linear | nn.Conv2d
    between: tuple[nn.Module, ...]
    second: nn.Linear | nn.Conv2d


def slim(network: nn.Sequential) -> nn.Sequential:
    """A copy of ``network`` without wrappers and without its dead units, names kept; outputs differ by rounding only.

    A constant unit that feeds a padded convolution stays, because its readers at the border see zeros instead of it. At least
    one unit of every layer stays.

    Raises:
        RecipeError: the network is not a chain of ``Linear``, ``Conv2d``, elementwise activations, pooling, ``Dropout`` and
            ``Flatten``, or a convolution has groups, or a layer occurs twice.
    """
    smaller = cast("nn.Sequential", baked(network))
    with torch.no_grad():
        # Removing a unit can leave units before it unread and units after it constant.
        while sum(_remove_dead(link) for link in _links(smaller)):
            pass
    return smaller


def _links(network: nn.Sequential) -> list[_Link]:
    links: list[_Link] = []
    first: nn.Linear | nn.Conv2d | None = None
    between: list[nn.Module] = []
    for name, part in network._modules.items():  # unlike named_children, with what occurs twice
        if type(part) in (nn.Linear, nn.Conv2d):
            assert isinstance(part, nn.Linear | nn.Conv2d)
            if isinstance(part, nn.Conv2d) and (part.groups != 1 or part.padding_mode != "zeros"):
                raise RecipeError(f"{name!r} has groups or another padding than zeros: slim cannot remove its units")
            if any(part in (link.first, link.second) for link in links) or part is first:
                raise RecipeError(f"{name!r} occurs twice: slim cannot remove its units")
            if first is not None:
                links.append(_link(name, first, tuple(between), part))
            first, between = part, []
        elif isinstance(part, (*_PASSING, nn.Flatten)) or _is_plain_pool(part):
            between.append(part)
        else:
            raise RecipeError(
                f"{name!r} is {type(part).__name__}: slim knows chains of Linear, Conv2d, activations and plain pooling"
            )
    return links


def _is_plain_pool(part: nn.Module) -> bool:
    """Whether ``part`` pools nothing but its input, and gives a constant for a constant."""
    return isinstance(part, _POOLS) and part.padding in (0, (0, 0)) and getattr(part, "divisor_override", None) is None


def _link(name: str, first: nn.Linear | nn.Conv2d, between: tuple[nn.Module, ...], second: nn.Linear | nn.Conv2d) -> _Link:
    """The layers as a link, once it is sure which weights of the second, ``name``, read a unit of the first.

    Raises:
        RecipeError: it is not.
    """
    shaping = [part for part in between if isinstance(part, (*_POOLS, nn.Flatten))]
    flattening = [part for part in shaping if isinstance(part, nn.Flatten)]
    whole = all((part.start_dim, part.end_dim) in ((1, -1), (1, 3)) for part in flattening)
    if isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d):
        sure = not flattening
    elif isinstance(first, nn.Conv2d):
        last = whole and len(flattening) == 1 and shaping[-1] is flattening[0]
        sure = isinstance(second, nn.Linear) and last and second.in_features % first.out_channels == 0
    else:
        sure = isinstance(second, nn.Linear) and whole and shaping == flattening and second.in_features == first.out_features
    if not sure:
        raise RecipeError(f"it is not clear which inputs of {name!r} are units of the layer before: slim cannot remove them")
    return _Link(first, between, second)


def _remove_dead(link: _Link) -> bool:
    """Remove the dead units between two layers; whether there were any."""
    first, second = link.first, link.second
    columns = _columns(link)
    read = (columns != 0).any(dim=(0, 2))
    driven = (first.weight != 0).flatten(1).any(dim=1)
    constants = _constants(link)
    padded = isinstance(second, nn.Conv2d) and second.padding not in ("valid", (0, 0))
    movable = ~driven & ((constants == 0) | (not padded))
    keep = read & ~movable
    if not keep.any():
        keep[0] = True
    if keep.all():
        return False
    folded = read & ~keep & (constants != 0)
    if folded.any():
        moved = (columns[:, folded].sum(dim=2) * constants[folded]).sum(dim=1)
        second.bias = nn.Parameter(moved if second.bias is None else second.bias + moved)
    _keep_outputs(first, keep)
    _keep_inputs(link, columns, keep)
    return True


def _columns(link: _Link) -> Tensor:
    """The second layer's weights by unit of the first: (outputs, units, weights that read one unit)."""
    second = link.second.weight
    return second.reshape(len(second), len(link.first.weight), -1)


def _constants(link: _Link) -> Tensor:
    """What each unit of the first layer gives when its weights are all zero, (units,)."""
    bias = link.first.bias
    values = link.first.weight.new_zeros(len(link.first.weight)) if bias is None else bias.clone()
    for part in link.between:
        if isinstance(part, _PASSING) and not isinstance(part, nn.Dropout | nn.Dropout2d):
            values = part(values)
    return values


def _keep_outputs(layer: nn.Linear | nn.Conv2d, keep: Tensor) -> None:
    layer.weight = nn.Parameter(layer.weight[keep])
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias[keep])
    if isinstance(layer, nn.Linear):
        layer.out_features = int(keep.sum())
    else:
        layer.out_channels = int(keep.sum())


def _keep_inputs(link: _Link, columns: Tensor, keep: Tensor) -> None:
    layer, kept = link.second, columns[:, keep]
    if isinstance(layer, nn.Linear):
        layer.weight = nn.Parameter(kept.reshape(len(kept), -1))
        layer.in_features = layer.weight.shape[1]
    else:
        layer.weight = nn.Parameter(kept.reshape(len(kept), -1, *layer.weight.shape[2:]))
        layer.in_channels = layer.weight.shape[1]
