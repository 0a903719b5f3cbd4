"""Orders: what machine code carries out, on one thread or on several that take pieces of it one by one.

An order is int64 numbers, given to its code by its address, see :mod:`~tersor.runtime.kernels.team`. It is the same in every
run but for the addresses of arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from ._property import made_once

TAKEN, DONE = 0, 1
"""Numbers that threads count up, from 0 in each run: pieces of work taken from the front, plus :data:`BACK` times those taken
from the back; pieces done, where that matters."""

BACK = 1 << 32
"""One piece taken from the back."""

FAILED = 1 << 62
"""The bit of the pieces taken that is set where code cannot go on, for want of memory: nobody takes another piece."""

CODE, SHARED, PIECES, WORK, X, Y, OTHER, SCRATCH, FACTS = range(2, 11)
"""The other numbers: the address of the code; whether several threads share it; how many pieces there are, and the address of
their description; addresses of inputs, outputs, a residual (0 when there is none) and scratch memory, float32, the last 64-byte
aligned; that of what is the same in every run."""

ORDER = FACTS + 9
"""Length of an order: some have more numbers that are the same in every run."""


class Ordered(ABC):
    """Work that is done by carrying out an order."""

    @abstractmethod
    def blank(self) -> np.ndarray:
        """(ORDER,) int64: an order without the arrays of a run. What it points to lives as long as this object."""

    @made_once
    def _blank(self) -> np.ndarray:
        return self.blank()

    def order(self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray) -> np.ndarray:
        """The order (ORDER,) int64 for float32 arrays, C-contiguous, and scratch bytes, which the caller keeps alive."""
        order = self._blank.copy()
        for place, array in ((X, x), (Y, y), (OTHER, residual), (SCRATCH, scratch)):
            order[place] = address_of(array)
        return order


def order_of(numbers: Mapping[int, int]) -> np.ndarray:
    """(ORDER,) int64: ``numbers`` by their places, and zeros."""
    order = np.zeros(ORDER, np.int64)
    for place, number in numbers.items():
        order[place] = number
    return order


def address_of(array: np.ndarray | None) -> int:
    """Where an array begins in memory; 0 for none."""
    return 0 if array is None else array.__array_interface__["data"][0]
