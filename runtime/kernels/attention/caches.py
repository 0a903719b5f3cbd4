"""Keys and values that come behind those of earlier runs: one array holds both, and is what attention reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from ...ops._shapes import Shape
from ...ops.attention import split_heads
from ...orders.order import Arrays
from ...orders.workers import Workers
from ..site import Kernel, Site

PAST = 4, 5
"""Inputs of an Attention: keys and values of earlier runs."""


def growing(site: Site, kernel: Kernel, shapes: Sequence[Shape]) -> Kernel:
    """A kernel that joins caches with keys and values to arrays of two ``shapes`` (batch, heads, sequence, size), the outputs
    for them where there are any, and has ``kernel`` read these."""
    reads, own = (*kernel.reads, *(PAST if site.type(PAST[0]) is not None else ())), -(-kernel.scratch // 64) * 64
    rooms = [own, own + 4 * prod(shapes[0]), own + 4 * prod(shapes[0]) + 4 * prod(shapes[1])]

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        joined = []
        for i, shape in enumerate(shapes):
            out = outputs[i + 1] if len(outputs) > i + 1 else None
            room = scratch[rooms[i] : rooms[i + 1]].view(np.float32).reshape(shape) if out is None else out
            _join(room, inputs[len(kernel.reads) + i] if len(inputs) > len(kernel.reads) else None, inputs[i + 1])
            joined.append(room)
        kernel.run([inputs[0], *joined, *inputs[3 : len(kernel.reads)]], outputs, scratch, workers)

    return replace(kernel, run=run, orders=None, reads=reads, scratch=rooms[2])


def _join(out: np.ndarray, past: np.ndarray | None, new: np.ndarray | None) -> None:
    """Fill ``out`` with what is ``past``, if anything, and with what is ``new`` behind it, heads apart or side by side."""
    before = 0 if past is None else past.shape[2]
    assert new is not None
    out[:, :, :before] = 0 if past is None else past
    out[:, :, before:] = split_heads(new, out.shape[1])
