"""Inputs of a convolution whose outputs lie as its inputs do: a tap meets the plane, shifted, without what is outside."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from ....emit.intrinsic import cgutils, intrinsic, types
from ....emit.memory import pointer
from ....emit.vector import F32, I64, masked_load, store_vector
from ....jit.jitted import jit
from ....orders.atomic import code_of, number_at
from .. import pack
from ..geometry import KERNEL_H, KERNEL_W, OWN, H, W
from ..layout import Shape2D

SHIFTS = OWN + 9
"""The number of the geometry, behind those of a dense convolution, that is the address of :func:`shifts_of`, 0 if there are
none."""

MOST_VECTORS, MOST_SHIFTS = 4, 1 << 12
"""Vectors of a plane, and of what all taps meet of it, at most."""


def fits_shifts(shape: Shape2D, vectors: int) -> bool:
    """Whether outputs lie as inputs, and planes, of so many vectors, are small."""
    beside = shape.W == shape.OW and shape.strides == (1, 1) and shape.taps > 1
    return beside and vectors <= MOST_VECTORS and shape.taps * vectors <= MOST_SHIFTS


def shifts_of(shape: Shape2D, V: int, columns: int) -> np.ndarray | None:
    """(taps, 1 + columns / V) int64: for each tap the elements from an output to the input that it meets, and the lanes of each
    vector where there is one, as bits. ``None`` where it does not fit."""
    vectors = columns // V
    if not fits_shifts(shape, vectors):
        return None
    position, kh, kw = np.arange(columns), *np.divmod(np.arange(shape.taps)[:, None], shape.kernel[1])
    down, right = kh * shape.dilations[0] - shape.begin[0], kw * shape.dilations[1] - shape.begin[1]
    row, column = position // shape.OW + down, position % shape.OW + right
    inside = (row >= 0) & (row < shape.H) & (column >= 0) & (column < shape.W) & (position < shape.OH * shape.OW)
    lanes = (inside.reshape(shape.taps, vectors, V) << np.arange(V)).sum(axis=2)
    return np.concatenate([down * shape.W + right, lanes], axis=1).astype(np.int64)


@intrinsic
def copy_shifted(typingctx: Any, lanes: Any, target: Any, plane: Any, shifts: Any, taps: Any, vectors: Any) -> Any:
    """Write what each of the ``taps`` meets of the plane at address ``plane``, so many ``vectors``, one behind the other, as
    ``shifts`` says, see :func:`shifts_of`. Returns where they end."""
    V = len(lanes)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, target, plane, shifts, taps, vectors = arguments
        table, size = b.inttoptr(shifts, I64.as_pointer()), ir.Constant(I64, 4 * V)
        bits, mask = ir.IntType(V), ir.VectorType(ir.IntType(1), V)
        with cgutils.for_range(b, taps, intp=I64) as outer:
            first = b.gep(table, [b.mul(outer.index, b.add(vectors, ir.Constant(I64, 1)))])
            source = b.gep(pointer(b, plane), [b.load(first)])
            to = b.add(target, b.mul(b.mul(outer.index, vectors), size))
            with cgutils.for_range(b, vectors, intp=I64) as inner:
                there = b.load(b.gep(first, [b.add(inner.index, ir.Constant(I64, 1))]))
                place = b.gep(source, [b.mul(inner.index, ir.Constant(I64, V))])
                value = masked_load(b, place, b.bitcast(b.trunc(there, bits), mask), ir.VectorType(F32, V))
                store_vector(b, value, pointer(b, b.add(to, b.mul(inner.index, size))))
        return b.add(target, b.mul(b.mul(taps, vectors), size))

    return types.intp(lanes, *[types.intp] * 5), codegen


@cache
def shifting_code(V: int) -> int:
    """The address of the code of :func:`pack_shifted` for vectors of ``V`` elements, good as long as the process."""
    return shifter(((),) * V)


@jit
def shifter(lanes):
    """As :func:`shifting_code`."""
    return code_of(lanes, pack_shifted)


@jit
def pack_shifted(lanes, task):
    """As :func:`~tersor.runtime.kernels.conv.pack.pack_positions`, for all positions."""
    geometry, target = number_at(task, pack.GEOMETRY), number_at(task, pack.TARGET)
    shifts, vectors = number_at(geometry, SHIFTS), number_at(task, pack.COLUMNS) // len(lanes)
    taps = number_at(geometry, KERNEL_H) * number_at(geometry, KERNEL_W)
    plane, size = number_at(task, pack.SOURCE), 4 * number_at(geometry, H) * number_at(geometry, W)
    for _ in range(number_at(task, pack.CHANNELS)):
        target = copy_shifted(lanes, target, plane, shifts, taps, vectors)
        plane += size
