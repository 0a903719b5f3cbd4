"""HardSigmoid and HardSwish that an exporter wrote out, read as the operators that they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose

import numpy as np

from ....format_spec.graph import Node
from ._product import CLOSE, factors, product
from ._surroundings import Reading, Surroundings

SLOPE, OFFSET, DEEP = 1 / 6, 0.5, 2
"""Of the ramp that HardSwish multiplies by; products that are looked through for a ramp, one in the other."""


@dataclass(frozen=True, eq=False)
class _Ramp:
    """``nodes``, the last one first, compute ``slope * x + offset``, kept between 0 and ``top``."""

    x: str
    slope: float
    offset: float
    top: float
    nodes: tuple[Node, ...]

    def times(self, number: float) -> tuple[float, float] | None:
        """Slope and offset of ``number`` times this, if that goes up to 1; with a large offset it is rounded otherwise."""
        slope, offset = self.slope * number, self.offset * number
        return (slope, offset) if isclose(self.top * number, 1, rel_tol=CLOSE) and abs(offset) <= 1 else None


def read_hard(node: Node, around: Surroundings) -> Reading | None:
    """The HardSwish or HardSigmoid of float32 that ends with ``node``: a sum within bounds, times a number and perhaps x."""
    if node.op_type not in ("Mul", "Div", "Clip"):
        return None
    gates = [node] if node.op_type == "Clip" else factors(node, around, DEEP, "Clip", "HardSigmoid")
    for gate in gates:
        for ramp in _ramps(gate, around):
            shaped = around.facts.type(ramp.x)
            if shaped is not None and shaped[0] == np.float32 and around.same(ramp.x, node.outputs[0]):
                found = _read(node, gate, ramp, around)
                if found is not None:
                    return found
    return None


def _read(node: Node, gate: Node, ramp: _Ramp, around: Surroundings) -> Reading | None:
    """The Reading that ends with ``node``, which multiplies what ``gate`` computes, ``ramp``."""
    found = product(node.outputs[0], (ramp.x, gate.outputs[0]), around)
    scaled = None if found is None else ramp.times(found.number)
    if found is None or scaled is None:
        return None
    nodes = tuple(dict.fromkeys((*found.nodes, *ramp.nodes)))
    if found.names == {ramp.x: 1, gate.outputs[0]: 1}:
        hard = all(isclose(*pair, rel_tol=CLOSE) for pair in zip(scaled, (SLOPE, OFFSET), strict=True))
        return Reading(Node("HardSwish", node.name, (ramp.x,), node.outputs), nodes) if hard else None
    if found.names != {gate.outputs[0]: 1}:
        return None
    slope, offset = scaled
    return Reading(Node("HardSigmoid", node.name, (ramp.x,), node.outputs, {"alpha": slope, "beta": offset}), nodes)


def _ramps(gate: Node, around: Surroundings) -> Iterator[_Ramp]:
    """What ``gate`` may be: a HardSigmoid, or a sum within bounds."""
    if gate.op_type == "HardSigmoid":
        yield _Ramp(gate.inputs[0], gate.attribute("alpha", 0.2), gate.attribute("beta", 0.5), 1.0, (gate,))
        return
    bounds = [around.number(name) for name in gate.inputs[1:]]
    sum_ = around.by(gate.inputs[0], "Add") if len(bounds) == 2 and bounds[0] == 0 else None
    if sum_ is None or bounds[1] is None or not bounds[1] > 0:
        return
    for value, number in (sum_.inputs, sum_.inputs[::-1]):
        offset, scaled = around.number(number), around.scaled(value)
        if offset is not None and scaled is not None:
            yield _Ramp(scaled[0], scaled[1], offset, bounds[1], (gate, sum_, around.producer[value]))
        if offset is not None:
            yield _Ramp(value, 1.0, offset, bounds[1], (gate, sum_))
