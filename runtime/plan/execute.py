"""Running a plan in memory of its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from itertools import count
from math import prod
from typing import Any

import numpy as np

from ...format_spec.errors import InputError, LimitError, PlanError
from ..orders.order import aligned_bytes, present
from ..orders.workers import Workers
from .check import NamedArrays, described
from .plan import Plan, Slot
from .repeat import Outside, Repeat, Seen, repeat_orders, seen_before
from .section import PlacedStep, Section, parts_of


class Execution:
    """The memory of one run at a time of ``plan``: an arena, and views into it made once.

    ``lends`` says that outputs which are inputs, or parts of them, are these same arrays: the caller writes to neither.
    ``memory`` is for the arena, if not new memory is: bytes, as many as it takes or more, on a 64-byte boundary.

    Raises:
        LimitError: the system has not so much memory.
    """

    def __init__(self, plan: Plan, *, lends: bool = False, memory: np.ndarray | None = None) -> None:
        self._plan, self._lends = plan, lends
        try:
            self._arena = aligned_bytes(plan.arena_bytes) if memory is None else memory
        except MemoryError as error:
            raise LimitError(f"intermediate values take {plan.arena_bytes:,} bytes: more memory than there is") from error
        self._values: list[np.ndarray | None] = [None] * len(plan.slots)
        for index, array in plan.constants.items():
            self._values[index] = array
        self._list_outside()
        self._make_views()
        late = {index for index, value in enumerate(self._values) if value is None}
        scratch = [self._arena[s.scratch : s.scratch + s.kernel.scratch] for s in plan.steps]
        self._parts = tuple(parts_of([*map(PlacedStep, count(), plan.steps, scratch)], late))
        alone = all(isinstance(part, Section) for part in self._parts)
        self._quiet = nullcontext if alone else partial(np.errstate, all="ignore")  # once: it takes as long as a small step
        self._carried_out: Repeat | None = None
        self._seen: Seen | None = None

    def _list_outside(self) -> None:
        """Note what comes with each run."""
        plan, slots = self._plan, self._plan.slots
        self._inputs = [(name, index, shape_of(slots[index])) for name, index in plan.inputs.items()]
        roots = owners(plan)
        self._handed = [(name, root, shape_of(slots[root]), slots[root].dtype) for root, name in roots.items()]
        handed = set(roots.values())
        self._outputs = [
            (name, index, name in handed or (self._lends and slots[index].kind == "input"))
            for name, index in plan.outputs.items()
        ]
        late = (i for i, slot in enumerate(slots) if slot.root != i and slot.kind in ("input", "output"))
        self._late = [(i, slots[i].root, shape_of(slots[i]), _part_of(slots[i], slots[slots[i].root])) for i in late]

    def _make_views(self) -> None:
        slots = self._plan.slots
        for index, slot in enumerate(slots):
            if slot.kind == "arena" and slot.root == index:
                self._values[index] = (
                    self._arena[slot.offset : slot.offset + slot.bytes].view(slot.dtype).reshape(shape_of(slot))
                )
        for index, slot in enumerate(slots):
            if slot.kind in ("arena", "constant") and slot.root != index:
                self._values[index] = _view_of(self._values[slot.root], shape_of(slot), _part_of(slot, slots[slot.root]))

    def run(self, inputs: Mapping[str, np.ndarray], out: Mapping[str, np.ndarray], workers: Workers) -> dict[str, np.ndarray]:
        """Execute every step; the arrays returned are the caller's.

        ``inputs`` have been checked against the plan. ``out`` gives memory for some outputs: C-contiguous, of the right
        type, and disjoint from the inputs.
        """
        values = self._values.copy()
        self._bind(values, inputs, out)
        with self._quiet():
            for part in self._parts:
                part.run(values, workers)
        results = {}
        for name, index, handed in self._outputs:
            value = values[index]
            results[name] = value if value is not None and handed and name not in out else self._result(name, value, out)
        return results

    def orders(self, inputs: NamedArrays, out: NamedArrays) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        """The orders of each step, where all are machine code, for a run with these arrays; and of the outputs in ``out`` those
        that are not made there, where they are."""
        values = self._values.copy()
        self._bind(values, inputs, out)
        made = [order for part in self._parts if isinstance(part, Section) for order in part.orders_for(values)]
        others = {name: present(values[index]) for name, index, handed in self._outputs if name in out and not handed}
        return made, others

    def prepare_repeat(self, workers: Workers) -> None:
        """After the first run, prepare others like it."""
        if self._seen is not None:
            return
        section, inputs = self._parts[0] if len(self._parts) == 1 else None, self._outside(self._plan.inputs)
        own = len(self._handed) == len(self._outputs) and all(handed for *_, handed in self._outputs)
        if isinstance(section, Section) and own:
            self._carried_out = repeat_orders(section, inputs, self._outside(self._plan.outputs), workers)
        self._seen = seen_before(inputs)

    def repeat(self, inputs: NamedArrays, workers: Workers) -> dict[str, np.ndarray] | None:
        """As :meth:`run`, with all outputs in fresh arrays, where the run is like one before; else ``None``."""
        if self._carried_out is not None:
            return self._carried_out(inputs)
        kept = None if self._seen is None else self._seen(inputs)
        return None if kept is None else self.run(kept, {}, workers)

    def _outside(self, names: Mapping[str, int]) -> list[Outside]:
        """What is the same of arrays that come with each run, from run to run."""
        slots = self._plan.slots
        places: dict[int, list[tuple[int, int]]] = {}
        for index, where in (place for part in self._parts if isinstance(part, Section) for place in part.places):
            slot = slots[index]
            begin = 0 if slot.root == index else slot.offset * slot.dtype.itemsize
            places.setdefault(slot.root, []).extend((place, begin + offset) for place, offset in where)
        described = ((name, slots[index]) for name, index in names.items())
        return [(name, shape_of(slot), slot.dtype, tuple(places.get(slot.root, ()))) for name, slot in described]

    def _bind(self, values: list[np.ndarray | None], inputs: Mapping[str, np.ndarray], out: Mapping[str, np.ndarray]) -> None:
        """Fill in the caller's memory, and arrays that will be the caller's."""
        for name, index, shape in self._inputs:
            array = inputs[name]
            plain = type(array) is np.ndarray and array.flags.c_contiguous
            values[index] = array if plain else np.ascontiguousarray(array).reshape(shape)
        for name, root, shape, dtype in self._handed:
            given = out.get(name)
            values[root] = _fresh(name or self._plan.slots[root].name, shape, dtype) if given is None else given.reshape(shape)
        for index, root, shape, part in self._late:
            values[index] = _view_of(values[root], shape, part)

    def _result(self, name: str, value: np.ndarray | None, out: Mapping[str, np.ndarray]) -> np.ndarray:
        """The caller's array for an output that is not handed over as it is: the one given, or a fresh one."""
        given = out.get(name)
        if value is None:  # a node may name more outputs than its operator makes of its inputs
            raise PlanError(f"nothing makes the output {name!r}")
        if given is None:
            return value if self._plan.slots[self._plan.outputs[name]].kind == "fresh" else value.copy()
        if (given.shape, given.dtype) != (value.shape, value.dtype):
            raise InputError(f"out[{name!r}] is {described(given)}, the output is {described(value)}")
        if not np.may_share_memory(given, value):
            np.copyto(given, value)
        return given


def owners(plan: Plan) -> dict[int, str]:
    """Of each root that outputs are in, the first output that is all of it, and whose array it is; "" where none is."""
    slots = plan.slots
    found = {slots[index].root: "" for index in plan.outputs.values() if slots[index].kind == "output"}
    for name, index in plan.outputs.items():
        root = slots[index].root
        if found.get(root) == "" and _part_of(slots[index], slots[root]) is None:
            found[root] = name
    return found


def _fresh(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    try:
        return np.empty(shape, dtype)
    except MemoryError as error:
        raise LimitError(f"output {name!r} takes {prod(shape) * dtype.itemsize:,} bytes: more memory than there is") from error


def shape_of(slot: Slot) -> tuple[int, ...]:
    """The shape of a slot that has one."""
    return present(slot.shape)


def _part_of(slot: Slot, root: Slot) -> slice | None:
    """Elements of its root that a slot is; ``None`` for all."""
    size = prod(shape_of(slot))
    return None if size == prod(shape_of(root)) else slice(slot.offset, slot.offset + size)


def _view_of(root: Any, shape: tuple[int, ...], part: slice | None) -> np.ndarray:
    """The part of an array that a slot is."""
    return (root if part is None else root.reshape(-1)[part]).reshape(shape)
