"""Which tensors of a module are trained under a parametrization, and how to reach them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ...format_spec.errors import RecipeError

P = TypeVar("P", bound=nn.Module)
T = TypeVar("T")

WEIGHTS = ("*weight",)
"""Patterns that fit the weights of torch's own layers, and not their biases."""

EVERYTHING = ("*",)


class Wrapper(nn.Module):
    """A parametrization of this package, that may take another's place. Those that others register are theirs."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where a parameter hangs: ``name`` is its dotted name in the module that was searched, wrapped or not."""

    name: str
    owner: nn.Module
    attribute: str

    @property
    def chain(self) -> parametrize.ParametrizationList | None:
        """The parametrizations registered here."""
        if not parametrize.is_parametrized(self.owner, self.attribute):
            return None
        parametrizations = cast("nn.ModuleDict", self.owner.parametrizations)
        return cast("parametrize.ParametrizationList", parametrizations[self.attribute])

    @property
    def foreign(self) -> bool:
        """Whether somebody else's parametrization is registered here."""
        return any(not isinstance(part, Wrapper) for part in self.chain or ())

    @property
    def original(self) -> nn.Parameter:
        """The parameter that an optimiser moves."""
        chain = self.chain
        return getattr(self.owner, self.attribute) if chain is None else cast("nn.Parameter", chain.original)


@dataclass(frozen=True, eq=False)
class Slot:
    """A parameter, and every place where it hangs: one, or several when layers are tied."""

    places: tuple[Place, ...]

    @property
    def name(self) -> str:
        """The dotted name of the first place."""
        return self.places[0].name

    @property
    def tensor(self) -> Tensor:
        """What the layers compute with: the parametrization's result, or the parameter itself."""
        return getattr(self.places[0].owner, self.places[0].attribute)

    @property
    def original(self) -> nn.Parameter:
        """The parameter that an optimiser moves."""
        return self.places[0].original

    @property
    def wrapped(self) -> bool:
        """Whether any parametrization is registered here."""
        return self.places[0].chain is not None

    def fits(self, pattern: str) -> bool:
        """Whether one of its names fits the ``fnmatch`` pattern."""
        return any(fnmatchcase(place.name, pattern) for place in self.places)

    def wrap(self, parametrization: Wrapper) -> None:
        """Register ``parametrization`` at every place, instead of what this package registered before (whose result stays)."""
        self.unwrap()
        for place in self.places:
            parametrize.register_parametrization(place.owner, place.attribute, parametrization)

    def unwrap(self) -> None:
        """Leave the result of the parametrization as an ordinary parameter, the same at every place."""
        result_stored = False
        for place in self.places:
            if place.chain is not None:
                _own_class(place.owner)
                # The parameter takes the result once: gates would be applied to it again at the next place.
                parametrize.remove_parametrizations(place.owner, place.attribute, leave_parametrized=not result_stored)
                result_stored = True

    def find(self, kind: type[P]) -> P | None:
        """The parametrization of type ``kind`` registered here, if there is one."""
        return next((part for part in self.places[0].chain or () if isinstance(part, kind)), None)


def slots(module: nn.Module, names: Iterable[str] = WEIGHTS) -> list[Slot]:
    """The floating-point parameters of ``module`` whose dotted names fit one of the ``fnmatch`` patterns, in module order.

    A parameter that several layers share is listed once, and found by each of its names.

    Raises:
        RecipeError: a pattern fits no parameter, or one with a parametrization that is not this package's.
    """
    patterns = [names] if isinstance(names, str) else list(names)
    for place in _places(module):
        if place.foreign and any(fnmatchcase(place.name, pattern) for pattern in patterns):
            kinds = ", ".join(type(part).__name__ for part in place.chain or ())
            raise RecipeError(
                f"{place.name!r} has a parametrization already ({kinds}): remove it with torch's remove_parametrizations, "
                "or give patterns that leave this parameter out"
            )
    everything = list(_all(module))
    for pattern in patterns:
        if not any(slot.fits(pattern) for slot in everything):
            known = ", ".join(slot.name for slot in everything[:5])
            raise RecipeError(f"the pattern {pattern!r} fits no parameter of the module; it has {known}")
    return [slot for slot in everything if any(slot.fits(pattern) for pattern in patterns)]


