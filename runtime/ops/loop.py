"""A subgraph run again and again, its results carried into the next step."""

from __future__ import annotations

from itertools import count

import numpy as np

from ...format_spec.graph import Graph
from ._registry import operator
from ._subgraph import Closure, call, graph_of, known_when_run, split_captured, stack_scanned


@operator("Loop", infer=known_when_run)
def loop(M: np.ndarray | None, cond: np.ndarray | None, *values: np.ndarray, body: Graph | Closure) -> tuple[np.ndarray, ...]:
    """Run ``body`` (step, condition, carried values) -> (condition, carried values, scanned values).

    At most ``M`` steps, and only while the condition holds (that of the body counts too where ``cond`` is absent, as in ONNX
    Runtime). Returns the last carried values, then each scanned value of all steps along a new first axis.
    """
    carried, captured = split_captured(body, values)
    going = np.array(True) if cond is None else cond.reshape(())
    scanned: list[list[np.ndarray]] = []
    for step in count() if M is None else range(int(M.item())):
        if not going:
            break
        going, *results = call(body, [np.array(step, np.int64), going, *carried, *captured])
        going = going.reshape(())
        scanned.append(results[len(carried) :])
        carried = results[: len(carried)]
    return *carried, *(
        stack_scanned(body, index, [results[index - len(carried) - 1] for results in scanned])
        for index in range(len(carried) + 1, len(graph_of(body).outputs))
    )
