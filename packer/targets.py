"""Which tensors of a graph a recipe touches, and how."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from ..format_spec.errors import RecipeError
from ..format_spec.graph import Graph
from ._checks import listed
from .recipe import KEEP, Layer, Recipe
from .weights import Kind, ScopedName, Weight, find_weights, initializers

_FLOATS = frozenset({"float16", "float32", "float64"})


@dataclass(frozen=True)
class Target:
    """A weight tensor and what the recipe does to it."""

    weight: Weight
    layer: Layer


def find_targets(graph: Graph, recipe: Recipe) -> dict[ScopedName, Target]:
    """The tensors that ``recipe`` may change, in the graph's order, with the policy of each (see :class:`~.recipe.Recipe`).

    A tensor whose policy keeps it is left out.

    Raises:
        RecipeError: a rule's pattern fits no tensor that a recipe can change.
        UnsupportedOperator: the runtime does not know an operator of the graph.
    """
    sizes = {scoped: tensor.size for scoped, tensor in initializers(graph) if tensor.dtype.name in _FLOATS}
    weights = {scoped: w for scoped, w in find_weights(graph).items() if sizes.get(scoped, 0) >= recipe.min_size}
    for pattern, _ in recipe.rules:
        _check_pattern(pattern, recipe.min_size, _names(weights), _names(scoped for scoped, _ in initializers(graph)))
    targets = {scoped: Target(weight, _policy(recipe, scoped[1], weight.kind)) for scoped, weight in weights.items()}
    return {scoped: target for scoped, target in targets.items() if not target.layer.keeps}


def fits(pattern: str, name: str) -> bool:
    """Whether ``pattern`` is ``name`` or matches it as ``fnmatch`` does, upper and lower case told apart."""
    return pattern == name or fnmatchcase(name, pattern)


def _names(scoped: Iterable[ScopedName]) -> list[str]:
    """The names of ``scoped``, each once: a rule's pattern does not tell subgraphs apart."""
    return list(dict.fromkeys(name for _, name in scoped))


def _policy(recipe: Recipe, name: str, kind: Kind) -> Layer:
    matching = [layer for pattern, layer in recipe.rules if fits(pattern, name)]
    return matching[-1] if matching else {"conv": recipe.conv, "fc": recipe.fc}.get(kind, KEEP)


def _check_pattern(pattern: str, min_size: int, weights: Collection[str], tensors: Collection[str]) -> None:
    if any(fits(pattern, name) for name in weights):
        return
    others = [name for name in tensors if fits(pattern, name)]
    if others:
        raise RecipeError(
            f"rules: the pattern {pattern!r} fits only tensors that a recipe leaves alone ({listed(others[:3])}): "
            f"a weight is a float input of a layer, of rank 2 or more, with at least min_size = {min_size} elements"
        )
    close = get_close_matches(pattern, weights, 3, 0.4) or list(weights)[:3]
    hint = f"; close are {listed(close)}" if close else "; this model has no weights that a recipe can change"
    raise RecipeError(f"rules: the pattern {pattern!r} fits no tensor{hint}")
