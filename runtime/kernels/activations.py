"""Functions of one element: those made of exponentials, as the error function, GELU, the logistic function and their kin, the
hyperbolic tangent; and those made of straight lines, as leaky rectifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import copysign, inf, pi, prod, sqrt
from typing import TypeAlias

import numpy as np

from ..emit.exponential import exponential, exponential_less_one
from ..emit.memory import float_at, floats_at
from ..jit.jitted import jit
from ..orders.atomic import code_of, number_at
from ..orders.order import FACTS, PIECES, WORK, X, Y
from ..orders.shared import Shared, evenly, one_order, pieces_for
from ..orders.team import take
from .site import Kernel, Site

ERF, GELU, GELU_THROUGH_TANH, SIGMOID, SWISH, LINEAR_UNIT, SOFTPLUS, MISH = range(8)
BOUNDED, LEAKY, HARD_SIGMOID, HARD_SWISH = range(8, 12)
"""The functions, as lengths of a tuple: what a kernel is compiled for. Some have factors: Swish is
``x / (1 + exp(-first * x))``, a linear unit ``first * x`` of positive numbers, ``second * (exp(x) - 1)`` of others; bounded is
what lies between the first and the second, leaky ``first * x`` of negative numbers; hard functions are made of
``first * x + second``, between 0 and 1."""

PIECE = 4096
"""Elements of a piece of work, at least."""

NEAR = np.float32(0.927734375)
"""Up to here the error function is a series; beyond, 1 less an exponential."""

ZERO, HALF, ONE, TWO, ROOT_HALF, ENDLESS = (np.float32(value) for value in (0, 0.5, 1, 2, sqrt(0.5), inf))

MOST = np.float32(88)
"""The largest argument of an exponential that float32 holds, near enough."""

ALPHA, GAMMA = 1.67326319217681884765625, 1.05070102214813232421875
"""Selu's attributes, unless they are given."""

LARGE = np.float32(20)
"""From here on, the hyperbolic tangent of a softplus is 1."""

P1, P2, P3, P4, P5, P6 = (np.float32(1 / (2 * k + 1)) for k in range(1, 7))
"""Coefficients of the inverse hyperbolic tangent, of the powers 3 to 13."""

MINUS_INNER, CUBE = np.float32(-2 * sqrt(2 / pi)), np.float32(0.044715)
"""GELU through tanh is x / (1 + exp(MINUS_INNER * (x + CUBE * x^3)))."""

ALMOST, MINUS_TWO = np.float32(0.625), np.float32(-2)
"""Up to the first, the hyperbolic tangent is a series; beyond, it is made of an exponential."""

