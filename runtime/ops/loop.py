"""A subgraph run again and again, its results carried into the next step."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from ...format_spec.graph import Node
from ._registry import Shaped, operator
from ._shapes import Types, Values
from ._subgraph import Closure, Scanned, call, infer_step, split_captured, stack_scanned


def _types(node: Node, types: Types, values: Values) -> list[Shaped | None]:
    """Carried values that keep their type have it; how often something is scanned is known when run."""
    body: Any = node.attributes["body"]
    carried, captured = split_captured(body, types[2:])
    step = [(np.dtype(np.int64), ()), (np.dtype(np.bool_), ())]
    found = infer_step(body, step, carried, captured, split_captured(body, values[2:])[1])
    return found[1 : 1 + len(carried)]


@operator("Loop", infer=_types)
def loop(
    M: np.ndarray | None = None, cond: np.ndarray | None = None, *values: np.ndarray, body: Closure
) -> tuple[np.ndarray, ...]:
    """Run ``body`` (step, condition, carried values) -> (condition, carried values, scanned values).

    At most ``M`` steps, and only while the condition holds (that of the body counts too where ``cond`` is absent, as in ONNX
    Runtime). Returns the last carried values, then each scanned value of all steps along a new first axis.
    """
    carried, captured = split_captured(body, values)
    going = np.array(True) if cond is None else cond.reshape(())
    scanned = Scanned()
    for step in count() if M is None else range(int(M.item())):
        if not going:
            break
        going, *results = call(body, [np.array(step, np.int64), going, *carried, *captured])
        going = going.reshape(())
        scanned.add(results[len(carried) :])
        carried = results[: len(carried)]
    return *carried, *(
        stack_scanned(body, index, [results[index - len(carried) - 1] for results in scanned.steps])
        for index in range(len(carried) + 1, len(body.graph.outputs))
    )
