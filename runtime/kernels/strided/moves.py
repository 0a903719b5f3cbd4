"""Elements copied from some places to others: transpositions, slices, concatenations, borders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...ops import find_operator
from ...orders.order import ORDER, Arrays, present
from ..site import Kernel, Site
from .loop import copier
from .transpose import BYTES, turn
from .walk import View, walk

Part: TypeAlias = np.ndarray
"""Some elements of an array, as numpy's view of one of bytes, of the same shape, none of whose memory is touched."""

OUTPUT = -1
"""A source that is the output itself."""


@dataclass(frozen=True, eq=False)
class Move:
    """From ``source``, the number of an input, :data:`OUTPUT`, or a constant, the elements ``taken``, to those ``given`` of the
    output ``target``; the first broadcast to the others."""

    source: int | np.ndarray
    taken: Part
    given: Part
    target: int = 0


def outline(shape: Sequence[int]) -> Part:
    """All elements of an array of ``shape``, however large: there is no memory behind it, and views are all to make of it."""
    return as_strided(np.empty(1, np.uint8), shape, View.whole(shape, 1).strides)


def kernel_of(site: Site, moves: Sequence[Move], reads: Sequence[int]) -> Kernel | None:
    """A kernel that makes ``moves`` one after another; ``None`` for elements of unusual sizes."""
    dtype, _ = site.outputs[0]
    loop = copier(dtype)
    if loop is None:
        return None
    moves = [move for move in moves if move.given.size]
    works = []
    for move in moves:
        shape, size = move.given.shape, dtype.itemsize
        taken, given = view_of(np.broadcast_to(move.taken, shape), size), view_of(move.given, size)
        turned = turn(shape, taken, given, site.threads) if size == BYTES else None
        works.append(turned or walk(loop, shape, [taken, given], site.threads))

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        found = dict(zip(reads, inputs, strict=True))
        made = np.empty((len(works), ORDER), np.int64)
        for number, (work, move) in enumerate(zip(works, moves, strict=True)):
            y = present(outputs[move.target])
            source = move.source
            x = source if isinstance(source, np.ndarray) else y if source == OUTPUT else present(found[source])
            made[number] = work.order(x, y, y, scratch)
        return made

    return Kernel.of_orders("copy", orders, reads=tuple(reads))


def view_of(part: Part, itemsize: int) -> View:
    """Where elements of ``itemsize`` bytes lie."""
    whole = part
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    start = part.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return View(itemsize * start, tuple(itemsize * stride for stride in part.strides))


def lower_view(site: Site) -> Kernel | None:
    """A kernel that copies what the operator's reference makes views of, where all inputs but the first are constant."""
    data, others = site.type(0), range(1, len(site.inputs))
    if data is None or any(site.type(i) is not None and i not in site.constants for i in others):
        return None
    whole = np.empty(data[1], np.uint8)
    parts = find_operator(site.node)(whole, *map(site.array, others), **site.node.attributes)
    if any(part.size and not np.may_share_memory(part, whole) for part in parts):
        return None
    named = ((i, part) for i, (part, name) in enumerate(zip(parts, site.node.outputs, strict=False)) if name)
    return kernel_of(site, [Move(0, part, outline(part.shape), i) for i, part in named], (0,))


def lower_concat(site: Site) -> Kernel | None:
    """A kernel that copies inputs one behind the other."""
    (dtype, shape), axis = site.outputs[0], site.node.attribute("axis", 0)
    given = [present(shaped) for shaped in site.inputs]
    if any(kind != dtype for kind, _ in given):
        return None
    whole = np.moveaxis(outline(shape), axis, 0)
    ends = np.cumsum([size[axis] for _, size in given])
    moves = [
        Move(i, outline(size), np.moveaxis(whole[end - size[axis] : end], 0, axis))
        for i, ((_, size), end) in enumerate(zip(given, ends.tolist(), strict=True))
    ]
    return kernel_of(site, moves, range(len(given)))


def lower_blocks(site: Site, blocks: Callable[..., Part]) -> Kernel | None:
    """A kernel that copies the input in the order of the elements of a view, of whatever shape, that ``blocks`` makes of it."""
    part = blocks(np.empty(present(site.type(0))[1], np.uint8), **site.node.attributes)
    return kernel_of(site, [Move(0, part, outline(part.shape))], (0,))


def pad_moves(shape: Sequence[int], stays: Sequence[slice], added: Sequence[tuple[int, int]], filler: np.ndarray) -> list[Move]:
    """What copies the part of an array of ``shape`` that ``stays``, with ``filler`` around it, so much of it as is ``added``
    before and after along each axis."""
    part = outline(shape)[tuple(stays)]
    whole, outer = _around(part, added)
    edges = [(axis, edge) for axis, kept in enumerate(outer) for edge in (slice(0, kept.start), slice(kept.stop, None))]
    borders = [Move(filler, outline(()), whole[(*outer[:axis], edge)]) for axis, edge in edges]
    return [*borders, Move(0, part, whole[outer])]


def mirror_moves(
    shape: Sequence[int], stays: Sequence[slice], added: Sequence[tuple[int, int]], mode: str
) -> list[Move] | None:
    """The same where what is added comes from the array, as numpy's ``pad`` says for ``mode``; ``None`` where it would have to
    be repeated."""
    part = outline(shape)[tuple(stays)]
    least = {"reflect": 1, "edge": 0, "wrap": 0}[mode]
    whole, outer = _around(part, added)
    moves = [Move(0, part, whole[outer])]
    for axis, (size, kept, widths) in enumerate(zip(part.shape, outer, added, strict=True)):
        if max(widths) and (size == 0 or (mode != "edge" and max(widths) > size - least)):
            return None
        lines = np.moveaxis(whole[(*[slice(None)] * axis, slice(None), *outer[axis + 1 :])], axis, 0)
        first, last, (before, after) = kept.start, kept.stop, widths
        if mode == "reflect":
            sources = lines[first + 1 : first + 1 + before][::-1], lines[last - 1 - after : last - 1][::-1]
        elif mode == "edge":
            sources = lines[first : first + 1], lines[last - 1 : last]
        else:
            sources = lines[last - before : last], lines[first : first + after]
        targets = lines[:first], lines[last:]
        moves += [Move(OUTPUT, source, target) for source, target in zip(sources, targets, strict=True)]
    return moves


def _around(part: Part, added: Sequence[tuple[int, int]]) -> tuple[Part, tuple[slice, ...]]:
    """The whole output, and where in it the part of the input lies."""
    sizes = [before + size + after for size, (before, after) in zip(part.shape, added, strict=True)]
    outer = tuple(slice(before, before + size) for size, (before, _) in zip(part.shape, added, strict=True))
    return outline(sizes), outer
