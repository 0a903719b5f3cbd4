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

LEAST, MOST = np.float32(-87), np.float32(88)
"""Exponents below the first give 0; the second is the largest whose exponential float32 holds, near enough."""

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


def logistic_of(b: Any, x: Any) -> Any:
    """Emits ``1 / (1 + exp(-x))`` of a float32 or of a vector of them, good to three units in the last place; 0 where ``x`` is
    less than -88, and NaN stays NaN."""
    one, most = _constant(x, 1), _constant(x, MOST)
    negative = b.fneg(x)
    beyond = b.fcmp_ordered(">", negative, most)
    falling = _exponential_of(b, b.select(beyond, most, negative))
    return b.select(beyond, _constant(x, 0), b.fdiv(one, b.fadd(one, falling)))


def _exponential_of(b: Any, x: Any) -> Any:
    """Emits :func:`exponential`."""
    shifted = fma(b, x, _constant(x, LOG2_E), _constant(x, SHIFT))
    power = b.fneg(b.fsub(shifted, _constant(x, SHIFT)))
    r = fma(b, power, _constant(x, LN_2_LOW), fma(b, power, _constant(x, LN_2_HIGH), x))
    series = _constant(x, FIFTH)
    for coefficient in (FOURTH, THIRD, SECOND, FIRST, ZEROTH):
        series = fma(b, series, r, _constant(x, coefficient))
    whole = ir.VectorType(I32, x.type.count) if isinstance(x.type, ir.VectorType) else I32
    biased = b.add(b.bitcast(shifted, whole), _constant(x, 127, whole))
    two = b.bitcast(b.shl(biased, _constant(x, 23, whole)), x.type)
    value = b.fmul(b.fadd(fma(b, series, b.fmul(r, r), r), _constant(x, 1)), two)
    return b.select(b.fcmp_ordered("<", x, _constant(x, LEAST)), _constant(x, 0), value)


def _constant(like: Any, value: Any, kind: Any = None) -> Any:
    """A number, or a vector of it, of the type of ``like`` or of another ``kind``."""
    kind = like.type if kind is None else kind
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)
