"""A plan: what a model does for inputs of one set of shapes, with every choice already made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias

import numpy as np

from .step import Step

Kind: TypeAlias = Literal["input", "constant", "output", "arena", "fresh"]
"""Whose memory a value is in: the caller's array, the model's, an array made for the caller, the arena, or its own."""


@dataclass(frozen=True, eq=False)
class Slot:
    """Where one value lives. ``root`` is the slot that owns the memory (itself, unless this is a view); ``offset`` is the
    element of the root at which a view starts, or the byte of the arena at which a root starts. ``shape`` is ``None`` for a
    value whose shape is known only once it has been computed."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...] | None
    kind: Kind
    root: int
    offset: int = 0

    @property
    def bytes(self) -> int:
        """Size of the value; 0 when its shape is not known."""
        return 0 if self.shape is None else prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Row:
    """One line of a plan's listing."""

    index: int
    node: str
    op: str
    kernel: str
    output: str
    macs: int
    density: float
    weight_bytes: int


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """Steps in order, and the slots that they read and write.

    ``inputs`` and ``outputs`` map the graph's names to slots; ``constants`` holds the arrays of constant slots.
    """

    slots: tuple[Slot, ...]
    steps: tuple[Step, ...]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    constants: Mapping[int, np.ndarray]
    arena_bytes: int

    def rows(self) -> Iterator[Row]:
        """The plan as a table: one row a step."""
        for index, step in enumerate(self.steps):
            slot = self.slots[next(i for i in step.outputs if i >= 0)]
            shape = "?" if slot.shape is None else "x".join(map(str, slot.shape)) or "scalar"
            op = " + ".join(node.op_type for node in (step.node, *step.absorbed))
            kernel = step.kernel
            yield Row(
                index,
                step.node.label,
                op,
                kernel.name,
                f"{slot.dtype.name} {shape}",
                kernel.macs,
                kernel.density,
                kernel.weight_bytes,
            )

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [f"{'step':>4}  {'kernel':36} {'output':28} {'MMAC':>9} {'density':>7} {'weights':>11}  node"]
        for r in self.rows():
            figures = f"{r.macs / 1e6:9.2f} {r.density:7.3f} {r.weight_bytes:11,}"
            lines.append(f"{r.index:4}  {r.kernel:36} {r.output:28} {figures}  {r.op}: {r.node}")
        return "\n".join([*lines, f"arena: {self.arena_bytes:,} bytes"])
