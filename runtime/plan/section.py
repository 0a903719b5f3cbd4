"""Parts of an execution: steps that Python runs one by one, and sections of them that machine code carries out in a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import numpy as np

from ..orders.order import FAILED, ORDER, SHARED, TAKEN, X, address_of, present
from ..orders.workers import Workers
from .facts import misfits
from .step import Step

Values: TypeAlias = "list[np.ndarray | None]"
"""The array of each slot of a plan."""


@dataclass(frozen=True, eq=False)
class PlacedStep:
    """Step ``number`` of a plan, with its scratch memory."""

    number: int
    step: Step
    scratch: np.ndarray

    def arrays(self, values: Values) -> tuple[Values, Values]:
        """(inputs, outputs)."""
        step = self.step
        return [values[i] if i >= 0 else None for i in step.inputs], [values[i] if i >= 0 else None for i in step.outputs]

    def run(self, values: Values, workers: Workers) -> None:
        """Run the step by its kernel; arrays that it makes become values."""
        step = self.step
        read, written = self.arrays(values)
        with misfits(step.node):
            made = step.kernel.run(read, written, self.scratch, workers)
        if made is not None:
            for index, value in zip(step.outputs, made, strict=False):
                _keep(values, index, value)
        workers.finished(self.number)


class Section:
    """Consecutive steps that are machine code alone.

    Their ``orders`` (n, ORDER) int64, also as flat ``numbers``, are made by the first run; ``shared`` is whether threads share
    any. Arrays of ``late`` slots come with each run: only their addresses are written anew, where ``places`` says, (slot,
    [(number, bytes into the array)]).
    """

    def __init__(self, steps: Sequence[PlacedStep], late: set[int]) -> None:
        self._steps = tuple(steps)
        self._late = late.intersection(i for placed in steps for i in (*placed.step.inputs, *placed.step.outputs))
        self.orders = np.zeros((0, ORDER), np.int64)
        self.numbers = self.orders.reshape(-1).data  # written ten times as fast as through the array
        self.shared = False
        self.places: list[tuple[int, list[tuple[int, int]]]] = []
        self._ends: list[tuple[int, int]] = []

    def run(self, values: Values, workers: Workers) -> None:
        """Carry out all orders."""
        if not self._ends:
            self._make(values)
        for slot, places in self.places:
            begin = address_of(values[slot])
            for place, offset in places:
                self.numbers[place] = begin + offset
        try:
            workers.carry_out(self.orders, self._ends, shared=self.shared)
        except MemoryError:
            self._refuse(values)
            raise

    def orders_for(self, values: Values) -> list[np.ndarray]:
        """The orders of each step for some arrays."""
        return [present(placed.step.kernel.orders)(*placed.arrays(values), placed.scratch) for placed in self._steps]

    def _refuse(self, values: Values) -> None:
        """Raise what is wrong with the inputs of the step whose code could not go on, if that is the reason."""
        begin = 0
        for placed, (_, end) in zip(self._steps, self._ends, strict=True):
            refusal = placed.step.kernel.refusal
            if refusal is not None and (self.orders[begin:end, TAKEN] >= FAILED).any():
                with misfits(placed.step.node):
                    refusal(*placed.arrays(values)[0])
            begin = end

    def _make(self, values: Values) -> None:
        given = values.copy()
        for slot in self._late:  # the same array may have been given for two slots
            given[slot] = np.empty_like(values[slot])
        made = self.orders_for(given)
        self.orders = np.concatenate(made)
        self.numbers, self.shared = self.orders.reshape(-1).data, bool(self.orders[:, SHARED].any())
        self.places = [(slot, _places_of(present(given[slot]), self.orders)) for slot in self._late]
        ends = np.cumsum([len(orders) for orders in made])
        self._ends = [(placed.number, int(end)) for placed, end in zip(self._steps, ends, strict=True)]


def _places_of(array: np.ndarray, orders: np.ndarray) -> list[tuple[int, int]]:
    """(place, offset): among the numbers of ``orders`` (n, ORDER), those that are addresses in ``array``, and how far in."""
    begin, addresses = address_of(array), orders[:, X:]
    rows, columns = np.nonzero((addresses >= begin) & (addresses < begin + array.nbytes))
    return [(r * ORDER + X + c, int(addresses[r, c]) - begin) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)]


def parts_of(steps: Sequence[PlacedStep], late: set[int]) -> Iterator[PlacedStep | Section]:
    """Steps in their order, as many as possible in sections."""
    for in_section, some in groupby(steps, lambda placed: placed.step.kernel.orders is not None):
        if in_section:
            yield Section(list(some), late)
        else:
            yield from some


def _keep(values: Values, index: int, value: np.ndarray) -> None:
    """Make ``value`` that of the slot ``index`` (none when it is -1). What has memory keeps it: there may be views into it."""
    if index < 0:
        return
    place = values[index]
    if place is None:
        values[index] = value
    else:
        np.copyto(place, value)
