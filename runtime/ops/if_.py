"""A choice between two subgraphs."""

from __future__ import annotations

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Graph
from ._registry import operator
from ._subgraph import Closure, call, known_when_run


@operator("If", infer=known_when_run)
def if_(
    cond: np.ndarray, *captured: np.ndarray, then_branch: Graph | Closure, else_branch: Graph | Closure
) -> tuple[np.ndarray, ...]:
    """The outputs of ``then_branch`` where ``cond`` (one boolean) holds, else of ``else_branch``."""
    if cond.size != 1:
        raise PlanError(f"the condition must be one value, not shape {cond.shape}")
    return tuple(call(then_branch if cond.item() else else_branch, captured))
