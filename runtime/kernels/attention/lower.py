"""Which attention runs on a kernel, where its heads lie in memory, and what is added to their scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod, sqrt
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...ops import Shape, given
from ...ops.attention import head_shape, visible_keys
from ...orders.order import Arrays, address_of, present
from ...orders.shared import Shared
from ...orders.workers import Workers
from ..site import Kernel, Site
from ..strided.loop import copier
from ..strided.moves import outline, view_of
from ..strided.walk import View, walk
from .attend import Packed
from .caches import growing
from .few import FEW, Few
from .heads import BIAS, VALUES
from .written import Written

if TYPE_CHECKING:
    from ...ops import Shaped

Make: TypeAlias = "Callable[[np.ndarray, np.ndarray | None], np.ndarray]"
"""(array to fill, mask) -> the array, see :func:`_bias_shape`."""


def lower_attention(site: Site) -> Kernel | None:
    """A kernel for a float32 Attention of keys that are all valid, without caps of scores, which nobody reads."""
    node, (q, k, v), mask = site.node, map(site.floats, range(3)), site.type(3)
    past, lengths = [site.type(i) for i in (4, 5)], site.type(6)
    if lengths or any(node.outputs[3:]) or node.attribute("softcap", 0.0) or node.attribute("softmax_precision", 1) != 1:
        return None
    if q is None or k is None or v is None:
        return None
    of_queries, of_keys = node.attribute("q_num_heads", None), node.attribute("kv_num_heads", None)
    heads = [head_shape(shape, count) for shape, count in zip((q, k, v), (of_queries, of_keys, of_keys), strict=True)]
    before = _before(past, heads[1:])
    if before is None:
        return None
    heads[1:] = [(*shape[:2], before + shape[2], shape[3]) for shape in heads[1:]]
    scores = (*heads[0][:3], heads[1][2])
    if not _meet(*heads) or not (mask is None or _masks(mask, scores)) or node.attribute("scale", 1.0) < 0:
        return None
    hidden = _hidden(site, scores[2], scores[3], before)
    shape = () if mask is None and hidden is None else _bias_shape(() if mask is None else mask[1], scores)
    grows = any(past) or any(node.outputs[1:])
    kernel = _kernel(site, _work(site, heads, shape, grows=grows), PLAIN if hidden is None else partial(_bias, hidden), shape)
    return growing(site, kernel, heads[1:]) if grows else kernel


def lower_written(site: Site) -> Kernel:
    """A kernel for attention that the plan has found written out."""
    written, mask = Written.of(site.node), site.type(3)
    queries, keys, size, width = written.sizes
    shape = () if mask is None else _bias_shape(mask[1], (*written.stack, queries, keys))
    starts, steps = (*written.starts, 0), np.reshape(written.steps, (4, -1))
    heads = np.indices(written.stack).reshape(len(written.stack), prod(written.stack))
    places = [start + step[:-1] @ heads for start, step in zip(starts, steps, strict=True)]
    of_bias = np.broadcast_to(_bias_places(shape), written.stack).ravel()
    work = (Few if queries <= FEW else Packed)(
        size, width, queries, keys, written.scale, steps[:, -1].tolist(),
        np.column_stack([*places, of_bias]), site.threads, written.weights, bool(written.instead),
    )  # fmt: skip
    return _kernel(site, work, partial(_instead, written.instead) if written.instead else PLAIN, shape)


def _kernel(site: Site, work: Packed | Few, make: Make, shape: Shape) -> Kernel:
    """The kernel; how it changes scores, of ``shape``, if at all, is made in each run unless it is constant: by an order, or by
    ``make``."""
    masked, mask, own = site.type(3) is not None, site.array(3), work.scratch_bytes
    constant = make(np.empty(shape, np.float32), mask) if shape and (mask is not None or not masked) else None
    made = 4 * prod(shape) if shape and constant is None else 0
    turn = _turning(present(site.type(3)), shape) if made and make is PLAIN else None

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        q, k, v, *masks = inputs
        order, room = work.order(present(q), present(outputs[0]), k, scratch), scratch[own : own + made].view(np.float32)
        order[VALUES], order[BIAS] = address_of(v), address_of(room if made else constant)
        return np.stack([turn.order(present(masks[0]), room, room, scratch), order]) if turn is not None else order[None]

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        make(scratch[own : own + made].view(np.float32).reshape(shape), inputs[3])
        workers.carry_out(orders(inputs, outputs, scratch))

    macs = len(work.places) * work.queries * work.keys * (work.size + work.width)
    name, reads = "attention of few" if isinstance(work, Few) else "attention", (0, 1, 2, 3) if made else (0, 1, 2)
    if made and turn is None:
        return Kernel(name, run, reads, macs, scratch=own + made)
    return Kernel.of_orders(name, orders, reads=reads, macs=macs, scratch=own + made)


def _turning(mask: Shaped, shape: Shape) -> Shared | None:
    """The work of copying a mask of float32 to what is added to scores, see :func:`_bias_shape`; ``None`` for a boolean one."""
    dtype, size = mask
    if dtype != np.float32:
        return None
    turned = np.broadcast_to(np.atleast_2d(outline(size)).swapaxes(-1, -2), shape)
    return walk(present(copier(dtype)), shape, [view_of(turned, 4), View.whole(shape, 4)], 1)


def _before(past: Sequence[Shaped | None], new: Sequence[Shape]) -> int | None:
    """How many keys caches hold before new keys and values (batch, heads, sequence, size), if they fit to these."""
    if not any(past):
        return 0
    sizes = {cache[1][2] for cache in past if cache is not None and len(cache[1]) == 4}
    fit = (
        cache is not None and cache[0] == np.float32 and cache[1] == (*shape[:2], *sizes, shape[3])
        for cache, shape in zip(past, new, strict=True)
    )  # fmt: skip
    return sizes.pop() if len(sizes) == 1 and all(fit) else None


def _work(site: Site, heads: Sequence[Shape], bias: Shape, *, grows: bool) -> Packed | Few:
    """Where heads of queries, keys and values (batch, heads, sequence, size) lie, and a bias (batch or 1, heads or 1, keys,
    queries), unless it is ``()``. Keys and values are apart where the array of them ``grows``."""
    (batch, count, queries, size), _, (_, _, keys, width) = heads
    shapes = *heads, (batch, count, queries, width)
    ranks = [len(given(site.inputs, i)[1]) for i in range(3)] + [len(site.outputs[0][1])]
    apart = [rank == 4 or (grows and i in (1, 2)) for i, rank in enumerate(ranks)]
    found = [_places(shape, count, apart=alone) for shape, alone in zip(shapes, apart, strict=True)]
    every = *(place for place, _ in found), _bias_places(bias)
    places = [np.broadcast_to(place, (batch, count)).ravel() for place in every]
    scale = site.node.attribute("scale", None)
    return (Few if queries <= FEW else Packed)(
        size, width, queries, keys, 1 / sqrt(size) if scale is None else scale,
        [pitch for _, pitch in found], np.column_stack(places), site.threads,
    )  # fmt: skip


def _places(shape: Shape, heads: int, *, apart: bool) -> tuple[np.ndarray, int]:
    """Elements before each of ``heads`` (batch, heads) int64, and from a row to the next: of those of ``shape`` (batch, heads,
    sequence, size), which several may share, and which are ``apart`` or side by side."""
    batch, count, rows, size = shape
    steps, pitch = (rows * size, size) if apart else (size, count * size)
    return np.arange(batch)[:, None] * (count * rows * size) + np.arange(heads) // (heads // count) * steps, pitch


def _meet(q: Shape, k: Shape, v: Shape) -> bool:
    """Whether queries, keys and values (batch, heads, sequence, size) are as many, but for queries that share keys."""
    return q[0] == k[0] == v[0] and k[1:3] == v[1:3] and q[3] == k[3] and q[1] % k[1] == 0


def _masks(mask: Shaped, scores: Shape) -> bool:
    """Whether a mask, boolean or float32, has a number for each key, and is as large as ``scores`` or broadcast to them."""
    dtype, shape = mask
    known = dtype in (np.float32, np.bool_) and 2 <= len(shape) <= 4 and shape[-1] == scores[-1]
    return known and all(a in (1, b) for a, b in zip(shape[::-1], scores[::-1], strict=False))


def _hidden(site: Site, queries: int, keys: int, before: int) -> np.ndarray | None:
    """Which keys queries do not see whatever the mask says, boolean (keys, queries); ``before`` are before the first query."""
    causal, sides = site.node.attribute("is_causal", 0), ("left_window_size", "right_window_size")
    left, right = (site.node.attribute(side, -1) for side in sides)
    if not causal and left < 0 and right < 0:
        return None
    seen = visible_keys(queries, keys, np.full(1, before), None, causal=bool(causal), left=left, right=right)
    return None if seen.all() else np.ascontiguousarray(~seen[0, 0].T)


def _bias_shape(mask: Shape, scores: Shape) -> Shape:
    """The shape of what is added to ``scores`` (batch, heads, queries, keys) because of a mask: (batch or 1, heads or 1, keys,
    queries), without the first axes where the mask has not so many."""
    return *mask[:-2], scores[-1], scores[-2]


def _bias_places(bias: Shape) -> np.ndarray:
    """Elements before what is added to each head's scores, int64, of a bias as :func:`_bias_shape` has it, or none."""
    return np.arange(prod(bias[:-2])).reshape(bias[:-2]) * prod(bias[-2:])


def _bias(hidden: np.ndarray | None, out: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Fill ``out``, see :func:`_bias_shape`: the mask, or 0 and -inf for a boolean one, and -inf where keys are ``hidden``."""
    turned = None if mask is None else np.atleast_2d(mask).swapaxes(-1, -2)
    if turned is None or turned.dtype == np.bool_:
        out.fill(0)
    else:
        np.copyto(out, turned)
    if turned is not None and turned.dtype == np.bool_:
        np.copyto(out, -np.inf, where=~turned)
    if hidden is not None:
        np.copyto(out, -np.inf, where=hidden)
    return out


PLAIN = partial(_bias, None)
"""What makes a mask of the numbers that are added to scores."""


def _instead(values: Sequence[float], out: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Fill ``out`` with what scores become where a mask holds and where it does not."""
    assert mask is not None
    turned = np.atleast_2d(mask).swapaxes(-1, -2)
    out.fill(values[1])
    np.copyto(out, np.float32(values[0]), where=turned)
    return out
