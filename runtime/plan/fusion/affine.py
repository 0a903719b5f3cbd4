"""Conv, Gemm or MatMul + Add, Sub, Mul or Div by a constant that is a number or one number per channel."""

from __future__ import annotations

import numpy as np

from ....format_spec.graph import Node
from ...kernels.site import Epilogue
from ..facts import Facts
from ._draft import Draft, channels, scaled
from .activation import gate_times


def absorb_affine(draft: Draft, node: Node, value: str, facts: Facts) -> Epilogue | None:
    """Take in an element-wise operation with a per-channel constant, behind a gate with a number."""
    old = draft.epilogue
    if node.op_type not in ("Add", "Sub", "Mul", "Div") or (not old.gate and (old.clips or old.residual)):
        return None
    left = node.inputs[0] == value
    other = node.inputs[1] if left else node.inputs[0]
    rank, axis, count = channels(draft, facts)
    shaped = facts.type(other)
    if other == value or not facts.constant(other) or shaped is None or not _per_channel(shaped[1], rank, axis, count):
        return None
    constant = np.asarray(facts.array(other), np.float64).reshape(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        affine = _as_affine(node.op_type, left, constant)
    if affine is None:
        return None
    if not old.gate:
        return scaled(draft, *affine, count, facts)
    return gate_times(old, *(part.item() for part in affine)) if constant.size == 1 else None


def _per_channel(shape: tuple[int, ...], rank: int, axis: int, count: int) -> bool:
    if len(shape) > rank:
        return False
    padded = (1,) * (rank - len(shape)) + shape
    return padded[axis] in (1, count) and all(size == 1 for i, size in enumerate(padded) if i != axis)


def _as_affine(op_type: str, left: bool, constant: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    one, zero = np.ones_like(constant), np.zeros_like(constant)
    if op_type == "Add":
        return one, constant
    if op_type == "Sub":
        return (one, -constant) if left else (-one, constant)
    if op_type == "Mul":
        return constant, zero
    return (1 / constant, zero) if left else None
