"""A single tile that whole vectors of tiles leave over: its products have output channels in the lanes.

A plane of 28 x 28 has 49 tiles. A fourth vector of 16 would take a quarter of the time for one of them.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ....emit.intrinsic import cgutils, intrinsic, types
from ....emit.memory import address, float_at, put_float
from ....emit.vector import F32, I64, fma, load_vector, splat, store_vector
from ....jit.jitted import jit
from ....orders.atomic import call_at, emitted, number_at
from ...tiles.multiply import FIRST, INPUTS, ROWS, SUMS, UNIT, UNITS, WEIGHTS
from ..pieces import MULTIPLIERS
from .transforms import PRODUCTS

AT_ONCE = 4
"""Input channels of one turn, each with a sum of its own: an addition has to wait for the one before."""


def fits(tiles: int, lanes: int) -> bool:
    """Whether whole vectors of ``lanes`` tiles leave one over."""
    return tiles > lanes and tiles % lanes == 1


@jit
def keep_tile(tile, inputs, step, block):
    """Copy the transformed inputs of a tile, one in every ``step`` elements at ``tile``, to every ``block`` at ``inputs``."""
    for i in range(PRODUCTS):
        put_float(inputs + 4 * i * block, float_at(tile + 4 * i * step))


@jit
def multiply_tile(inputs, block, weights, weights_step, sums, sums_step, order, task):
    """Add the products of a tile to its sums, those of output channels following one another; ``task`` says what they are, and
    where they are from one product to the next is given in elements."""
    for i in range(PRODUCTS):
        task[INPUTS], task[WEIGHTS] = inputs + 4 * i * block, weights + 4 * i * weights_step
        task[SUMS] = sums + 4 * i * sums_step
        call_at(number_at(number_at(order, MULTIPLIERS), 0), address(task))


@jit
def gather_tile(lanes, tile, sums, step):
    """Copy the sums of a tile, one in every ``step`` elements, to the first lane of each of the 36 vectors at ``tile``."""
    for i in range(PRODUCTS):
        put_float(tile + 4 * i * len(lanes), float_at(sums + 4 * i * step))


def _emit(b: Any, task: Any, T: int) -> None:
    """Emit the loop over the units of a task: ``T`` sums each, of inputs that follow one another."""
    fields = b.inttoptr(task, I64.as_pointer())
    inputs, weights, sums, rows, units, unit, first = (
        b.load(b.gep(fields, [ir.Constant(I64, i)])) for i in (INPUTS, WEIGHTS, SUMS, ROWS, UNITS, UNIT, FIRST)
    )
    inputs, weights, sums = (b.inttoptr(place, F32.as_pointer()) for place in (inputs, weights, sums))
    vector = ir.VectorType(F32, T)

    def load(base: Any, index: Any) -> Any:
        return load_vector(b, b.gep(base, [index]), vector)

    with cgutils.for_range(b, units, intp=I64) as loop:
        own, place = b.gep(weights, [b.mul(loop.index, unit)]), b.mul(loop.index, ir.Constant(I64, T))
        zero = ir.Constant(vector, None)
        totals = [cgutils.alloca_once(b, vector) for _ in range(AT_ONCE)]
        b.store(b.select(b.icmp_signed("!=", first, ir.Constant(I64, 0)), zero, load(sums, place)), totals[0])
        for total in totals[1:]:
            b.store(zero, total)

        def add(row: Any, total: Any) -> None:
            weight, value = load(own, b.mul(row, ir.Constant(I64, T))), splat(b, b.load(b.gep(inputs, [row])), T)
            b.store(fma(b, weight, value, b.load(total)), total)

        whole = b.and_(rows, ir.Constant(I64, -AT_ONCE))
        with cgutils.for_range_slice(b, ir.Constant(I64, 0), whole, ir.Constant(I64, AT_ONCE), I64) as (row, _):
            for k, total in enumerate(totals):
                add(b.add(row, ir.Constant(I64, k)), total)
        with cgutils.for_range_slice(b, whole, rows, ir.Constant(I64, 1), I64) as (row, _):
            add(row, totals[0])
        left, right = (b.fadd(b.load(totals[k]), b.load(totals[k + 1])) for k in (0, 2))
        store_vector(b, b.fadd(left, right), b.gep(sums, [place]))


@intrinsic
def _address(typingctx: Any, together: Any) -> Any:
    """The address of the function that carries out tasks."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return emitted(builder, f"tersor_tile_products_{len(together)}", lambda b, task: _emit(b, task, len(together)))

    return types.intp(together), codegen


@jit
def tile_multiplier(together):
    """Address of a function that carries out a task for one tile, given by its address, for ``len(together)`` output channels
    at once. The address is good as long as the process."""
    return _address(together)
