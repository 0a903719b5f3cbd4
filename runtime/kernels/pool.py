"""Maximum and average pooling over windows in one or two dimensions, and means of whole planes."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from ..plan.step import Arrays, Kernel, Site
from ..plan.workers import Workers
from ._fold import fold_columns, fold_rows
from ._jit import jit
from ._memory import address
from .host import host_registers

PLANES_PER_PART = 16
"""Fewer planes than this are not worth another thread."""


@jit
def pool_planes(lanes, adds, kind, x, y, geometry, divisor_h, divisor_w, first, last):
    """Pool the planes ``[first, last)`` of ``x`` (planes, H, W) into ``y`` (planes, OH, OW), both C-contiguous.

    Rows of a window are folded first, into a line with margins for the padding; then its columns. ``geometry`` is int64 (KH,
    KW, stride_h, stride_w, dilation_h, dilation_w, top, left). The maximum is taken, or, where ``adds`` is not empty, the
    sum, divided by ``divisor_h[oh] * divisor_w[ow]``. ``lanes`` is as long as the vectors are wide, ``kind`` as the columns'
    stride up to 2, or 3.
    """
    V = len(lanes)
    KH, KW, stride_h, stride_w = geometry[0], geometry[1], geometry[2], geometry[3]
    dilation_h, dilation_w, top, left = geometry[4], geometry[5], geometry[6], geometry[7]
    _, H, W = x.shape
    _, OH, OW = y.shape
    start = np.float32(0) if len(adds) else np.float32(-np.inf)
    room = (OW + V - 1) // V * V
    reach = room * stride_w if stride_w <= 2 else (OW - 1) * stride_w + 1
    line = np.full(max(reach + (KW - 1) * dilation_w, left + W + V), start, np.float32)
    source, columns, target, divisors = address(x), address(line), address(y), address(divisor_w)
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
                    divisor_h[oh], divisors + 4 * ow,
                )  # fmt: skip


@jit(fastmath={"reassoc"})
def mean_of_planes(x, y):
    """Mean of each row of ``x`` (planes, elements) into ``y`` (planes,)."""
    for plane in range(len(x)):
        total = np.float32(0)
        for i in range(x.shape[1]):
            total += x[plane, i]
        y[plane] = total / np.float32(x.shape[1])


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
    geometry = np.array([n for part in parts for n in part], np.int64)
    average = node.op_type == "AveragePool"
    if average and seen.kernel == x[1][2:] and set(seen.output) == {1} and not any((*seen.begin, *seen.end)):
        return _mean(prod(x[1][:2]))
    counts = _divisors(seen, x[1][2:], bool(attributes.get("count_include_pad", 0)))
    divisors = [np.ones(1, np.float32)] * len(one) + counts
    source = (prod(x[1][:2]), *one, *x[1][2:])
    target = (prod(x[1][:2]), *one, *seen.output)
    threads = max(1, min(site.threads, source[0] // PLANES_PER_PART))
    pool = pool_planes.once()
    lanes, adds, kind = (((),) * n for n in (host_registers()[1], average, min(3, seen.strides[-1])))

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        planes, pooled = inputs[0], outputs[0]
        assert planes is not None
        assert pooled is not None
        a, b = planes.reshape(source), pooled.reshape(target)

        def work(part: int) -> None:
            first, last = source[0] * part // threads, source[0] * (part + 1) // threads
            pool(lanes, adds, kind, a, b, geometry, divisors[0], divisors[1], first, last)

        workers.each(work, threads)

    return Kernel("pool " + ("average" if average else "max"), run, (0,))


def _divisors(seen: Any, spatial: tuple[int, ...], include_pad: bool) -> list[np.ndarray]:
    """For each axis, how many positions of each window count in an average, float32; at least 1."""
    found = []
    for axis, size in enumerate(spatial):
        steps = np.arange(seen.output[axis])[:, None] * seen.strides[axis] - seen.begin[axis]
        places = steps + np.arange(seen.kernel[axis]) * seen.dilations[axis]
        low, high = (-seen.begin[axis], size + seen.end[axis]) if include_pad else (0, size)
        found.append(np.maximum(((places >= low) & (places < high)).sum(axis=1), 1).astype(np.float32))
    return found


def lower_global_average(site: Site) -> Kernel | None:
    """A kernel for a float32 GlobalAveragePool."""
    x = site.type(0)
    if x is None or x[0] != np.float32 or 0 in x[1]:
        return None
    return _mean(prod(x[1][:2]))


def _mean(planes: int) -> Kernel:
    mean = mean_of_planes.once()

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        source, target = inputs[0], outputs[0]
        assert source is not None
        assert target is not None
        mean(source.reshape(planes, -1), target.reshape(planes))

    return Kernel("mean of planes", run, (0,))