def choose(module: nn.Module, values: Mapping[str, T]) -> list[tuple[Slot, T]]:
    """The slots that fit the patterns of ``values``, each with the value of the last pattern that it fits.

    Raises:
        RecipeError: as :func:`slots` does.
    """
    chosen: dict[str, tuple[Slot, T]] = {}
    for pattern, value in values.items():
        chosen |= {slot.name: (slot, value) for slot in slots(module, [pattern])}
    return list(chosen.values())


def wrapped_tensors(module: nn.Module, kind: type[P]) -> list[tuple[Slot, P]]:
    """The slots of ``module`` that have a parametrization of type ``kind``, with it."""
    found = ((slot, slot.find(kind)) for slot in _all(module))
    return [(slot, part) for slot, part in found if part is not None]


def unwrap(module: nn.Module, names: Iterable[str] = EVERYTHING) -> None:
    """Leave ordinary parameters in place of the wrapped ones that fit ``names``; the wrappers' results stay.

    Gates that are drawn at random in training are drawn once more: :func:`~.hard_concrete.close_gates` first. By default the
    parametrizations that others registered stay.

    Raises:
        RecipeError: a pattern fits no parameter, or one with a parametrization that is not this package's.
    """
    for slot in _all(module) if names == EVERYTHING else slots(module, names):
        slot.unwrap()


def baked(module: nn.Module) -> nn.Module:
    """A copy of ``module`` in evaluation mode, all its parametrizations (whoever registered them) replaced by their results.

    ``remove_parametrizations`` would not do: the parametrizations of others may refuse it.
    """
    _refresh_flat_weights(module)
    plain = copy.deepcopy(module).eval()
    wrapped = [part for part in plain.modules() if parametrize.is_parametrized(part)]
    results: dict[tuple[int, ...], nn.Parameter] = {}  # tied layers stay tied
    baked_parts = [(part, _results(part, results)) for part in wrapped]
    for part, parameters in baked_parts:
        part.__class__ = type(part).__bases__[0]
        del part.parametrizations
        for name, parameter in parameters.items():
            part.register_parameter(name, parameter)
    _refresh_flat_weights(plain)
    return plain


def _own_class(owner: nn.Module) -> None:
    """Give ``owner`` the class that it has to itself: a deep copy shares it, and with it the parametrized attribute."""
    kind = type(owner)
    owner.__class__ = cast("type[nn.Module]", type(kind.__name__, kind.__bases__, dict(kind.__dict__)))


def _refresh_flat_weights(module: nn.Module) -> None:
    """Let recurrent layers list their weights anew: results of the last pass are listed, of which no copy can be made."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.RNNBase):
                part._init_flat_weights()


def _results(part: nn.Module, known: dict[tuple[int, ...], nn.Parameter]) -> dict[str, nn.Parameter]:
    """What the parametrizations of ``part`` give, by attribute; ``known`` is by parameters and parametrizations."""
    found: dict[str, nn.Parameter] = {}
    for name, chain in cast("nn.ModuleDict", part.parametrizations).items():
        chain = cast("parametrize.ParametrizationList", chain)
        key = tuple(map(id, (*chain.parameters(recurse=False), *chain)))
        if key not in known:
            with torch.no_grad():
                known[key] = nn.Parameter(getattr(part, name).detach().clone())
        found[name] = known[key]
    return found


def _all(module: nn.Module) -> Iterator[Slot]:
    """The floating-point parameters without parametrizations of others."""
    places: dict[int, list[Place]] = {}
    for place in _places(module):
        if not place.foreign and place.original.is_floating_point():
            places.setdefault(id(place.original), []).append(place)
    return (Slot(tuple(found)) for found in places.values())


def _places(module: nn.Module) -> Iterator[Place]:
    for prefix, owner in module.named_modules():
        if _inside_parametrization(prefix):
            continue
        attributes = [name for name, _ in owner.named_parameters(recurse=False, remove_duplicate=False)]
        if parametrize.is_parametrized(owner):
            attributes += list(cast("nn.ModuleDict", owner.parametrizations))
        for attribute in attributes:
            yield Place(f"{prefix}.{attribute}" if prefix else attribute, owner, attribute)


def _inside_parametrization(prefix: str) -> bool:
    return "parametrizations" in prefix.split(".")
