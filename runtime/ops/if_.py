"""A choice between two subgraphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Node
from ._registry import Shaped, operator
from ._shapes import Types, Values
from ._subgraph import Closure, call


def _types(node: Node, types: Types, values: Values) -> list[Shaped | None]:
    """Those of the branch that is taken; where that is not known, those that the branches agree on."""
    taken: list[Any] = [node.attributes["then_branch"], node.attributes["else_branch"]]
    condition = values[0]
    if condition is not None:
        return taken[0 if condition.item() else 1].infer(types[1:], values[1:])
    try:
        found = [branch.infer(types[1:], values[1:]) for branch in taken]
    except PlanError:  # a branch that does not fit these shapes may be one that is never taken
        return [None] * len(node.outputs)
    return [one if one == other else None for one, other in zip(*found, strict=True)]


@operator("If", infer=_types)
def if_(cond: np.ndarray, *captured: np.ndarray, then_branch: Closure, else_branch: Closure) -> tuple[np.ndarray, ...]:
    """The outputs of ``then_branch`` where ``cond`` (one boolean) holds, else of ``else_branch``."""
    if cond.size != 1:
        raise PlanError(f"the condition must be one value, not shape {cond.shape}")
    return tuple(call(then_branch if cond.item() else else_branch, captured))
