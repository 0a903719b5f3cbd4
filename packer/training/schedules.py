"""How a setting moves over the steps of a training: functions from a step's number to a number.

Any such function will do; these are the usual ones. Before ``begin`` each has its first value, from ``end`` on its last.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from typing import TypeAlias

Schedule: TypeAlias = Callable[[int], float]
"""Step number (from 0) to value."""


def constant(value: float) -> Schedule:
    """The same at every step."""
    return lambda step: value


def linear(first: float, last: float, begin: int, end: int) -> Schedule:
    """A straight line from ``first`` at ``begin`` to ``last`` at ``end``."""
    return lambda step: first + (last - first) * _progress(step, begin, end)


def cubic(first: float, last: float, begin: int, end: int) -> Schedule:
    """Fast at first and slow in the end: ``last + (first - last) * (1 - t)**3`` (Zhu and Gupta 2017), for densities."""
    return lambda step: last + (first - last) * (1 - _progress(step, begin, end)) ** 3


def geometric(first: float, last: float, begin: int, end: int) -> Schedule:
    """The cubic schedule on a logarithmic scale, for budgets that shrink by orders of magnitude; both ends positive."""
    exponent = cubic(log(first), log(last), begin, end)
    return lambda step: exp(exponent(step))


def _progress(step: int, begin: int, end: int) -> float:
    if step < begin:
        return 0.0
    return 1.0 if step >= end else (step - begin) / (end - begin)
