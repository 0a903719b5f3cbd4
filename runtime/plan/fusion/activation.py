"""Conv, Gemm or MatMul + Relu or Clip: bounds on what is stored."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from ....format_spec.graph import Node
from ...kernels.site import Epilogue
from ..facts import Facts
from ._draft import Draft


def absorb_activation(draft: Draft, node: Node, value: str, facts: Facts) -> Epilogue | None:
    """Take in a Relu, or a Clip whose bounds are constant."""
    bounds = _bounds(node, facts) if node.inputs[0] == value else None
    if bounds is None:
        return None
    low, high = bounds
    old = draft.epilogue
    return replace(old, low=min(max(old.low, low), high), high=min(max(old.high, low), high))


def _bounds(node: Node, facts: Facts) -> tuple[float, float] | None:
    if node.op_type == "Relu":
        return 0.0, inf
    if node.op_type != "Clip":
        return None
    bounds = [-inf, inf]
    for index, name in enumerate(node.inputs[1:3]):
        if name:
            bound = facts.array(name)
            if bound is None or bound.size != 1:
                return None
            bounds[index] = float(bound.reshape(()))
    return bounds[0], bounds[1]
