"""Parts of an execution: steps that Python runs one by one, and sections of them that machine code carries out in a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import numpy as np

from ..kernels.order import ORDER
from .step import Step
from .workers import Workers

Values: TypeAlias = "list[np.ndarray | None]"
"""The array of each slot of a plan."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Step ``number`` of a plan, with its scratch memory."""

    number: int
    step: Step
    scratch: np.ndarray

    def arrays(self, values: Values) -> tuple[Values, Values]:
        """(inputs, outputs)."""
        read, written = ([values[i] if i >= 0 else None for i in slots] for slots in (self.step.inputs, self.step.outputs))
        return read, written

    def run(self, values: Values, workers: Workers) -> None:
        """Run the step by its kernel; arrays that it makes become values."""
        made = self.step.kernel.run(*self.arrays(values), self.scratch, workers)
        for index, value in zip(self.step.outputs, made or (), strict=False):
            _keep(values, index, value)
        workers.finished(self.number)


class Section:
    """Consecutive steps that are machine code alone.

    Their orders are made once; those of steps that touch ``late`` slots, whose arrays each run brings, again in each.
    """

    def __init__(self, steps: Sequence[Placed], late: set[int]) -> None:
        self._steps = tuple(steps)
        self._late = [not late.isdisjoint((*placed.step.inputs, *placed.step.outputs)) for placed in steps]
        self._joined = np.zeros((0, ORDER), np.int64)
        self._orders: list[np.ndarray] = []
        self._ends: list[tuple[int, int]] = []

    def run(self, values: Values, workers: Workers) -> None:
        """Carry out all orders."""
        if not self._orders:
            self._make(values)
        else:
            for placed, late, orders in zip(self._steps, self._late, self._orders, strict=True):
                if late:
                    orders[:] = _orders_of(placed, values)
        workers.carry_out(self._joined, self._ends)

    def _make(self, values: Values) -> None:
        made = [_orders_of(placed, values) for placed in self._steps]
        ends = np.cumsum([len(orders) for orders in made])
        self._joined = np.concatenate(made)
        self._orders = np.split(self._joined, ends[:-1])
        self._ends = [(placed.number, int(end)) for placed, end in zip(self._steps, ends, strict=True)]


def parts_of(steps: Sequence[Placed], late: set[int]) -> Iterator[Placed | Section]:
    """Steps in their order, as many as possible in sections."""
    for in_section, some in groupby(steps, lambda placed: placed.step.kernel.orders is not None):
        if in_section:
            yield Section(list(some), late)
        else:
            yield from some


def _orders_of(placed: Placed, values: Values) -> np.ndarray:
    orders = placed.step.kernel.orders
    assert orders is not None
    return orders(*placed.arrays(values), placed.scratch)


def _keep(values: Values, index: int, value: np.ndarray) -> None:
    """Make ``value`` that of the slot ``index`` (none when it is -1). What has memory keeps it: there may be views into it."""
    if index < 0:
        return
    place = values[index]
    if place is None:
        values[index] = value
    else:
        np.copyto(place, value)
