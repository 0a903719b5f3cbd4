"""Attention that was not a node: where the heads lie in what the plan's node for it reads, as its attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from ....format_spec.graph import Node
from ...ops._shapes import Shape

Weights: TypeAlias = Literal["attention", "softmax", "numbers"]
"""What the weights of a query are that are no numbers, because it sees no key or scores are none: ``attention``, zeros where it
sees no key, as the operator has it; ``softmax``, left as they are; ``numbers``, zeros."""


@dataclass(frozen=True)
class Written:
    """Attention of heads (``stack``), of ``sizes``: queries and keys of each, elements of a query and key, and of a value.

    ``instead`` are what scores become where the mask, a boolean one, holds and where it does not, NaN standing for themselves;
    without it, a mask is added to them. The first heads of queries, keys and values begin after ``starts`` elements of the
    inputs. ``steps`` are the elements from a head to the next along each axis of the stack, then from a row to the next: for
    queries, keys, values and the output.
    """

    stack: Shape
    sizes: tuple[int, int, int, int]
    scale: float
    weights: Weights
    instead: tuple[float, ...]
    starts: tuple[int, ...]
    steps: tuple[int, ...]

    @classmethod
    def of(cls, node: Node) -> Written:
        """That of the plan's node."""
        attributes: Mapping[str, Any] = node.attributes
        return cls(**attributes)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Those of the plan's node: it is none of a graph, the operator has not all of them."""
        return asdict(self)
