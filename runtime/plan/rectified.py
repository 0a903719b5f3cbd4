"""Which values come from a rectifier, so that kernels may expect zeros in them."""

from __future__ import annotations

from collections.abc import Sequence

from .fusion import Draft

KEEP_ZEROS = frozenset({"MaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Transpose", "Concat"})
"""Operators whose outputs have about as many zeros as their inputs."""


def rectified(drafts: Sequence[Draft]) -> frozenset[str]:
    """Names of values that a rectifier made: directly, or through operators that move or select elements."""
    found: set[str] = set()
    for draft in drafts:
        kept = draft.node.op_type in KEEP_ZEROS and draft.node.inputs[0] in found
        if draft.node.op_type == "Relu" or (draft.epilogue.low == 0 and not draft.epilogue.gate) or kept:
            found.update(draft.outputs)
    return frozenset(found)
