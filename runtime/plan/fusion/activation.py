"""Conv, Gemm or MatMul + an activation: bounds on what is stored, or a gate that it passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import numpy as np

from ....format_spec.graph import Node
from ...kernels.site import Epilogue
from ..facts import Facts
from ._draft import TINY, Draft, channels, scaled

STEEP = float(np.finfo(np.float32).max)
"""The slope of a gate that is open, or closed, for every number that float32 holds with all its digits."""

NOTHING = -0.0
"""Added to a number, it leaves all of them as they are, zeros and their signs included."""


def absorb_activation(draft: Draft, node: Node, value: str, facts: Facts) -> Epilogue | None:
    """Take in a Relu, a Clip whose bounds are constant, or, behind none of them, a function that is a gate of the result."""
    old = draft.epilogue
    if node.inputs[0] != value or old.gate:
        return None
    if node.op_type == "HardSigmoid" and not (old.clips or old.residual):
        return _ramp(draft, node, facts)
    bounds, gate = _bounds(node, facts), None if old.clips else _gate(node, facts)
    if bounds is not None:
        low, high = bounds
        return replace(old, low=min(max(old.low, low), high), high=min(max(old.high, low), high))
    return None if gate is None else replace(old, low=gate[0], high=gate[1], gate=gate[2:])


def _bounds(node: Node, facts: Facts) -> tuple[float, float] | None:
    if node.op_type == "Relu":
        return 0.0, inf
    if node.op_type != "Clip":
        return None
    bounds = [-inf, inf]
    for index, name in enumerate(node.inputs[1:3]):
        if name:
            bound = _number(name, facts)
            if bound is None:
                return None
            bounds[index] = bound
    return bounds[0], bounds[1]


def _number(name: str, facts: Facts) -> float | None:
    array = facts.array(name)
    return None if array is None or array.size != 1 else float(array.reshape(()))


def _gate(node: Node, facts: Facts) -> tuple[float, float, float, float, float] | None:
    """Low, high and the numbers of the gate that an activation is."""
    if node.op_type == "HardSwish":
        return 0.0, 1.0, 1 / 6, 0.5, NOTHING
    slope = node.attribute("alpha", 0.01) if node.op_type == "LeakyRelu" else None
    if node.op_type == "PRelu" and facts.constant(node.inputs[1]):
        slope = _number(node.inputs[1], facts)
    return (slope, 1.0, STEEP, 0.0, NOTHING) if slope is not None and -1 <= slope <= 1 else None


def _ramp(draft: Draft, node: Node, facts: Facts) -> Epilogue | None:
    """A HardSigmoid: a scale, a shift and bounds."""
    slope, offset = (np.array([node.attribute(name, default)]) for name, default in (("alpha", 0.2), ("beta", 0.5)))
    _, _, count = channels(draft, facts)
    ramp = scaled(draft, slope, offset, count, facts)
    return None if ramp is None else replace(ramp, low=0.0, high=1.0)


def gate_times(old: Epilogue, factor: float, summand: float) -> Epilogue | None:
    """``old``, whose results pass a gate, times ``factor`` plus ``summand``: those are numbers of the gate, too.

    ``None`` where float32 does not hold one of them, or not with all its digits.
    """
    assert old.gate
    slope, offset, added = old.gate
    low, high = sorted((old.low * factor, old.high * factor))
    gate = slope * factor, offset * factor, NOTHING if added == summand == 0 else added * factor + summand
    return replace(old, low=low, high=high, gate=gate) if _held((low, high, *gate)) else None


def _held(numbers: Sequence[float]) -> bool:
    with np.errstate(over="ignore", under="ignore"):
        size = np.abs(np.array(numbers).astype(np.float32))
    whole = np.isfinite(size) & ((size >= TINY) | (np.array(numbers) == 0))
    return bool(np.all(whole))
