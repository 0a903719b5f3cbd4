"""One walk over arrays by strides: at each place a loop runs over the innermost axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir

from ...emit.intrinsic import cgutils, intrinsic, types
from ...emit.vector import I64
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.order import FACTS, OTHER, PIECES, WORK, X, Y
from ...orders.shared import Shared, evenly, pieces_for
from ...orders.team import take
from .loop import Loop

CODE, DATA, COUNT, STEPS, STARTS, AXES = 0, 1, 2, 3, 6, 9
"""Facts, int64: address of the loop's code and what that is told; elements of the innermost axis and, for each operand, the
bytes from one to the next; bytes before the first one; how many other axes there are. For each of those follow its size and
the bytes from one place to the next, for each operand, the innermost of them first."""

AXIS = 4
"""Numbers of an axis."""

PIECE, SHORT = 16_384, 8
"""Elements of a piece of work, at least; axes of fewer elements are not the innermost where there is a longer one."""


@dataclass(frozen=True)
class View:
    """Where the elements of an operand lie: bytes before the first one, and for each axis those from one to the next."""

    start: int
    strides: tuple[int, ...]

    @classmethod
    def whole(cls, shape: Sequence[int], itemsize: int) -> View:
        """That of a C-contiguous array."""
        return cls(0, tuple(itemsize * prod(shape[axis + 1 :]) for axis in range(len(shape))))

    @classmethod
    def broadcast(cls, shape: Sequence[int], itemsize: int, to: Sequence[int]) -> View:
        """That of a C-contiguous array of ``shape``, broadcast."""
        strides = cls.whole(shape, itemsize).strides
        own = (0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True))
        return cls(0, (*[0] * (len(to) - len(shape)), *own))


Axis: TypeAlias = "tuple[int, tuple[int, ...]]"
"""The size of an axis, and for each operand the bytes from one place to the next."""


def collapsed(shape: Sequence[int], views: Sequence[View]) -> list[Axis]:
    """The axes of a walk over arrays of ``shape``, those that lie within one another for every operand as one, outermost
    first; one at least."""
    axes: list[Axis] = []
    for size, steps in zip(shape, zip(*(view.strides for view in views), strict=True), strict=True):
        if size == 1:
            continue
        if axes and all(outer == size * inner for outer, inner in zip(axes[-1][1], steps, strict=True)):
            axes[-1] = (axes[-1][0] * size, steps)
        else:
            axes.append((size, steps))
    return axes or [(1, (0,) * len(views))]


def walk(loop: Loop, shape: Sequence[int], views: Sequence[View], threads: int, *, folds: bool = False) -> Shared:
    """The work of running ``loop`` over arrays of ``shape``, where no axis is empty: its operands lie as ``views`` say. If it
    ``folds``, places of the output are met again and again, each by one thread.

    An order is for the first operand as input, the last as output and the one between, or the last again, as residual.
    """
    first, *between, last = views
    operands = (first, *(between or [last]), last)
    axes = collapsed(shape, operands)
    if axes[-1][0] < SHORT:
        axes.append(axes.pop(max(range(len(axes)), key=lambda i: axes[i][0])))
    (count, steps), outer = axes[-1], axes[-2::-1]
    numbers = [number for size, strides in outer for number in (size, *strides)]
    starts = [view.start for view in operands]
    facts = np.array([loop.code, loop.data, count, *steps, *starts, len(outer), *numbers], np.int64)
    items, elements = prod(size for size, _ in outer) if outer else count, prod(shape)
    apart = items if not folds else outer[-1][0] if outer and outer[-1][1][-1] else 1
    pieces = pieces_for(threads, apart, elements // PIECE)
    return Shared(lambda: walker(()), pieces, threads, evenly(apart, pieces) * (items // apart), facts)


@jit
def walker(kinds):
    """Address of the code that carries out a walk, see :func:`walk_on`; ``kinds`` is empty."""
    return code_of(kinds, walk_on)


@jit
def walk_on(kinds, order, member):
    """Take pieces of the walk of the order at address ``order`` until none is left: places on all axes but the innermost, or
    of that, where there is no other."""
    facts = number_at(order, FACTS)
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        first, last = number_at(work, 0), number_at(work, 1)
        if number_at(facts, AXES) == 0:
            _run(order, facts, first, 0, last - first)
        else:
            for place in range(first, last):
                _run(order, facts, 0, place, number_at(facts, COUNT))
        piece = take(order, member)


@jit
def _run(order, facts, first, place, count):
    """Run the loop over ``count`` elements from number ``first`` on, at a ``place`` on the other axes."""
    x = number_at(order, X) + number_at(facts, STARTS) + first * number_at(facts, STEPS)
    other = number_at(order, OTHER) + number_at(facts, STARTS + 1) + first * number_at(facts, STEPS + 1)
    y = number_at(order, Y) + number_at(facts, STARTS + 2) + first * number_at(facts, STEPS + 2)
    axes, at, index = number_at(facts, AXES), facts + 8 * (AXES + 1), place
    for axis in range(axes):
        here = index
        if axis + 1 < axes:  # a division takes as long as a short loop
            index, here = index // number_at(at, 0), index % number_at(at, 0)
        x += here * number_at(at, 1)
        other += here * number_at(at, 2)
        y += here * number_at(at, 3)
        at += 8 * AXIS
    run_loop(number_at(facts, CODE), number_at(facts, DATA), count, facts + 8 * STEPS, x, other, y)


@intrinsic
def run_loop(typingctx: Any, code: Any, data: Any, count: Any, steps: Any, x: Any, other: Any, y: Any) -> Any:
    """Call a :class:`.loop.Loop` for ``count`` elements of operands at three addresses; ``steps`` is the address of theirs."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        code, data, count, steps, *operands = arguments
        listed, length = cgutils.alloca_once(b, ir.ArrayType(I64, 3)), cgutils.alloca_once(b, I64)
        for number, operand in enumerate(operands):
            b.store(operand, b.gep(listed, [ir.Constant(I64, 0), ir.Constant(I64, number)]))
        b.store(count, length)
        kind = ir.FunctionType(ir.VoidType(), [I64] * 4)
        addresses = [b.ptrtoint(place, I64) for place in (listed, length)]
        b.call(b.inttoptr(code, kind.as_pointer()), [*addresses, steps, data])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), codegen
