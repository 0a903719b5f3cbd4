"""Local response normalisation across channels."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from llvmlite import ir

from ..emit.intrinsic import cgutils, intrinsic, types
from ..emit.memory import floats_at, pointer
from ..emit.vector import F32, I32, I64, call, fma, load_vector, prefetch_line, splat, store_vector
from ..jit.jitted import jit
from ..orders.atomic import code_of, number_at
from ..orders.order import FACTS, PIECES, WORK, X, Y
from ..orders.shared import Shared, evenly, one_order, pieces_for
from ..orders.team import take
from .site import Kernel, Site

CHUNK = 512
"""Positions normalised together: the lines of channels that meet stay in the second-level cache."""

LANES = ((),) * 16
"""Positions normalised at once."""

AHEAD = 4
"""Channels by which inputs and outputs are asked for ahead of time."""

LEAST, MOST = 2.0**-60, 2.0**60
"""Between these, an inverse root by Newton's method is good to two units in the last place."""


@jit
def normaliser(kinds):
    """Address of the code that carries out an order, see :func:`normalise`; ``kinds`` is empty."""
    return code_of(kinds, normalise)


@jit
def normalise(kinds, order, member):
    """Take pieces of the order at address ``order`` until none is left: chunks of :data:`CHUNK` positions of ``x`` and ``y``,
    both (N, C, positions).

    Facts are int64 (C, positions, channels before, size), then the address of float32 (factor, beta, bias).
    """
    sums = np.empty(CHUNK, np.float32)
    facts, x, y = number_at(order, FACTS), number_at(order, X), number_at(order, Y)
    C, positions = number_at(facts, 0), number_at(facts, 1)
    chunks = (positions + CHUNK - 1) // CHUNK
    piece = take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for item in range(number_at(work, 0), number_at(work, 1)):
            begin = item % chunks * CHUNK
            place = 4 * (item // chunks * C * positions + begin)
            _normalise_chunk(facts, x + place, y + place, min(CHUNK, positions - begin), sums)
        piece = take(order, member)


@jit
def _normalise_chunk(facts, x, y, count, sums):
    """Normalise ``count`` positions from ``x`` on: whole vectors by themselves for the usual exponent."""
    constants, whole = floats_at(number_at(facts, 4), 3), 0
    if constants[1] == np.float32(0.75):
        whole = count // len(LANES) * len(LANES)
        C, pitch, before, size = number_at(facts, 0), 4 * number_at(facts, 1), number_at(facts, 2), number_at(facts, 3)
        for c in range(C):
            first, last = max(0, c - before), min(C, c - before + size)
            for i in range(0, whole, len(LANES)):
                at = c * pitch + 4 * i
                normalise_vector(
                    LANES, y + at, x + at, x + first * pitch + 4 * i, last - first, pitch, constants[0], constants[2]
                )
    if whole < count:
        _normalise(facts, x + 4 * whole, y + 4 * whole, count - whole, sums)


@intrinsic
def normalise_vector(
    typingctx: Any, lanes: Any, target: Any, source: Any, first: Any, rows: Any, pitch: Any, factor: Any, bias: Any
) -> Any:
    """``source / (bias + factor * sum)**0.75`` of ``V`` elements, ``sum`` being that of the squares of ``rows`` lines which are
    ``pitch`` bytes apart. Places are addresses.

    Inverse roots are by Newton's method: a processor's own roots and divisions take several times as long.
    """
    vector = ir.VectorType(F32, len(lanes))

    def load(b: Any, place: Any) -> Any:
        return load_vector(b, pointer(b, place), vector)

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        _, target, source, first, rows, pitch, factor, bias = arguments
        factor, bias = splat(b, factor, vector.count), splat(b, bias, vector.count)
        sums = cgutils.alloca_once_value(b, ir.Constant(vector, None))
        with cgutils.for_range(b, rows, intp=I64) as loop:
            line = load(b, b.add(first, b.mul(loop.index, pitch)))
            b.store(fma(b, line, line, b.load(sums)), sums)
        ahead = b.mul(pitch, ir.Constant(I64, AHEAD))
        prefetch_line(b, pointer(b, b.add(b.add(first, b.mul(rows, pitch)), ahead)))
        prefetch_line(b, pointer(b, b.add(target, ahead)), write=True)
        base, own = fma(b, factor, b.load(sums), bias), load(b, source)
        beyond = [b.fcmp_ordered(op, base, _all(vector, bound)) for op, bound in (("<", LEAST), (">", MOST))]
        flag = call(b, f"llvm.vector.reduce.or.v{vector.count}i1", ir.IntType(1), [b.or_(*beyond)])
        with b.if_else(flag, likely=False) as (extraordinary, ordinary):
            with extraordinary:
                root = call(b, f"llvm.sqrt.v{vector.count}f32", vector, [base])
                fourth = call(b, f"llvm.sqrt.v{vector.count}f32", vector, [root])
                exact, exactly = b.fdiv(own, b.fmul(root, fourth)), b.block
            with ordinary:
                root = _inverse_root(b, base)
                quick, quickly = b.fmul(own, b.fmul(root, b.fmul(root, _inverse_root(b, root)))), b.block
        value = b.phi(vector)
        value.add_incoming(exact, exactly)
        value.add_incoming(quick, quickly)
        store_vector(b, value, pointer(b, target))
        return context.get_dummy_value()

    return types.void(lanes, *[types.intp] * 5, types.float32, types.float32), codegen


def _all(vector: Any, value: float) -> Any:
    return ir.Constant(vector, [value] * vector.count)


def _inverse_root(b: Any, value: Any) -> Any:
    """1 / sqrt(``value``): a guess from its bits, good to 3.5 % (Lomont 2003), and three of Newton's steps."""
    vector, bits = value.type, ir.VectorType(I32, value.type.count)
    half, magic = (
        b.lshr(b.bitcast(value, bits), ir.Constant(bits, [1] * bits.count)),
        ir.Constant(bits, [0x5F375A86] * bits.count),
    )
    root, negative = b.bitcast(b.sub(magic, half), vector), b.fmul(value, _all(vector, -0.5))
    for _ in range(3):
        factor = fma(b, negative, b.fmul(root, root), _all(vector, 1.5))
        root = b.fmul(root, factor)
    return root


@jit
def _normalise(facts, x, y, count, sums):
    """Normalise ``count`` positions from ``x`` on."""
    C, pitch, before, size = number_at(facts, 0), 4 * number_at(facts, 1), number_at(facts, 2), number_at(facts, 3)
    constants = floats_at(number_at(facts, 4), 3)
    factor, beta, bias = constants[0], constants[1], constants[2]
    for c in range(C):
        for i in range(count):
            sums[i] = np.float32(0)
        for other in range(max(0, c - before), min(C, c - before + size)):
            line = floats_at(x + other * pitch, count)
            for i in range(count):
                sums[i] += line[i] * line[i]
        line, out = floats_at(x + c * pitch, count), floats_at(y + c * pitch, count)
        if beta == np.float32(0.75):
            for i in range(count):
                root = np.sqrt(bias + factor * sums[i])
                out[i] = line[i] / (root * np.sqrt(root))
        else:
            for i in range(count):
                out[i] = line[i] * np.exp(-beta * np.log(bias + factor * sums[i]))


def lower_lrn(site: Site) -> Kernel | None:
    """A kernel for a float32 LRN."""
    node, x = site.node, site.floats(0)
    if x is None:
        return None
    size = node.attribute("size")
    factor = node.attribute("alpha", 1e-4) / size
    constants = np.array([factor, node.attribute("beta", 0.75), node.attribute("bias", 1.0)], np.float32)
    shape = (*x[:2], prod(x[2:]))
    items = shape[0] * -(-shape[2] // CHUNK)
    pieces = pieces_for(site.threads, items)
    facts = np.array([*shape[1:], (size - 1) // 2, size, constants.ctypes.data], np.int64)
    shared = Shared(lambda: normaliser(()), pieces, site.threads, evenly(items, pieces), facts, (constants,))
    return Kernel.of_orders("lrn", one_order(shared), reads=(0,))
