"""The graph that a file holds: ONNX operators with ONNX semantics at one pinned opset of the default domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from .printable import printable
from .tensors import DenseTensor, SharedTensor

OPSET = 26
"""The opset of the default ONNX domain whose semantics every graph in a file follows."""

Dimension: TypeAlias = int | str | None
"""A static size, the name of a symbolic one, or ``None`` when nothing is known."""

Tensor: TypeAlias = DenseTensor | SharedTensor

Attribute: TypeAlias = "int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | np.ndarray | Graph"

LABELLED = 8
"""Outputs by which a node without a name is told, at most."""

EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class TensorType:
    """Element type (a numpy dtype name) and shape; ``shape`` is ``None`` when even the rank is unknown."""

    dtype: str
    shape: tuple[Dimension, ...] | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype}[...]"
        return f"{self.dtype}[{', '.join('?' if d is None else str(d) for d in self.shape)}]"


@dataclass(frozen=True)
class Value:
    """A named input or output of a graph."""

    name: str
    type: TensorType


def signatures(values: Iterable[Value]) -> str:
    """Names and types of inputs or outputs, as in ``x: float32[N, 10], mask: bool[N]``."""
    return ", ".join(f"{value.name}: {value.type}" for value in values)


@dataclass(frozen=True, eq=False)
class Node:
    """One operator application. An absent optional input or output has the empty name, as in ONNX."""

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=lambda: EMPTY)

    def attribute(self, name: str, default: Any = None) -> Any:
        """The attribute called ``name``, or ``default``."""
        return self.attributes.get(name, default)

    @property
    def label(self) -> str:
        """The node's name, or what identifies it when it has none."""
        shown = (*self.outputs[:LABELLED], "...") if len(self.outputs) > LABELLED else self.outputs
        return self.name or f"{self.op_type} -> {', '.join(shown)}"


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """A model: nodes in topological order, and its tensors by name (lazily readable).

    ``metadata`` carries the source's free-form properties. ``opset`` is the opset the nodes follow; the packer writes only
    graphs at :data:`OPSET`.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    initializers: Mapping[str, Tensor] = field(default_factory=lambda: EMPTY)
    metadata: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    opset: int = OPSET

    def __repr__(self) -> str:
        sizes = f"nodes={len(self.nodes)}, tensors={len(self.initializers)}"
        return printable(f"Graph({self.name!r}, {signatures(self.inputs)} -> {signatures(self.outputs)}, {sizes})")

    def subgraphs(self) -> Iterator[Graph]:
        """Every graph held by an attribute of a node, depth first, attributes in the order of their names."""
        for node in self.nodes:
            for _, value in sorted(node.attributes.items()):
                if isinstance(value, Graph):
                    yield value
                    yield from value.subgraphs()


def graphs(graph: Graph) -> Iterator[Graph]:
    """``graph`` and its subgraphs, in the order in which the manifest lists their tensors."""
    yield graph
    yield from graph.subgraphs()
