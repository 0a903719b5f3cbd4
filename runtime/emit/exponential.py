"""The exponential function in float32, of operations that a loop over many elements does a vector at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from ..jit.jitted import jit
from .intrinsic import intrinsic, types
from .vector import F32, I32, fma

LOG2_E, LN_2_HIGH, LN_2_LOW = (np.float32(value) for value in (1.44269504088896341, 0.693359375, -2.12194440e-4))
"""1 / ln 2, and ln 2 as a number of few bits and what is left of it."""

SHIFT = np.float32(3 << 22)
"""Added to a small number, it leaves the nearest integer in the low bits."""

LEAST = np.float32(-87)
"""Exponents below give 0."""

FIFTH, FOURTH, THIRD, SECOND, FIRST, ZEROTH = (
    np.float32(value)
    for value in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
)
"""Coefficients of (exp(r) - 1 - r) / r^2 where \\|r\\| <= ln(2) / 2, as in the Cephes library's ``expf``."""


@intrinsic
def _power_of_two(typingctx: Any, shifted: Any) -> Any:
    """2 to the integer that was added to :data:`SHIFT`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        biased = builder.add(builder.bitcast(arguments[0], I32), ir.Constant(I32, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(I32, 23)), F32)

    return types.float32(types.float32), codegen


@jit(fastmath={"contract"})
def _reduced(x):
    """(exp(r) - 1, 2 to the power n) where ``x`` is n ln 2 + r, for \\|r\\| <= ln(2) / 2."""
    shifted = x * LOG2_E + SHIFT
    power = shifted - SHIFT
    r = x - power * LN_2_HIGH - power * LN_2_LOW
    series = ((((FIFTH * r + FOURTH) * r + THIRD) * r + SECOND) * r + FIRST) * r + ZEROTH
    return series * (r * r) + r, _power_of_two(shifted)


@jit(fastmath={"contract"})
def exponential(x):
    """``exp(x)`` of a float32 that is at most 88, good to two units in the last place; NaN stays NaN."""
    rest, two = _reduced(x)
    return np.float32(0) if x < LEAST else (rest + np.float32(1)) * two


@jit(fastmath={"contract"})
def exponential_less_one(x):
    """``exp(x) - 1`` of a float32 that is not positive, good to three units in the last place; NaN stays NaN."""
    rest, two = _reduced(x)
    return np.float32(-1) if x < LEAST else rest * two + (two - np.float32(1))


def vector_exponential(b: Any, x: Any) -> Any:
    """Emit :func:`exponential` of a vector."""
    count = x.type.count

    def number(value: Any) -> Any:
        return ir.Constant(x.type, [float(value)] * count)

    shifted = fma(b, x, number(LOG2_E), number(SHIFT))
    power = b.fsub(shifted, number(SHIFT))
    r = fma(b, power, number(-LN_2_LOW), fma(b, power, number(-LN_2_HIGH), x))
    series = number(FIFTH)
    for coefficient in (FOURTH, THIRD, SECOND, FIRST, ZEROTH):
        series = fma(b, series, r, number(coefficient))
    rest = fma(b, series, b.fmul(r, r), r)
    whole = ir.VectorType(I32, count)
    biased = b.add(b.bitcast(shifted, whole), ir.Constant(whole, [127] * count))
    two = b.bitcast(b.shl(biased, ir.Constant(whole, [23] * count)), x.type)
    small = b.fcmp_ordered("<", x, number(LEAST))
    return b.select(small, ir.Constant(x.type, None), b.fmul(b.fadd(rest, number(1)), two))
