"""Steps of a plan: a kernel, and where its inputs and outputs are."""

from __future__ import annotations

from dataclasses import dataclass

from ...format_spec.graph import Node
from ..kernels.site import Kernel


@dataclass(frozen=True, eq=False)
class Step:
    """A kernel bound to the slots of a plan.

    ``inputs`` and ``outputs`` index the plan's slots, -1 for an absent one. ``absorbed`` are the nodes whose work the kernel's
    epilogue does. ``scratch`` is the byte offset of the kernel's scratch memory in the arena.
    """

    node: Node
    kernel: Kernel
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    absorbed: tuple[Node, ...] = ()
    scratch: int = 0
