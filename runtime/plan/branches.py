"""An If whose branches are machine code: their orders follow one another, and those of the branch that is not taken are left
out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..kernels.site import Kernel, Site
from ..kernels.strided.loop import copier
from ..kernels.strided.walk import View, walk
from ..ops import Closure, find_operator
from ..orders.order import ORDER, Arrays, present, unless
from ..orders.shared import Shared
from .execute import Execution, owners
from .plan import Plan

NO_ORDERS = np.zeros((0, ORDER), np.int64)


@dataclass(frozen=True, eq=False)
class _Branch:
    """The plan of a branch, its names of what it captures, and of the outputs that are wanted of it, by their numbers; and what
    copies each of these where it is some other value."""

    plan: Plan
    captured: Sequence[str]
    wanted: Mapping[int, str]
    copies: Mapping[str, Shared]

    def orders(self, captured: Arrays, outputs: Arrays, memory: np.ndarray) -> np.ndarray:
        """What carries it out, for the values that it captures, into ``outputs``, in ``memory``."""
        given = {name: present(array) for name, array in zip(self.captured, captured, strict=True)}
        out = {name: present(outputs[i]) for i, name in self.wanted.items()}
        made, others = Execution(self.plan, memory=memory).orders(given, out)
        copied = [self.copies[name].order(x, out[name], out[name], memory)[None] for name, x in others.items() if x.size]
        return np.concatenate([NO_ORDERS, *made, *copied])


def branching_kernel(site: Site) -> Kernel | None:
    """A kernel for an If whose condition is one boolean; ``None`` where a branch is more than machine code, or too large to be
    prepared in vain."""
    node, condition = site.node, site.type(0)
    if condition is None or condition[0] != np.bool_ or prod(condition[1]) != 1:
        return None
    bodies: list[Any] = [node.attributes["then_branch"], node.attributes["else_branch"]]
    taken, other = (_branch(site, body) for body in bodies)
    if taken is None or other is None:
        return None

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        condition, *captured = inputs
        parts = []
        for branch in (taken, other):
            made = branch.orders(captured, outputs, scratch)
            parts += [unless(present(condition), branch is taken, len(made))[None], made]
        return np.concatenate(parts)

    def refuse(*inputs: np.ndarray) -> None:
        find_operator(node)(*inputs, **node.attributes)

    scratch = max(taken.plan.arena_bytes, other.plan.arena_bytes)
    return Kernel.of_orders("branches", orders, reads=tuple(range(len(node.inputs))), scratch=scratch, refusal=refuse)


def _branch(site: Site, closure: Closure) -> _Branch | None:
    wanted = {i: closure.graph.outputs[i].name for i, name in enumerate(site.node.outputs) if name}
    plan = closure.planned([present(shaped) for shaped in site.inputs[1:]])
    if plan is None or len({*wanted.values()}) < len(wanted) or "" in owners(plan).values():
        return None
    if any(step.kernel.orders is None for step in plan.steps):
        return None
    copies, types = {}, zip(wanted.values(), site.outputs, strict=True)
    for name, (dtype, shape) in ((name, shaped) for name, shaped in types if prod(shaped[1])):
        loop, whole = copier(dtype), View.whole(shape, dtype.itemsize)
        if loop is None:
            return None
        copies[name] = walk(loop, shape, [whole, whole], 1)
    return _Branch(plan, [value.name for value in closure.graph.inputs], wanted, copies)
