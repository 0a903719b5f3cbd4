"""A node on its way to becoming a step, with what has been fused into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ....format_spec.graph import Node
from ...kernels.site import CHANNEL_AXIS, PLAIN, Epilogue
from ..facts import Facts


@dataclass(frozen=True, eq=False)
class Draft:
    """``node`` and the nodes that its epilogue replaces; ``outputs`` are the names that the last of them gives."""

    node: Node
    outputs: tuple[str, ...]
    epilogue: Epilogue = PLAIN
    absorbed: tuple[Node, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every value that must exist before this draft runs."""
        residual = (self.epilogue.residual,) if self.epilogue.residual else ()
        return tuple(name for name in self.node.inputs if name) + residual


Rule: TypeAlias = "Callable[[Draft, Node, str, Facts], Epilogue | None]"
"""(producer, consumer, the producer's output that it reads, facts) -> the epilogue that does the consumer's work too."""


def channels(draft: Draft, facts: Facts) -> tuple[int, int, int]:
    """Rank of the draft's output, its channel axis (not negative) and number of channels."""
    _, shape = facts.known_type(draft.outputs[0])
    rank = len(shape)
    axis = CHANNEL_AXIS[draft.node.op_type] % rank
    return rank, axis, shape[axis]


TINY = np.finfo(np.float32).tiny
"""The smallest number that float32 holds with all its digits."""

BIAS = 2
"""The input of a convolution or a Gemm that is added to its sums."""


def scaled(draft: Draft, scale: np.ndarray, shift: np.ndarray, count: int, facts: Facts) -> Epilogue | None:
    """The epilogue of ``draft`` followed by ``r * scale + shift``, each one number or ``(count,)``, in float64.

    ``None`` where numbers that are finite one after the other are not, or vanish, once they are taken together in float32, in
    which kernels scale and shift; and where a scale is not finite: 0 times infinity is no number.
    """
    old = draft.epilogue
    old_scale = np.ones(count) if old.scale is None else old.scale
    old_shift = np.zeros(count) if old.shift is None else old.shift
    with np.errstate(all="ignore"):
        new_scale, new_shift = old_scale * scale, old_shift * scale + shift
        gain, bias = _own_affine(draft, facts)
        held = np.abs(np.asarray(new_scale * gain, np.float32))
        moved = np.asarray(np.abs(new_shift) + np.abs(new_scale) * bias, np.float32)
        spilled = ~np.isfinite(moved) & np.isfinite(old_shift + shift + bias)
        vanished = (held < TINY) & (np.abs(scale) >= TINY) & (np.abs(old_scale) >= TINY)
    whole = np.isfinite(scale) & np.isfinite(held) & ~vanished & ~spilled
    return Epilogue(scale=new_scale, shift=new_shift) if np.all(whole) else None


def _own_affine(draft: Draft, facts: Facts) -> tuple[float, float]:
    """What the node itself multiplies its sums by, and the largest number that it adds, if that is known."""
    node = draft.node
    gain, weight = (node.attribute(name, 1.0) if node.op_type == "Gemm" else 1.0 for name in ("alpha", "beta"))
    name = node.inputs[BIAS] if len(node.inputs) > BIAS and node.op_type != "MatMul" else ""
    bias = facts.array(name) if name and facts.constant(name) else None
    return gain, 0.0 if bias is None else float(np.abs(bias.astype(np.float64)).max(initial=0)) * abs(weight)
