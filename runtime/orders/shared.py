"""Kernels whose work is orders, which threads carry out in machine code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .order import CODE, FACTS, PIECES, SHARED, WORK, Arrays, Ordered, Orders, operands, order_of

MOST_PIECES = 4
"""Pieces of work for each thread, at most: one that wakes up late, or is slower, leaves more to the others."""

WORTH_SHARING = 50_000
"""Estimated cycles from which on a second thread saves more than waking it costs."""


@dataclass(frozen=True, eq=False)
class Shared(Ordered):
    """Work that threads share out in machine code.

    ``compiled`` returns the address of the code. ``work`` int64 describes the ``pieces``, which at most ``parts`` threads take;
    ``facts`` int64 are what the code is told the same in every run; what either points to is ``kept``.
    """

    compiled: Callable[[], int]
    pieces: int
    parts: int
    work: np.ndarray
    facts: np.ndarray
    kept: tuple[object, ...] = ()

    def blank(self) -> np.ndarray:
        """As :meth:`Ordered.blank`; a single piece stays on one thread, and so do all where scratch memory is for one."""
        return order_of_pieces(self.compiled(), self.pieces, self.parts, self.work, self.facts)


def order_of_pieces(code: int, pieces: int, parts: int, work: np.ndarray, facts: np.ndarray) -> np.ndarray:
    """An order, but for its arrays, as :class:`Shared` has it: ``code`` is the address of what carries it out."""
    addresses = {WORK: work.ctypes.data, FACTS: facts.ctypes.data}
    return order_of({CODE: code, SHARED: min(pieces, parts) > 1, PIECES: pieces, **addresses})


def one_order(work: Ordered) -> Orders:
    """The order of ``work`` for a kernel that reads an input, and a residual where there is one."""

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        return work.order(*operands(inputs, outputs), scratch)[None]

    return orders


def evenly(count: int, pieces: int) -> np.ndarray:
    """(pieces + 1,) int64: where pieces of ``count`` items start."""
    return np.arange(pieces + 1, dtype=np.int64) * count // pieces


def pieces_for(threads: int, *most: int) -> int:
    """How many pieces of work threads share, each of ``most`` at most; one alone does all in one."""
    return 1 if threads == 1 else max(1, min(MOST_PIECES * threads, *most))


def sharing(threads: int, cycles: float) -> int:
    """How many of some threads share work of so many estimated cycles of one."""
    return threads if cycles >= WORTH_SHARING else 1
