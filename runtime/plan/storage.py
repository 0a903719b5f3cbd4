"""Where values live: views and parts share their source's memory, the parts of a concatenation are produced inside it, and a
convolution that adds a value nobody needs afterwards writes over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from ...format_spec.graph import Node
from ..ops import find_operator
from .facts import Facts, misfits
from .fusion import Draft

VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "TopK", "Transpose"})
"""Operators whose output can be its input's elements, in the same order."""

PARTS = frozenset({"Gather", "Slice", "Split"})
"""Operators whose outputs can be some of their input's elements, that lie together."""


@dataclass
class Storage:
    """The places of values, filled while walking the drafts.

    ``places``  value -> (value whose memory it is part of, first element)
    ``vanished`` drafts that need no step, by position
    """

    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    vanished: set[int] = field(default_factory=set)

    def resolve(self, name: str) -> tuple[str, int]:
        """The value that owns the memory of ``name``, and the element at which ``name`` starts in it."""
        offset = 0
        while name in self.places:
            name, part = self.places[name]
            offset += part
        return name, offset


def place(drafts: Sequence[Draft], outputs: Collection[str], facts: Facts) -> Storage:
    """Find every view and every concatenation that its parts can be written into."""
    storage = Storage()
    producer = {name: i for i, draft in enumerate(drafts) for name in draft.outputs if name}
    readers = Counter(name for draft in drafts for name in draft.inputs)
    readers.update(outputs)
    for position, draft in enumerate(drafts):
        if _is_view(draft.node, readers, facts):
            storage.places[draft.outputs[0]] = (draft.node.inputs[0], 0)
            storage.vanished.add(position)
        elif draft.node.op_type in PARTS and (starts := _parts_of_input(draft.node, facts)) is not None:
            storage.places.update({name: (draft.node.inputs[0], start) for name, start in starts.items()})
            storage.vanished.add(position)
        elif _overwrites_residual(position, drafts, storage, producer, outputs, facts):
            storage.places[draft.outputs[0]] = (draft.epilogue.residual, 0)
        elif draft.node.op_type == "Concat":
            parts = _placeable_parts(draft, storage, producer, outputs, facts)
            if parts is not None:
                storage.places.update(parts)
                storage.vanished.add(position)
    return storage


def _is_view(node: Node, readers: Counter[str], facts: Facts) -> bool:
    if node.op_type not in VIEWS or any(readers[name] for name in node.outputs[1:] if name):
        return False
    if facts.type(node.outputs[0]) is None or facts.type(node.inputs[0]) is None:
        return False
    if node.op_type == "Dropout":
        return not any(node.inputs[2:])
    if node.op_type == "TopK":
        dtype, shape = facts.known_type(node.inputs[0])
        return facts.type(node.outputs[0]) == (dtype, shape) and shape[node.attribute("axis", -1)] == 1
    return node.op_type != "Transpose" or _keeps_order(node, facts)


def _parts_of_input(node: Node, facts: Facts) -> dict[str, int] | None:
    """The element of its input at which each output begins, or ``None`` when the elements of one do not lie together."""
    source, *others = node.inputs
    given, made = facts.type(source), [facts.type(name) for name in node.outputs if name]
    if given is None or not all(shaped is not None and prod(shaped[1]) for shaped in made):
        return None
    if not all(facts.constant(name) for name in others if name):
        return None
    whole = np.empty(given[1], np.uint8)  # a byte an element; views of it are made, and none of its memory is touched
    with misfits(node):
        found = find_operator(node)(whole, *(facts.array(name) if name else None for name in others), **node.attributes)
    if not all(part.flags.c_contiguous and np.may_share_memory(part, whole) for part in found):
        return None
    return {name: part.ctypes.data - whole.ctypes.data for name, part in zip(node.outputs, found, strict=False) if name}


def _overwrites_residual(
    position: int, drafts: Sequence[Draft], storage: Storage, producer: dict[str, int], outputs: Collection[str], facts: Facts
) -> bool:
    """Whether a convolution of planes can write its sums over the residual, which it reads for each output just before."""
    draft = drafts[position]
    residual, shaped = draft.epilogue.residual, facts.type(draft.outputs[0])
    if not residual or draft.node.op_type != "Conv" or shaped is None or prod(shaped[1][2:]) == 1:
        return False
    owner, _ = storage.resolve(residual)
    if owner not in producer or facts.constant(owner) or draft.outputs[0] in outputs or _holds(owner, outputs, storage):
        return False
    others = [*draft.node.inputs, *(name for later in drafts[position + 1 :] for name in later.inputs)]
    return all(storage.resolve(name)[0] != owner for name in others)


def _keeps_order(node: Node, facts: Facts) -> bool:
    """Whether a transposition only moves axes of length one."""
    _, shape = facts.known_type(node.inputs[0])
    permutation = node.attribute("perm", tuple(reversed(range(len(shape)))))
    moved = [axis for axis in permutation if shape[axis] != 1]
    return moved == sorted(moved)


def _placeable_parts(
    draft: Draft, storage: Storage, producer: dict[str, int], outputs: Collection[str], facts: Facts
) -> dict[str, tuple[str, int]] | None:
    """Places inside the output for every input of a Concat, or ``None`` when one of them cannot be written there."""
    shaped = facts.type(draft.outputs[0])
    if shaped is None:
        return None
    axis = draft.node.attribute("axis") % len(shaped[1])
    if prod(shaped[1][:axis]) != 1:
        return None
    parts: dict[str, tuple[str, int]] = {}
    offset = 0
    for name in draft.node.inputs:
        part = facts.type(name)
        owner, start = storage.resolve(name)
        own = facts.type(owner)
        if part is None or own is None or start or prod(own[1]) != prod(part[1]):
            return None
        if owner in parts or owner not in producer or facts.constant(owner) or _holds(owner, outputs, storage):
            return None
        parts[owner] = (draft.outputs[0], offset)
        offset += prod(part[1])
    return parts


def _holds(owner: str, outputs: Collection[str], storage: Storage) -> bool:
    """Whether a graph output lives in the memory of ``owner``."""
    return any(storage.resolve(name)[0] == owner for name in outputs)
