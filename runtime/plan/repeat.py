"""Runs like the one before, with all outputs in fresh arrays.

After a network has run, nothing of Python is left in the processor's caches, and every attribute that a run looks up takes
longer than thousands of multiplications. Here they are looked up once, and kept where a function finds them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import c_size_t
from typing import TypeAlias

import numpy as np

from ..orders.order import HEAD
from ..orders.workers import Workers
from .check import NamedArrays
from .section import Section

Outside: TypeAlias = "tuple[str, tuple[int, ...], np.dtype, tuple[tuple[int, int], ...]]"
"""Name, shape and element type of an array that comes with each run, and its places among the numbers of the orders, each with
how many bytes behind the array's beginning is meant."""

Repeat: TypeAlias = "Callable[[NamedArrays], dict[str, np.ndarray] | None]"
"""Runs for some inputs, unless it takes others, or there is no memory: then ``None``, and nothing has been done."""

Seen: TypeAlias = "Callable[[NamedArrays], dict[str, np.ndarray] | None]"
"""Inputs as they are now, which the caller may change meanwhile, where they are like some before; else ``None``."""


def repeat_orders(section: Section, inputs: Sequence[Outside], outputs: Sequence[Outside], workers: Workers) -> Repeat:
    """Runs of ``section``, which has run before, and is all of its plan.

    Raises:
        MemoryError: the system has none for a step.
    """
    numbers, orders, shared, taken, made = section.numbers, section.orders, section.shared, tuple(inputs), tuple(outputs)
    empty, at, head, plain, carry_out = np.empty, c_size_t.from_address, HEAD, np.ndarray, workers.carry_out

    def repeat(given: NamedArrays) -> dict[str, np.ndarray] | None:
        if type(given) is not dict or len(given) != len(taken):
            return None
        kept, results = [], {}  # the caller may put other arrays in the place of these meanwhile
        for name, shape, dtype, where in taken:
            array = given.get(name)
            if type(array) is not plain or array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
                return None
            kept.append(array)
            begin = at(id(array) + head).value
            for place, offset in where:  # every run writes them all: one that ends here leaves nothing behind
                numbers[place] = begin + offset
        for name, shape, dtype, where in made:
            try:
                results[name] = array = empty(shape, dtype)
            except MemoryError:
                return None
            begin = at(id(array) + head).value
            for place, offset in where:
                numbers[place] = begin + offset
        try:
            carry_out(orders, shared=shared)
        except MemoryError:  # a run in all its steps says what is the matter
            return None
        return results

    return repeat


def seen_before(inputs: Sequence[Outside]) -> Seen:
    """What tells whether inputs are like those of the run before."""
    taken, plain = tuple(inputs), np.ndarray

    def seen(given: NamedArrays) -> dict[str, np.ndarray] | None:
        if type(given) is not dict or len(given) != len(taken):
            return None
        kept = {}
        for name, shape, dtype, _ in taken:
            array = given.get(name)
            if type(array) is not plain or array.shape != shape or array.dtype != dtype:
                return None
            kept[name] = array
        return kept

    return seen