T4, T3, T2, T1, T0 = (
    np.float32(value) for value in (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
)
"""Coefficients of (tanh(x) - x) / x^3 in powers of x^2, near 0, as in the Cephes library's ``tanhf``."""

N5, N4, N3, N2, N1, N0 = (
    np.float32(value) for value in (-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1)
)
"""Coefficients of (erf(x) - x) / x in powers of x^2, near 0 (njuffa, a faithfully rounded ``erff``)."""

F6, F5, F4, F3, F2, F1, F0 = (
    np.float32(value)
    for value in (
        -1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1,
    )
)  # fmt: skip
"""Coefficients of (log(1 - erf(x)) + x) / x in powers of x, further off (the same source)."""


@jit(fastmath={"contract"})
def error_function(x):
    """``erf(x)`` of a float32, good to three units in the last place; NaN stays NaN."""
    t, s = abs(x), x * x
    near = (((((N5 * s + N4) * s + N3) * s + N2) * s + N1) * s + N0) * x + x
    far = (F6 * t + F5) * s + (F4 * t + F3)
    far = (((far * t + F2) * t + F1) * t + F0) * t - t
    beyond = copysign(ONE - exponential(far), x)
    return beyond if t > NEAR else near


@jit(fastmath={"contract"})
def sigmoid(x):
    """``1 / (1 + exp(-x))`` of a float32, good to three units in the last place; NaN stays NaN."""
    return ONE / (ONE + exponential(MOST if -x > MOST else -x))


@jit(fastmath={"contract"})
def hyperbolic_tangent(x):
    """``tanh(x)`` of a float32, good to three units in the last place; NaN stays NaN."""
    t, s = abs(x), x * x
    near = ((((T4 * s + T3) * s + T2) * s + T1) * s + T0) * s * x + x
    falling = exponential(MINUS_TWO * t)
    beyond = copysign((ONE - falling) / (ONE + falling), x)
    return beyond if t > ALMOST else near


@jit(fastmath={"contract"})
def softplus(x):
    """``log(1 + exp(x))`` of a float32, good to four units in the last place; NaN stays NaN.

    With ``t = exp(-|x|)``, ``log(1 + t)`` is twice the inverse hyperbolic tangent of ``t / (2 + t)``, which is at most 1/3.
    """
    t = exponential(-abs(x))
    s = t / (TWO + t)
    q = s * s
    series = (((((P6 * q + P5) * q + P4) * q + P3) * q + P2) * q + P1) * q * s + s
    return (x if x > ZERO else ZERO) + TWO * series


@jit(fastmath={"contract"})
def mish(x):
    """``x * tanh(log(1 + exp(x)))`` of a float32, good to four units in the last place; NaN stays NaN.

    With ``e = exp(x)``, the hyperbolic tangent is ``(e^2 + 2 e) / (e^2 + 2 e + 2)``, and 1 where ``x`` is large.
    """
    e = exponential(LARGE if x > LARGE else x)
    n = e * (e + TWO)
    return x * (n / (n + TWO))


@jit(fastmath={"contract"})
def between(x, low, high):
    """``x`` kept from ``low`` to ``high``; NaN stays NaN."""
    raised = low if x < low else x
    return high if raised > high else raised


@jit(fastmath={"contract"})
def _write(kinds, source, target, count, factors):
    """``target`` becomes the function of ``source`` that the length of ``kinds`` says, see :data:`ERF`."""
    x, y, first, second = floats_at(source, count), floats_at(target, count), float_at(factors), float_at(factors + 4)
    for i in range(count):
        v = x[i]
        if len(kinds) == ERF:
            y[i] = error_function(v)
        elif len(kinds) == GELU:
            y[i] = HALF * v * (ONE + error_function(v * ROOT_HALF))
        elif len(kinds) == GELU_THROUGH_TANH:
            z = MINUS_INNER * (v + CUBE * v * v * v)
            y[i] = v / (ENDLESS if z > MOST else ONE + exponential(z))
        elif len(kinds) == SIGMOID:
            y[i] = sigmoid(v)
        elif len(kinds) == SWISH:
            z = -first * v
            y[i] = v * (ZERO if z > MOST else ONE / (ONE + exponential(z)))
        elif len(kinds) == LINEAR_UNIT:
            y[i] = first * v if v > ZERO else second * exponential_less_one(v)
        elif len(kinds) == SOFTPLUS:
            y[i] = softplus(v)
        elif len(kinds) == MISH:
            y[i] = mish(v)
        elif len(kinds) == BOUNDED:
            y[i] = between(v, first, second)
        elif len(kinds) == LEAKY:
            y[i] = first * v if v < ZERO else v
        elif len(kinds) == HARD_SIGMOID:
            y[i] = between(first * v + second, ZERO, ONE)
        else:
            y[i] = v * between(first * v + second, ZERO, ONE)


@jit
def function_of_elements(kinds):
    """Address of the code of one of the functions, see :func:`write_elements`."""
    return code_of(kinds, write_elements)


@jit
def write_elements(kinds, order, member):
    """Take pieces of the elements of the order at address ``order`` until none is left: ``y`` is a function of ``x``, see
    :func:`_write`. Facts are int64 (address of two factors, float32,)."""
    factors, piece = number_at(number_at(order, FACTS), 0), take(order, member)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        first, offset = number_at(work, 0), 4 * number_at(work, 0)
        _write(kinds, number_at(order, X) + offset, number_at(order, Y) + offset, number_at(work, 1) - first, factors)
        piece = take(order, member)


Factors: TypeAlias = "tuple[float, ...]"


def _gelu(site: Site) -> tuple[str, int, Factors]:
    if site.node.attribute("approximate", "none") == "tanh":
        return "gelu through tanh", GELU_THROUGH_TANH, ()
    return "gelu", GELU, ()


def _selu(site: Site) -> tuple[str, int, Factors]:
    alpha, gamma = site.node.attribute("alpha", ALPHA), site.node.attribute("gamma", GAMMA)
    return "selu", LINEAR_UNIT, (gamma, gamma * alpha)


def _clip(site: Site) -> tuple[str, int, Factors] | None:
    """``None`` where bounds come with a run, or are no numbers."""
    given = [(site.type(i), site.array(i)) for i in (1, 2)]
    if any(shaped is not None and (bound is None or bound.size != 1 or np.isnan(bound)) for shaped, bound in given):
        return None
    low, high = (default if bound is None else bound.item() for default, (_, bound) in zip((-inf, inf), given, strict=True))
    return "clip", BOUNDED, (low, high)


def _hard_sigmoid(site: Site) -> tuple[str, int, Factors]:
    return "hard sigmoid", HARD_SIGMOID, (site.node.attribute("alpha", 0.2), site.node.attribute("beta", 0.5))


FUNCTIONS: Mapping[str, Callable[[Site], tuple[str, int, Factors] | None]] = {
    "Clip": _clip,
    "Elu": lambda site: ("elu", LINEAR_UNIT, (1, site.node.attribute("alpha", 1.0))),
    "Erf": lambda site: ("erf", ERF, ()),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda site: ("hard swish", HARD_SWISH, (1 / 6, 0.5)),
    "LeakyRelu": lambda site: ("leaky relu", LEAKY, (site.node.attribute("alpha", 0.01),)),
    "Mish": lambda site: ("mish", MISH, ()),
    "Selu": _selu,
    "Sigmoid": lambda site: ("sigmoid", SIGMOID, ()),
    "Softplus": lambda site: ("softplus", SOFTPLUS, ()),
    "Swish": lambda site: ("swish", SWISH, (site.node.attribute("alpha", 1.0),)),
}
"""For each operator, the name of its kernel, the function, and its factors."""


def lower_activation(site: Site) -> Kernel | None:
    """A kernel for one of :data:`FUNCTIONS` of float32."""
    shape = site.floats(0)
    found = None if shape is None else FUNCTIONS[site.node.op_type](site)
    if shape is None or found is None:
        return None
    (name, function, factors), count = found, prod(shape)
    pieces = pieces_for(site.threads, count // PIECE)
    code, kept = partial(function_of_elements, ((),) * function), np.array([*factors, 0, 0], np.float32)
    shared = Shared(code, pieces, site.threads, evenly(count, pieces), np.array([kept.ctypes.data], np.int64), (kept,))
    return Kernel.of_orders(name, one_order(shared), reads=(0,))
