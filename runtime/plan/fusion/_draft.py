"""A node on its way to becoming a step, with what has been fused into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ....format_spec.graph import Node
from ..facts import Facts
from ..step import CHANNEL_AXIS, PLAIN, Epilogue


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
    shaped = facts.type(draft.outputs[0])
    assert shaped is not None
    rank = len(shaped[1])
    axis = CHANNEL_AXIS[draft.node.op_type] % rank
    return rank, axis, shaped[1][axis]


def scaled(epilogue: Epilogue, scale: np.ndarray, shift: np.ndarray, count: int) -> Epilogue | None:
    """``epilogue`` followed by ``r * scale + shift``, each one number or ``(count,)``, in float64; ``None`` where a scale is
    not finite, in float32 either, in which kernels scale: 0 times infinity is no number."""
    if not np.all(np.isfinite(scale)):
        return None
    old_scale = np.ones(count) if epilogue.scale is None else epilogue.scale
    old_shift = np.zeros(count) if epilogue.shift is None else epilogue.shift
    with np.errstate(over="ignore"):
        finite = np.all(np.isfinite(np.asarray(old_scale * scale, np.float32)))
    return Epilogue(scale=old_scale * scale, shift=old_shift * scale + shift) if finite else None
