"""Running a plan in memory of its own."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from math import prod

import numpy as np

from ...format_spec.errors import InputError, LimitError, PlanError
from .._described import described
from .arena import aligned_bytes
from .plan import Plan, Slot
from .section import Placed, parts_of
from .workers import Workers


class Execution:
    """The memory of one run at a time of ``plan``: an arena, and views into it made once.

    Raises:
        LimitError: the system has not so much memory.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        try:
            self._arena = aligned_bytes(plan.arena_bytes)
        except MemoryError as error:
            raise LimitError(f"intermediate values take {plan.arena_bytes:,} bytes: more memory than there is") from error
        self._values: list[np.ndarray | None] = [None] * len(plan.slots)
        for index, array in plan.constants.items():
            self._values[index] = array
        self._inputs = [(name, index, shape_of(plan.slots[index])) for name, index in plan.inputs.items()]
        self._handed = [
            (name, index, plan.slots[index].root) for name, index in plan.outputs.items() if plan.slots[index].kind == "output"
        ]
        self._late = [i for i, slot in enumerate(plan.slots) if slot.root != i and slot.kind in ("input", "output")]
        self._make_views()
        late = {index for index, value in enumerate(self._values) if value is None}
        scratch = [self._arena[s.scratch : s.scratch + s.kernel.scratch] for s in plan.steps]
        self._parts = tuple(parts_of([*map(Placed, count(), plan.steps, scratch)], late))
        self._by_numpy = any(isinstance(part, Placed) for part in self._parts)

    def _make_views(self) -> None:
        slots = self._plan.slots
        for index, slot in enumerate(slots):
            if slot.kind == "arena" and slot.root == index:
                self._values[index] = (
                    self._arena[slot.offset : slot.offset + slot.bytes].view(slot.dtype).reshape(shape_of(slot))
                )
        for index, slot in enumerate(slots):
            if slot.kind in ("arena", "constant") and slot.root != index:
                self._values[index] = view_of(self._values[slot.root], slot)

    def run(self, inputs: Mapping[str, np.ndarray], out: Mapping[str, np.ndarray], workers: Workers) -> dict[str, np.ndarray]:
        """Execute every step; the arrays returned are the caller's.

        ``inputs`` have been checked against the plan. ``out`` gives memory for some outputs: C-contiguous, of the right
        type, and disjoint from the inputs.
        """
        values = self._values.copy()
        owners = self._bind(values, inputs, out)
        if self._by_numpy:
            with np.errstate(all="ignore"):
                self._run_parts(values, workers)
        else:
            self._run_parts(values, workers)
        return {name: self._result(name, values, index in owners, out) for name, index in self._plan.outputs.items()}

    def _run_parts(self, values: list[np.ndarray | None], workers: Workers) -> None:
        for part in self._parts:
            part.run(values, workers)

    def _bind(
        self, values: list[np.ndarray | None], inputs: Mapping[str, np.ndarray], out: Mapping[str, np.ndarray]
    ) -> set[int]:
        """Fill in the caller's memory; returns the output slots whose arrays are handed over as they are."""
        slots = self._plan.slots
        for name, index, shape in self._inputs:
            array = inputs[name]
            plain = type(array) is np.ndarray and array.flags.c_contiguous
            values[index] = array if plain else np.ascontiguousarray(array).reshape(shape)
        owners = set()
        for name, index, root in self._handed:
            if values[root] is None:
                given = out.get(name)
                values[root] = _fresh(name, slots[root]) if given is None else given.reshape(shape_of(slots[root]))
                owners.add(index)
        for index in self._late:
            values[index] = view_of(values[slots[index].root], slots[index])
        return owners

    def _result(self, name: str, values: list[np.ndarray | None], owned: bool, out: Mapping[str, np.ndarray]) -> np.ndarray:
        """The caller's array for one output: the one given, or a fresh one."""
        index = self._plan.outputs[name]
        value, given = values[index], out.get(name)
        if value is None:  # a node may name more outputs than its operator makes of its inputs
            raise PlanError(f"nothing makes the output {name!r}")
        if given is None:
            return value if owned or self._plan.slots[index].kind == "fresh" else value.copy()
        if (given.shape, given.dtype) != (value.shape, value.dtype):
            raise InputError(f"out[{name!r}] is {described(given)}, the output is {described(value)}")
        if not owned:
            np.copyto(given, value)
        return given


def _fresh(name: str, slot: Slot) -> np.ndarray:
    try:
        return np.empty(shape_of(slot), slot.dtype)
    except MemoryError as error:
        raise LimitError(f"output {name!r} takes {slot.bytes:,} bytes: more memory than there is") from error


def shape_of(slot: Slot) -> tuple[int, ...]:
    """The shape of a slot that has one."""
    assert slot.shape is not None
    return slot.shape


def view_of(root: np.ndarray | None, slot: Slot) -> np.ndarray:
    """The part of its root that ``slot`` is."""
    assert root is not None
    shape = shape_of(slot)
    size = prod(shape)
    part = root if size == root.size else root.reshape(-1)[slot.offset : slot.offset + size]
    return part.reshape(shape)
