"""Which tensors of a graph are weights: matrices that its layers read, however rearranged."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..format_spec.graph import Graph, Node, Tensor, graphs
from ..format_spec.model_file import declared
from ..format_spec.records import TensorRecord
from ..runtime.ops import find_operator

Kind: TypeAlias = Literal["conv", "fc", "table"]
"""Convolution, fully connected (also recurrent), or a table whose rows are looked up."""

ScopedName: TypeAlias = tuple[Graph, str]
"""A value: the graph that defines it and its name there. Two branches may give one name to different tensors."""

_KINDS: tuple[Kind, ...] = ("conv", "fc", "table")

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_REARRANGING = frozenset({"Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze"})
_SOME_RANK = 3
_LOOKUPS = frozenset({"Gather"})


@dataclass(frozen=True)
class Weight:
    """A weight matrix of a graph: which axes are its rows, and the kind of layer that reads it."""

    row_axes: tuple[int, ...]
    kind: Kind


def find_weights(graph: Graph) -> dict[ScopedName, Weight]:
    """The weight matrices among the initializers of ``graph`` and its subgraphs.

    A weight is an initializer of rank 2 or more, of any type, that only weight inputs read, and all of them with the
    same rows: directly, or rearranged first (torch transposes the weights of its linear layers, and cuts and joins those of
    its recurrent ones). When their kinds differ, the first of :data:`Kind` counts. Where there are no nodes to tell, tensors
    are taken for torch's: rows first, a convolution from rank 3 on.

    Raises:
        UnsupportedOperator: the runtime does not know an operator of the graph.
    """
    ranks = {scoped: len(tensor.shape) for scoped, tensor in initializers(graph) if len(tensor.shape) > 1}
    if not graph.nodes and not graph.outputs:
        return {scoped: Weight((0,), "conv" if rank > 2 else "fc") for scoped, rank in ranks.items()}
    views = _views(graph, ranks)
    agreed = {scoped: _agreed(views.get(scoped, ())) for scoped in ranks}
    return {scoped: weight for scoped, weight in agreed.items() if weight is not None}


def initializers(graph: Graph) -> Iterator[tuple[ScopedName, Tensor | TensorRecord]]:
    """The tensors of ``graph`` and its subgraphs, in the manifest's order, as :func:`declared`."""
    for part in graphs(graph):
        for name in part.initializers:
            yield (part, name), declared(part.initializers, name)


@dataclass(frozen=True, eq=False)
class _Step:
    """A node, and which value each name that it reads or defines stands for (``None``: an input left out)."""

    node: Node
    inputs: tuple[ScopedName | None, ...]
    outputs: tuple[ScopedName, ...]


class _Flow:
    """The nodes of a graph and its subgraphs, one after the other as they could run, their names resolved.

    ``exposed`` are the values that are seen from outside a graph: its inputs and outputs.
    """

    def __init__(self, graph: Graph) -> None:
        self.steps: list[_Step] = []
        self.exposed: set[ScopedName] = set()
        self._enter(graph, ChainMap())

    def _enter(self, graph: Graph, outer: ChainMap[str, ScopedName]) -> None:
        names = [*(value.name for value in graph.inputs), *graph.initializers]
        scope = outer.new_child({name: (graph, name) for name in names})
        for node in graph.nodes:
            for value in node.attributes.values():
                if isinstance(value, Graph):
                    self._enter(value, scope)
            outputs = {name: (graph, name) for name in node.outputs if name}
            self.steps.append(_Step(node, tuple(map(scope.get, node.inputs)), tuple(outputs.values())))
            scope.update(outputs)
        self.exposed |= {(graph, value.name) for value in graph.inputs}
        self.exposed |= {scope[value.name] for value in graph.outputs if value.name in scope}


def _views(graph: Graph, ranks: Mapping[ScopedName, int]) -> dict[ScopedName, set[Weight | None]]:
    """How weight inputs see the tensors of ``ranks``, directly or rearranged; ``None`` for each use that is not a weight's."""
    flow, ranks = _Flow(graph), dict(ranks)
    for step in flow.steps:
        for index, value in enumerate(step.inputs):
            if value in ranks and (rank := _rearranged_rank(step.node, index, ranks[value])):
                ranks |= dict.fromkeys(step.outputs, rank)
    views: dict[ScopedName, set[Weight | None]] = {value: {None} for value in flow.exposed}
    # Whatever reads a node's output comes after it: the output's views are complete when its inputs' turn has come.
    for step in reversed(flow.steps):
        result = set[Weight | None]().union(*(views.get(value, ()) for value in step.outputs))
        for index, value in enumerate(step.inputs):
            if value in ranks:
                views.setdefault(value, set()).update(_view(step.node, index, ranks[value], result))
    return views


def _rearranged_rank(node: Node, index: int, rank: int) -> int | None:
    """Axes of what ``node`` makes of its input ``index`` of ``rank`` axes, or ``None`` when it does not merely rearrange it."""
    if node.op_type == "Transpose":
        return len(node.attribute("perm", ())) or rank
    return _SOME_RANK if node.op_type == "Concat" or (node.op_type in _REARRANGING and index == 0) else None


def _view(node: Node, index: int, rank: int, result: Set[Weight | None]) -> set[Weight | None]:
    """How ``node``, whose output is seen as ``result`` says, sees its input ``index`` of ``rank`` axes."""
    if _rearranged_rank(node, index, rank) is None:
        return {_weight(node, index, rank)}
    if node.op_type == "Transpose":
        permutation = node.attribute("perm")
        moved = permutation.__getitem__ if permutation else lambda axis: rank - 1 - axis
        return {view and Weight(tuple(sorted(map(moved, view.row_axes))), view.kind) for view in result}
    # Axes have come and gone: the rows are taken to be the first axis, as torch has them.
    return {view and Weight((0,), view.kind) for view in result}


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
