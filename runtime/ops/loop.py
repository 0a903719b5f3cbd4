"""A subgraph run again and again, its results carried into the next step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, TypeVar

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Node
from ._registry import Shaped, operator
from ._shapes import Types, Values
from ._subgraph import Closure, Scanned, call, infer_step, split_captured, stack_scanned

T = TypeVar("T")


def _types(node: Node, types: Types, values: Values) -> list[Shaped | None]:
    """Carried values that keep their type have it, and what is scanned has one element for each step, where their number is
    known before the run."""
    body: Any = node.attributes["body"]
    others, captured = split_captured(body, types[2:])
    carried, sequences = _split_sequences(body, others)
    if any(shaped is not None and not shaped[1] for shaped in sequences):
        raise PlanError("a step takes an element of what has no axes")
    elements = [None if shaped is None else (shaped[0], shaped[1][1:]) for shaped in sequences]
    step = [(np.dtype(np.int64), ()), (np.dtype(np.bool_), ())]
    found = infer_step(body, step, carried, [*elements, *captured], split_captured(body, values[2:])[1])[1:]
    scanned, steps = found[len(carried) :], _steps(node, values)
    return found[: len(carried)] + [(s[0], (steps, *s[1])) if s is not None and steps else None for s in scanned]


def _steps(node: Node, values: Values) -> int | None:
    """How many steps there are, where that is known: the body does not ask whether to go on."""
    body: Any = node.attributes["body"]
    graph, (limit, condition) = body.graph, values[:2]
    if limit is None or graph.outputs[0].name != graph.inputs[1].name or (node.inputs[1] and condition is None):
        return None
    return 0 if condition is not None and not condition.item() else max(0, int(limit.item()))


def _split_sequences(body: Closure, others: Sequence[T]) -> tuple[list[T], list[T]]:
    """What is carried, and of what each step takes an element."""
    count = len(others) - body.sequences
    return list(others[:count]), list(others[count:])


@operator("Loop", infer=_types)
def loop(
    M: np.ndarray | None = None, cond: np.ndarray | None = None, *values: np.ndarray, body: Closure
) -> tuple[np.ndarray, ...]:
    """Run ``body`` (step, condition, carried values) -> (condition, carried values, scanned values).

    At most ``M`` steps, and only while the condition holds (that of the body counts too where ``cond`` is absent, as in ONNX
    Runtime). Returns the last carried values, then each scanned value of all steps along a new first axis.
    """
    others, captured = split_captured(body, values)
    carried, sequences = _split_sequences(body, others)
    going = np.array(True) if cond is None else cond.reshape(())
    scanned = Scanned()
    for step in count() if M is None else range(int(M.item())):
        if not going:
            break
        elements = [sequence[step, ...] for sequence in sequences]
        going, *results = call(body, [np.array(step, np.int64), going, *carried, *elements, *captured])
        going = going.reshape(())
        scanned.add(results[len(carried) :])
        carried = results[: len(carried)]
    return *carried, *(
        stack_scanned(body, index, [results[index - len(carried) - 1] for results in scanned.steps])
        for index in range(len(carried) + 1, len(body.graph.outputs))
    )
