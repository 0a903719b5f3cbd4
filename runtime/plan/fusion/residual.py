"""Conv, Gemm or MatMul + Add of another value of the same shape (a shortcut connection)."""

from __future__ import annotations

from dataclasses import replace

from ....format_spec.graph import Node
from ...kernels.site import Epilogue
from ..facts import Facts
from ._draft import Draft


def absorb_residual(draft: Draft, node: Node, value: str, facts: Facts) -> Epilogue | None:
    """Take in the addition of a value of the draft's own output type."""
    if node.op_type not in ("Add", "Sum") or len(node.inputs) != 2 or draft.epilogue.clips or draft.epilogue.residual:
        return None
    other = node.inputs[1] if node.inputs[0] == value else node.inputs[0]
    if other == value or facts.constant(other) or facts.type(other) != facts.type(value):
        return None
    return replace(draft.epilogue, residual=other)
