"""What the operators that hold graphs (If, Loop, Scan) share: calling one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Graph
from ._registry import Shaped
from ._room import check_room
from ._shapes import Types, Values

T = TypeVar("T")

Execute: TypeAlias = "Callable[[Sequence[np.ndarray]], list[np.ndarray]]"
"""A value for each input of a graph -> a value for each output."""

InferGraph: TypeAlias = "Callable[[Types, Values], list[Shaped | None]]"
"""Types of a graph's inputs, and their values where known -> types of its outputs, ``None`` where the run decides."""


@dataclass(frozen=True, eq=False)
class Closure:
    """A subgraph that can be called: what it captures from around it has become the last ``captured`` of its inputs.

    The node that holds it has the captured values as its last inputs too. ``graph`` declares the element types and shapes of
    the outputs as far as they are known; ``infer`` finds them for inputs of given types. The node of a Loop has so many
    ``sequences`` before what is captured: each step takes the element of each whose number is that of the step. ``folded``
    gives the values that depend on the graph's tensors alone. ``planned`` makes the plan for
    inputs of given types, where it may be made before the graph is called.
    """

    graph: Graph
    captured: int
    execute: Execute
    infer: InferGraph
    folded: Callable[[], Mapping[str, np.ndarray]]
    planned: Callable[[Sequence[Shaped]], Any | None]
    sequences: int = 0


def call(body: Closure, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of ``body`` for a value of each of its inputs.

    Raises:
        PlanError: another number of values.
    """
    taken = body.graph.inputs
    if len(arguments) != len(taken):
        raise PlanError(f"the subgraph takes {len(taken)} values, not {len(arguments)}")
    return body.execute(arguments)


def split_captured(body: Closure, values: Sequence[T]) -> tuple[list[T], list[T]]:
    """``values`` (or types) without, and then only, those that ``body`` captures."""
    own = len(values) - body.captured
    return list(values[:own]), list(values[own:])


class Scanned:
    """What every step of a loop gives besides what it hands on, for a new axis each.

    ``steps`` are the values of each step, held to what a reference may take: how many there will be, nobody knows before.
    """

    def __init__(self) -> None:
        self.steps: list[Sequence[np.ndarray]] = []
        self._bytes = 0

    def add(self, results: Sequence[np.ndarray]) -> None:
        """Note a step's values.

        Raises:
            LimitError: all of them take more memory than a reference may.
        """
        self.steps.append(results)
        self._bytes += sum(result.nbytes for result in results)
        check_room((self._bytes,), 1)


def stack_scanned(body: Closure, index: int, pieces: Sequence[np.ndarray], axis: int = 0) -> np.ndarray:
    """The values that output ``index`` of ``body`` had in each step along a new axis; as declared when there was no step.

    An undeclared dimension counts as 0, as in ONNX Runtime.

    Raises:
        PlanError: the steps gave different shapes.
    """
    if not pieces:
        declared = body.graph.outputs[index].type
        shape = [d if isinstance(d, int) else 0 for d in declared.shape or ()]
        return np.expand_dims(np.empty(shape, declared.dtype), axis).take([], axis)
    shapes = {piece.shape for piece in pieces}
    if len(shapes) > 1:
        raise PlanError(f"output {index} of the subgraph changes its shape from step to step: {sorted(shapes)}")
    return np.stack(pieces, axis)


def infer_step(body: Closure, first: Types, carried: Types, rest: Types, values: Values) -> list[Shaped | None]:
    """The types of ``body``'s outputs in every step, when it is run again and again: of ``carried`` values, then of others.

    ``first`` and ``rest`` are the types of the inputs before and behind the carried ones; the last of ``rest`` have the known
    ``values``. All are ``None`` where a carried value changes its type, or may.
    """
    unknown: list[np.ndarray | None] = [None] * (len(first) + len(carried) + len(rest) - len(values))
    results = body.infer([*first, *carried, *rest], [*unknown, *values])
    own = results[len(results) - len(body.graph.outputs) :]
    start = 1 if first else 0
    return own if own[start : start + len(carried)] == list(carried) else [None] * len(own)
