"""Small random models over the operator set, each run by ONNX Runtime and, converted, packed and loaded, by this project."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tersor.converters import from_onnx
from tersor.packer import pack
from tersor.runtime import load

from . import control, elementwise, integers, layers, movement
from .builder import Builder, Draw, Rule

TOLERANCE = 2e-4

RULES: tuple[Rule, ...] = tuple(rule for room in (control, elementwise, integers, layers, movement) for rule in room.RULES)


def build(draw: Draw, seed: int) -> Builder:
    """A graph of up to eight nodes."""
    b = Builder(draw, np.random.default_rng(seed), (18, 23)[draw(2)])
    rank = 2 + draw(3)
    b.input(b.rng.standard_normal([1 + draw(3), *(2 + draw(6) for _ in range(rank - 1))]).astype(np.float32))
    for _ in range(1 + draw(8)):
        b.pick(RULES)(b)
    return b


def check(b: Builder, path: Path) -> None:
    """Pack the graph, run it, and compare every value that no node reads, and one that some do."""
    read = {name for node in b.nodes for name in node.input}
    wanted = [v for v in b.values if v.name not in b.inputs and (v.name not in read or v.name == b.values[-1].name)]
    pack(from_onnx(b.whole(wanted)), path, threads=1)
    with load(path.read_bytes(), threads=1) as packed:
        outputs = packed.run(b.inputs)
    scale = max([1.0, *(float(np.abs(v.array).max(initial=0)) for v in b.values if v.array.dtype.kind == "f")])
    for value in wanted:
        found = outputs[value.name]
        assert (found.dtype, found.shape) == (value.array.dtype, value.array.shape)
        if found.dtype.kind in "iu":  # ONNX Runtime rescales in float32, the definition's product may lie on the other side
            assert np.abs(found.astype(np.int64) - value.array).max(initial=0) <= (0 if value.exact else 1)
        else:
            np.testing.assert_allclose(found, value.array, rtol=TOLERANCE, atol=TOLERANCE * scale)
