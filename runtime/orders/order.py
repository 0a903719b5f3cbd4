"""Orders: what machine code carries out, on one thread or on several that take pieces of it one by one.

An order is int64 numbers, given to its code by its address, see :mod:`~tersor.runtime.orders.team`. It is the same in every
run but for the addresses of arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from ctypes import c_bool, c_size_t
from typing import TypeAlias, TypeVar

import numpy as np

from .made_once import made_once

T = TypeVar("T")

Arrays: TypeAlias = "Sequence[np.ndarray | None]"
"""Inputs or outputs of a kernel, ``None`` for those that its node leaves out."""

Orders: TypeAlias = "Callable[[Arrays, Arrays, np.ndarray], np.ndarray]"
"""(inputs, outputs, scratch bytes) to orders (n, ORDER) int64, to be carried out in turn. They hold as long as the arrays stay
where they are."""

ALIGNMENT = 64
"""Bytes to a multiple of which values and scratch memory are aligned: those of a cache line."""

TAKEN, COUNTED = 0, 1
"""Numbers that threads count up, from 0 in each run: pieces of work taken from the front, plus :data:`BACK` times those taken
from the back; what else code counts, such as pieces done, or parts of tiles, see
:func:`~tersor.runtime.orders.team.take_part`."""

BACK = 1 << 32
"""One piece taken from the back."""

FAILED = 1 << 62
"""The bit of the pieces taken that is set where code cannot go on, for want of memory or for what it is given: nobody takes
another piece."""

CODE, SHARED, PIECES, WORK, X, Y, OTHER, SCRATCH, FACTS = range(2, 11)
"""The other numbers: the address of the code; whether several threads share it; how many pieces there are, and the address of
their description; addresses of inputs, outputs, a residual (0 when there is none) and scratch memory, float32, the last 64-byte
aligned; that of what is the same in every run.

An order without code leaves out the next ones, as many as there are pieces, unless the boolean at ``X`` is the one that is
:data:`WANTED`."""

WANTED = WORK
"""The place of that one."""

HEAD = object.__basicsize__
"""Bytes of what every Python object begins with."""

ORDER = FACTS + 9
"""Length of an order: some have more numbers, which are the same in every run, but for addresses of more inputs."""


def present(value: T | None) -> T:
    """An input, an output, or what is known of one, where the caller knows that its node has it."""
    assert value is not None
    return value


def operands(inputs: Arrays, outputs: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(x, y, residual) of a kernel that reads an input, and a residual where there is one."""
    return present(inputs[0]), present(outputs[0]), inputs[1] if len(inputs) > 1 else None


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


def unless(condition: np.ndarray, wanted: bool, count: int) -> np.ndarray:
    """(ORDER,) int64: leave out the next ``count`` orders unless ``condition``, one boolean, is as ``wanted``."""
    return order_of({PIECES: count, WANTED: int(wanted), X: address_of(condition)})


def left_out(order: np.ndarray) -> int:
    """How many orders behind this one are not carried out, as things are."""
    if order[CODE] or c_bool.from_address(int(order[X])).value == order[WANTED]:
        return 0
    return int(order[PIECES])


def address_of(array: np.ndarray | None) -> int:
    """Where an array begins in memory; 0 for none.

    That is the first field of a numpy array behind its head (``PyArrayObject``, numpy's C interface). Asked for it, numpy
    describes the whole array in Python, which after a network, when nothing of it is in the caches, takes 20 microseconds.
    """
    return 0 if array is None else c_size_t.from_address(id(array) + HEAD).value


def whole_lines(size: int) -> int:
    """``size`` bytes as whole cache lines."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def floats_of_lines(count: int) -> int:
    """How many float32 whole cache lines for ``count`` of them hold."""
    return whole_lines(4 * count) // 4


def aligned_bytes(size: int) -> np.ndarray:
    """Uninitialised memory, (size,) uint8, starting on a 64-byte boundary."""
    block = np.empty(size + ALIGNMENT, np.uint8)
    first = -block.ctypes.data % ALIGNMENT
    return block[first : first + size]
