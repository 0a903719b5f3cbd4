"""Which tensors of a graph a recipe touches, and how."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from ..format_spec.errors import RecipeError
from ..format_spec.graph import Graph, Node, Tensor
from ..runtime.ops._registry import find_operator
from ._checks import listed
from .recipe import KEEP, Layer, Recipe

Kind: TypeAlias = Literal["conv", "fc", "table"]
"""Convolution, fully connected (also recurrent), or a table whose rows are looked up."""

_KINDS: tuple[Kind, ...] = ("conv", "fc", "table")

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_REARRANGING = frozenset({"Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze"})
_SOME_RANK = 3
_LOOKUPS = frozenset({"Gather"})
_FLOATS = frozenset({"float16", "float32", "float64"})


@dataclass(frozen=True)
class Weight:
    """A weight matrix of a graph: which axes are its rows, and the kind of layer that reads it."""

    row_axes: tuple[int, ...]
    kind: Kind


@dataclass(frozen=True)
class Target:
    """A weight tensor and what the recipe does to it."""

    weight: Weight
    layer: Layer


def find_weights(graph: Graph) -> dict[str, Weight]:
    """The weight matrices among the initializers of ``graph`` and its subgraphs, by name.

    A weight is an initializer of rank 2 or more, of any type, that only weight inputs read, and all of them with the
    same rows: directly, or rearranged first (torch transposes the weights of its linear layers, and cuts and joins those of
    its recurrent ones). When their kinds differ, the first of :data:`Kind` counts. Where there are no nodes to tell, tensors
    are taken for torch's: rows first, a convolution from rank 3 on.

    Raises:
        UnsupportedOperator: the runtime does not know an operator of the graph.
    """
    tensors = _initializers(graph)
    if not graph.nodes and not graph.outputs:
        return {name: Weight((0,), "conv" if len(t.shape) > 2 else "fc") for name, t in tensors.items() if len(t.shape) > 1}
    uses = _Uses(graph)
    agreed = {name: _agreed(uses.of(name, len(t.shape))) for name, t in tensors.items() if len(t.shape) > 1}
    return {name: weight for name, weight in agreed.items() if weight is not None}


def find_targets(graph: Graph, recipe: Recipe) -> dict[str, Target]:
    """The tensors that ``recipe`` may change, in the graph's order, with the policy of each (see :class:`~.recipe.Recipe`).

    A tensor whose policy keeps it is left out.

    Raises:
        RecipeError: a rule's pattern fits no tensor that a recipe can change.
        UnsupportedOperator: the runtime does not know an operator of the graph.
    """
    tensors = _initializers(graph)
    weights = {
        name: weight
        for name, weight in find_weights(graph).items()
        if tensors[name].dtype.name in _FLOATS and tensors[name].size >= recipe.min_size
    }
    for pattern, _ in recipe.rules:
        _check_pattern(pattern, recipe.min_size, weights, tensors)
    targets = {name: Target(weight, _policy(recipe, name, weight.kind)) for name, weight in weights.items()}
    return {name: target for name, target in targets.items() if not target.layer.keeps}


def fits(pattern: str, name: str) -> bool:
    """Whether ``pattern`` is ``name`` or matches it as ``fnmatch`` does, upper and lower case told apart."""
    return pattern == name or fnmatchcase(name, pattern)


def _initializers(graph: Graph) -> dict[str, Tensor]:
    return dict(_walk_initializers(graph))


def _walk_initializers(graph: Graph) -> Iterator[tuple[str, Tensor]]:
    for part in (graph, *graph.subgraphs()):
        yield from part.initializers.items()


class _Uses:
    """How the nodes of a graph and its subgraphs see its tensors."""

    def __init__(self, graph: Graph) -> None:
        self._readers: dict[str, list[tuple[Node, int]]] = {}
        self._fixed: set[str] = set()
        self._open: set[str] = set()
        for part in (graph, *graph.subgraphs()):
            self._fixed |= {value.name for value in (*part.inputs, *part.outputs)}
            for name, readers in part.consumers().items():
                self._readers.setdefault(name, []).extend(readers)

    def of(self, name: str, rank: int) -> set[Weight | None]:
        """The views of the value called ``name``, of ``rank`` axes; ``None`` for each use that is not a weight's."""
        if name in self._fixed or name in self._open:
            return {None}
        self._open.add(name)
        views = set[Weight | None]().union(*(self._view(node, index, rank) for node, index in self._readers.get(name, ())))
        self._open.discard(name)
        return views

    def _view(self, node: Node, index: int, rank: int) -> set[Weight | None]:
        if node.op_type == "Transpose" and rank > 1:
            permutation = node.attribute("perm", tuple(reversed(range(rank))))
            views = self.of(node.outputs[0], len(permutation))
            return {view and Weight(tuple(sorted(permutation[a] for a in view.row_axes)), view.kind) for view in views}
        if node.op_type == "Concat" or (node.op_type in _REARRANGING and index == 0):
            # Axes have come and gone: the rows are taken to be the first axis, as torch has them.
            return {view and Weight((0,), view.kind) for view in self.of(node.outputs[0], _SOME_RANK)}
        return {_weight(node, index, rank)}


def _weight(node: Node, index: int, rank: int) -> Weight | None:
    """How ``node`` sees its input ``index``, or ``None`` when that is not a weight matrix."""
    row_axes = find_operator(node).weights.get(index)
    if row_axes is None or rank < 2:
        return None
    kind = "conv" if node.op_type in _CONVOLUTIONS else "table" if node.op_type in _LOOKUPS else "fc"
    return Weight(row_axes(node, rank), kind)


def _agreed(views: Collection[Weight | None]) -> Weight | None:
    """The one view that all readers of a tensor share, if they do."""
    weights = [view for view in views if view is not None]
    if len(weights) != len(views) or len({weight.row_axes for weight in weights}) != 1:
        return None
    return min(weights, key=lambda weight: _KINDS.index(weight.kind))


def _policy(recipe: Recipe, name: str, kind: Kind) -> Layer:
    matching = [layer for pattern, layer in recipe.rules if fits(pattern, name)]
    return matching[-1] if matching else {"conv": recipe.conv, "fc": recipe.fc}.get(kind, KEEP)


def _check_pattern(pattern: str, min_size: int, weights: Mapping[str, Weight], tensors: Mapping[str, Tensor]) -> None:
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
