"""Which tensors of a module are trained under a parametrization, and how to reach them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ...format_spec.errors import RecipeError

P = TypeVar("P", bound=nn.Module)

WEIGHTS = ("*weight",)
"""Patterns that fit the weights of torch's own layers, and not their biases."""


@dataclass(frozen=True, eq=False)
class Slot:
    """A parameter's place: ``name`` is its dotted name in the module that was searched, wrapped or not."""

    name: str
    owner: nn.Module
    attribute: str

    @property
    def tensor(self) -> Tensor:
        """What the layer computes with: the parametrization's result, or the parameter itself."""
        return getattr(self.owner, self.attribute)

    @property
    def original(self) -> nn.Parameter:
        """The parameter that an optimiser moves."""
        if not self.wrapped:
            return getattr(self.owner, self.attribute)
        parametrizations = cast("nn.ModuleDict", self.owner.parametrizations)
        return cast("nn.Parameter", cast("parametrize.ParametrizationList", parametrizations[self.attribute]).original)

    @property
    def wrapped(self) -> bool:
        """Whether any parametrization is registered here."""
        return parametrize.is_parametrized(self.owner, self.attribute)

    def wrap(self, parametrization: nn.Module) -> None:
        """Register ``parametrization``, in place of what this package registered before (whose result stays)."""
        self.unwrap()
        parametrize.register_parametrization(self.owner, self.attribute, parametrization)

    def unwrap(self) -> None:
        """Leave the result of the parametrization as an ordinary parameter."""
        if self.wrapped:
            parametrize.remove_parametrizations(self.owner, self.attribute, leave_parametrized=True)

    def find(self, kind: type[P]) -> P | None:
        """The parametrization of type ``kind`` registered here, if there is one."""
        if not self.wrapped:
            return None
        parametrizations = cast("nn.ModuleDict", self.owner.parametrizations)
        chain = cast("parametrize.ParametrizationList", parametrizations[self.attribute])
        return next((part for part in chain if isinstance(part, kind)), None)


def slots(module: nn.Module, names: Iterable[str] = WEIGHTS) -> list[Slot]:
    """The floating-point parameters of ``module`` whose dotted names fit one of the ``fnmatch`` patterns, in module order.

    A parameter that several layers share is listed once.

    Raises:
        RecipeError: a pattern fits no parameter.
    """
    patterns = [names] if isinstance(names, str) else list(names)
    everything = list(_all(module))
    for pattern in patterns:
        if not any(fnmatchcase(slot.name, pattern) for slot in everything):
            known = ", ".join(slot.name for slot in everything[:5])
            raise RecipeError(f"the pattern {pattern!r} fits no parameter of the module; it has {known}")
    return [slot for slot in everything if any(fnmatchcase(slot.name, pattern) for pattern in patterns)]


def wrapped_tensors(module: nn.Module, kind: type[P]) -> list[tuple[Slot, P]]:
    """The slots of ``module`` that have a parametrization of type ``kind``, with it."""
    found = ((slot, slot.find(kind)) for slot in _all(module))
    return [(slot, part) for slot, part in found if part is not None]


def unwrap(module: nn.Module, names: Iterable[str] = ("*",)) -> None:
    """Leave ordinary parameters in place of the wrapped ones that fit ``names``; the wrappers' results stay.

    Gates that are drawn at random in training are drawn once more: :func:`~.hard_concrete.close_gates` first.

    Raises:
        RecipeError: a pattern fits no parameter.
    """
    for slot in slots(module, names):
        slot.unwrap()


def baked(module: nn.Module) -> nn.Module:
    """A copy of ``module`` in evaluation mode, all its parametrizations (whoever registered them) replaced by their results.

    ``remove_parametrizations`` would not do: a deep copy shares its class, and thus the parametrized attribute, with the
    original.
    """
    plain = copy.deepcopy(module).eval()
    for part in list(plain.modules()):
        if not parametrize.is_parametrized(part):
            continue
        names = list(cast("nn.ModuleDict", part.parametrizations))
        with torch.no_grad():
            results = {name: getattr(part, name).detach().clone() for name in names}
        part.__class__ = type(part).__bases__[0]
        del part.parametrizations
        for name, result in results.items():
            part.register_parameter(name, nn.Parameter(result))
    return plain


def _all(module: nn.Module) -> Iterator[Slot]:
    seen: set[int] = set()
    for prefix, owner in module.named_modules():
        if _inside_parametrization(prefix):
            continue
        attributes = [name for name, _ in owner.named_parameters(recurse=False)]
        if parametrize.is_parametrized(owner):
            attributes += list(cast("nn.ModuleDict", owner.parametrizations))
        for attribute in attributes:
            slot = Slot(f"{prefix}.{attribute}" if prefix else attribute, owner, attribute)
            if slot.original.is_floating_point() and id(slot.original) not in seen:
                seen.add(id(slot.original))
                yield slot


def _inside_parametrization(prefix: str) -> bool:
    return "parametrizations" in prefix.split(".")
