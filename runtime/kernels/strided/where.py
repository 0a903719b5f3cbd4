"""Elements of one array or another, as a third says."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from ...emit.intrinsic import intrinsic, types
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.order import Arrays, present
from ..site import Kernel, Site
from .loop import Loop, copier
from .walk import View, walk


@jit
def chooser(size):
    """Address of a loop, see :class:`.loop.Loop`, that copies chosen elements of ``len(size)`` bytes."""
    return code_of(size, choose)


@jit
def choose(size, operands, count, steps, data):
    """Copy ``x`` to ``y`` where a condition holds: (condition, x, y) are at three addresses at ``operands``."""
    condition, x, y = number_at(operands, 0), number_at(operands, 1), number_at(operands, 2)
    for _ in range(number_at(count, 0)):
        copy_if(size, condition, x, y)
        condition += number_at(steps, 0)
        x += number_at(steps, 1)
        y += number_at(steps, 2)


@intrinsic
def copy_if(typingctx: Any, size: Any, condition: Any, source: Any, target: Any) -> Any:
    """Copy an element if the byte at ``condition`` is not 0."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        kind, flag = ir.IntType(8 * len(size)), ir.IntType(8)
        holds = b.load(b.inttoptr(arguments[1], flag.as_pointer()))
        found, place = (b.inttoptr(address, kind.as_pointer()) for address in arguments[2:])
        chosen = b.select(b.icmp_unsigned("!=", holds, ir.Constant(flag, 0)), b.load(found), b.load(place))
        b.store(chosen, place)
        return context.get_dummy_value()

    return types.void(size, types.intp, types.intp, types.intp), codegen


def lower_where(site: Site) -> Kernel | None:
    """A kernel for a Where: it copies the one array, and what is chosen of the other over it."""
    (dtype, shape), kinds = site.outputs[0], [present(shaped) for shaped in site.inputs]
    copy = copier(dtype)
    if copy is None or [kind for kind, _ in kinds] != [np.bool_, dtype, dtype] or 0 in shape:
        return None
    flags, chosen, other = (View.broadcast(size, kind.itemsize, shape) for kind, size in kinds)
    whole, code = View.whole(shape, dtype.itemsize), chooser(((),) * dtype.itemsize)
    below = walk(copy, shape, [other, whole], site.threads)
    above = walk(Loop(code, 0, 3), shape, [flags, chosen, whole], site.threads)

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        condition, x, other = map(present, inputs)
        y = present(outputs[0])
        return np.stack([below.order(other, y, y, scratch), above.order(condition, y, x, scratch)])

    return Kernel.of_orders("element by element", orders, reads=(0, 1, 2))
