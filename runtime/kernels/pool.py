"""Maximum and average pooling over windows in one or two dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from ..plan.step import Kernel, Site
from ._atomic import add_at, code_of, number_at
from ._fold import fold_columns, fold_rows
from ._jit import jit
from ._memory import address, float_at
from .host import host_registers
from .order import FACTS, NEXT, PIECES, WORK, X, Y
from .rowwise import mean_of_rows
from .shared import Shared, evenly, one_order

MOST_PIECES, PIECE = 4, 10_000
"""Pieces of work for each thread, at most, and the elements in the windows of one, at least."""


@jit
def pooler(lanes, adds, kind):
    """Address of the code that carries out an order, see :func:`pool_planes`."""
    return code_of((lanes, adds, kind), pool_planes)


@jit
def pool_planes(kinds, order):
    """Take pieces of the planes of the order at address ``order`` until none is left: ``x`` is (planes, H, W), ``y`` (planes,
    OH, OW).

    Facts are int64 (KH, KW, stride_h, stride_w, dilation_h, dilation_w, top, left, H, W, OH, OW), then the addresses of
    divisors. The maximum is taken, or, where ``adds`` is not empty, the sum, divided by ``divisor_h[oh] * divisor_w[ow]``.
    ``lanes`` is as long as the vectors are wide, ``kind`` as the columns' stride up to 2, or 3.
    """
    facts, V = number_at(order, FACTS), len(kinds[0])
    KW, stride_w, dilation_w = number_at(facts, 1), number_at(facts, 3), number_at(facts, 5)
    left, W, OW = number_at(facts, 7), number_at(facts, 9), number_at(facts, 11)
    start = np.float32(0) if len(kinds[1]) else np.float32(-np.inf)
    room = (OW + V - 1) // V * V
    reach = room * stride_w if stride_w <= 2 else (OW - 1) * stride_w + 1
    line = np.full(max(reach + (KW - 1) * dilation_w, left + W + V), start, np.float32)
    piece = add_at(order + 8 * NEXT, 1)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        _pool(kinds, facts, number_at(order, X), number_at(order, Y), address(line), number_at(work, 0), number_at(work, 1))
        piece = add_at(order + 8 * NEXT, 1)


@jit
def _pool(kinds, facts, source, target, columns, first, last):
    """Pool the planes ``[first, last)``: rows of a window are folded first, into a line at ``columns`` with margins for the
    padding; then its columns."""
    lanes, adds, kind = kinds
    V = len(lanes)
    KH, KW, stride_h, stride_w = number_at(facts, 0), number_at(facts, 1), number_at(facts, 2), number_at(facts, 3)
    dilation_h, dilation_w, top, left = number_at(facts, 4), number_at(facts, 5), number_at(facts, 6), number_at(facts, 7)
    H, W, OH, OW = number_at(facts, 8), number_at(facts, 9), number_at(facts, 10), number_at(facts, 11)
    divisor_h, divisor_w = number_at(facts, 12), number_at(facts, 13)
    for plane in range(first, last):
        for oh in range(OH):
            ih = oh * stride_h - top
            skipped = max(0, (dilation_h - 1 - ih) // dilation_h)
            rows = min(KH, (H - 1 - ih) // dilation_h + 1) - skipped
            row = source + 4 * (plane * H + ih + skipped * dilation_h) * W
            for iw in range(0, W, V):
                fold_rows(lanes, adds, columns + 4 * (left + iw), row + 4 * iw, 4 * dilation_h * W, rows, W - iw)
            result = target + 4 * (plane * OH + oh) * OW
            for ow in range(0, OW, V):
                begin = columns + 4 * ow * stride_w
                fold_columns(
                    lanes, adds, kind, result + 4 * ow, begin, stride_w, dilation_w, KW, min(V, OW - ow),
                    float_at(divisor_h + 4 * oh), divisor_w + 4 * ow,
                )  # fmt: skip


def lower_pool(site: Site) -> Kernel | None:
    """A kernel for a float32 MaxPool (without indices) or AveragePool in one or two dimensions."""
    from ..ops._window import window

    node, x, y = site.node, site.type(0), site.outputs[0]
    if x is None or len(site.outputs) != 1 or x[0] != np.float32 or len(x[1]) not in (3, 4) or 0 in (*x[1], *y[1]):
        return None
    attributes: Mapping[str, Any] = node.attributes
    names = ("auto_pad", "ceil_mode", "dilations", "pads", "strides")
    seen = window(x[1][2:], attributes["kernel_shape"], **{k: attributes[k] for k in names if k in attributes})
    one, zero = (1,) * (4 - len(x[1])), (0,) * (4 - len(x[1]))
    parts = (one + seen.kernel, one + seen.strides, one + seen.dilations, zero + seen.begin)
    average = node.op_type == "AveragePool"
    if average and seen.kernel == x[1][2:] and set(seen.output) == {1} and not any((*seen.begin, *seen.end)):
        return mean_of_rows(prod(x[1][:2]), prod(x[1][2:]), site.threads)
    counts = _divisors(seen, x[1][2:], bool(attributes.get("count_include_pad", 0)))
    divisors = [np.ones(1, np.float32)] * len(one) + counts
    source = (prod(x[1][:2]), *one, *x[1][2:])
    target = (prod(x[1][:2]), *one, *seen.output)
    places = [divisor.ctypes.data for divisor in divisors]
    facts = np.array([*(n for part in parts for n in part), *source[1:], *target[1:], *places], np.int64)
    kinds = [((),) * n for n in (host_registers()[1], average, min(3, seen.strides[-1]))]
    most = min(source[0], MOST_PIECES * site.threads, prod(target) * prod(seen.kernel) // PIECE)
    pieces = 1 if site.threads == 1 else max(1, most)
    shared = Shared(lambda: pooler(*kinds), pieces, evenly(source[0], pieces), facts, tuple(divisors))
    return Kernel.of_orders("pool " + ("average" if average else "max"), one_order(shared), reads=(0,))


def _divisors(seen: Any, spatial: tuple[int, ...], include_pad: bool) -> list[np.ndarray]:
    """For each axis, how many positions of each window count in an average, float32; at least 1."""
    found = []
    for axis, size in enumerate(spatial):
        steps = np.arange(seen.output[axis])[:, None] * seen.strides[axis] - seen.begin[axis]
        places = steps + np.arange(seen.kernel[axis]) * seen.dilations[axis]
        low, high = (-seen.begin[axis], size + seen.end[axis]) if include_pad else (0, size)
        found.append(np.maximum(((places >= low) & (places < high)).sum(axis=1), 1).astype(np.float32))
    return found
