"""Local response normalisation across channels."""

from __future__ import annotations

from math import prod

import numpy as np

from ..plan.step import Arrays, Kernel, Site
from ..plan.workers import Workers
from ._jit import jit

CHUNK = 256
"""Positions normalised together: their sums stay in the first-level cache."""


@jit
def normalise(x, y, before, size, factor, beta, bias, first, last):
    """LRN of ``x`` into ``y``, both (N, C, positions), for the chunks ``[first, last)`` of :data:`CHUNK` positions."""
    _, C, positions = x.shape
    chunks = (positions + CHUNK - 1) // CHUNK
    sums = np.empty(CHUNK, np.float32)
    for item in range(first, last):
        n, begin = item // chunks, item % chunks * CHUNK
        count = min(CHUNK, positions - begin)
        for c in range(C):
            sums[:] = 0
            for other in range(max(0, c - before), min(C, c - before + size)):
                line = x[n, other, begin : begin + count]
                for i in range(count):
                    sums[i] += line[i] * line[i]
            line, out = x[n, c, begin : begin + count], y[n, c, begin : begin + count]
            if beta == np.float32(0.75):
                for i in range(count):
                    root = np.sqrt(bias + factor * sums[i])
                    out[i] = line[i] / (root * np.sqrt(root))
            else:
                for i in range(count):
                    out[i] = line[i] * np.exp(-beta * np.log(bias + factor * sums[i]))


def lower_lrn(site: Site) -> Kernel | None:
    """A kernel for a float32 LRN."""
    node, x = site.node, site.type(0)
    if x is None or x[0] != np.float32 or 0 in x[1]:
        return None
    size = node.attribute("size")
    constants = (node.attribute("alpha", 1e-4) / size, node.attribute("beta", 0.75), node.attribute("bias", 1.0))
    factor, beta, bias = map(np.float32, constants)
    shape = (*x[1][:2], prod(x[1][2:]))
    items = shape[0] * -(-shape[2] // CHUNK)
    threads, kernel = min(site.threads, items), normalise.once()

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        source, target = inputs[0], outputs[0]
        assert source is not None
        assert target is not None
        a, b = source.reshape(shape), target.reshape(shape)

        def work(part: int) -> None:
            span = items * part // threads, items * (part + 1) // threads
            kernel(a, b, (size - 1) // 2, size, factor, beta, bias, *span)

        workers.each(work, threads)

    return Kernel("lrn", run, (0,))
