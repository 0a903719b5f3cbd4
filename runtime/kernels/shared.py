"""Orders from Python: filled in for a run, and carried out by the threads that are free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..plan.workers import Workers
from .order import FACTS, ORDER, PIECES, WORK, fill_order
from .team import alone

EMPTY = np.zeros(0, np.uint8)
"""For work that needs no scratch memory."""


@dataclass(frozen=True, eq=False)
class Shared:
    """Work that threads share out in machine code.

    ``compiled`` returns the address of the code. ``work`` int64 describes the ``pieces``, ``facts`` int64 are what the code is
    told the same in every run; what either points to is ``kept``.
    """

    compiled: Callable[[], int]
    pieces: int
    work: np.ndarray
    facts: np.ndarray
    kept: tuple[object, ...] = ()

    @cached_property
    def _code(self) -> int:
        return self.compiled()

    @cached_property
    def _known(self) -> np.ndarray:
        """The order without the arrays of a run."""
        order = np.zeros(ORDER, np.int64)
        order[PIECES], order[WORK], order[FACTS] = self.pieces, self.work.ctypes.data, self.facts.ctypes.data
        return order

    @cached_property
    def _fill(self) -> Callable[..., int]:
        return fill_order.once()

    @cached_property
    def _alone(self) -> Callable[[int, int], None]:
        return alone.once()

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """Do it for flat float32 arrays and ``scratch`` bytes; a single piece stays on this thread."""
        order = np.empty(ORDER, np.int64)
        argument = self._fill(order, self._known, x, y, y if residual is None else residual, scratch.view(np.float32))
        if self.pieces == 1:
            self._alone(self._code, argument)
        else:
            workers.share(self._code, argument)


def evenly(count: int, pieces: int) -> np.ndarray:
    """(pieces + 1,) int64: where pieces of ``count`` items start."""
    return np.arange(pieces + 1, dtype=np.int64) * count // pieces
