"""ConvInteger and QLinearConv of 8-bit images: products of weights and patches, tile by tile, sums in int32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...ops import Window
from ...ops.conv import Geometry
from ...orders.order import Arrays, present
from ...orders.workers import Workers
from ..site import Kernel, Site
from .arithmetic import multiply
from .depthwise import Depthwise
from .matmul import A_SCALE, B_SCALE, BYTES, PLACES, Y_SCALE, Y_ZERO, fits, rescaled, zeros

TILE_ELEMENTS = 1 << 17
"""Of the patches that are multiplied at a time: they stay in a core's own cache."""


def lower_integer_conv(site: Site) -> Kernel | None:
    """A kernel for images with one zero point; the weights, and theirs (one, or one an output), must be constant."""
    x, x_zero, w, w_zero = (site.type(index) for index in PLACES[site.node.op_type])
    if x is None or w is None or not {x[0], w[0]} <= BYTES or 0 in x[1] + w[1] + site.outputs[0][1]:
        return None
    if not (fits(x_zero, 1) and fits(w_zero, w[1][0]) and fits(site.type(Y_ZERO), 1) and fits(site.type(Y_SCALE), 1)):
        return None
    _, _, w_at, zero_at = PLACES[site.node.op_type]
    if w_at not in site.constants or (w_zero is not None and zero_at not in site.constants):
        return None
    rescales = site.node.op_type == "QLinearConv"
    if rescales and not (site.outputs[0][0] in BYTES and fits(site.type(A_SCALE), 1) and fits(site.type(B_SCALE), w[1][0])):
        return None
    attributes: dict[str, Any] = dict(site.node.attributes)
    geometry = Geometry(**attributes)
    names = site.node.inputs[w_at : zero_at + 1]
    weights = site.prepare(("integer conv", *names, geometry.group), lambda: _centred(site, w_at, zero_at, geometry.group))
    conv = (Patchwise if w[1][1] > 1 else Depthwise)(weights, geometry.window(x[1], w[1]), rescales)
    reads = tuple(i for i, shaped in enumerate(site.inputs) if shaped is not None and i not in (w_at, zero_at))

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        conv.run({i: a for i, a in zip(reads, inputs, strict=True) if a is not None}, present(outputs[0]), workers)

    return Kernel(
        f"integer conv {x[0].name} {w[0].name}",
        run,
        reads,
        macs=prod(w[1][1:]) * prod(site.outputs[0][1]),
        density=float(np.count_nonzero(weights)) / weights.size,
        weight_bytes=weights.nbytes,
    )


def _centred(site: Site, at: int, zero_at: int, groups: int) -> np.ndarray:
    """The weights less their zero points, (groups, M/groups, C/groups * taps) int16."""
    w = present(site.array(at))
    shift = zeros(site.array(zero_at), len(w)).astype(np.int16)
    return (w.astype(np.int16).reshape(len(w), -1) - shift[:, None]).reshape(groups, len(w) // groups, -1)


@dataclass(frozen=True, eq=False)
class Patchwise:
    """By patches: ``weights`` (groups, M/groups, C/groups * taps) int16, centred, and the window that they slide."""

    weights: np.ndarray
    window: Window
    rescales: bool

    def run(self, given: Mapping[int, np.ndarray], output: np.ndarray, workers: Workers) -> None:
        """Fill ``output`` (N, M, \\*spatial) image after image, tiles spread over the threads; ``given``: inputs by number."""
        groups, outputs, inner = self.weights.shape
        zero = given[2].reshape(()).astype(np.int16) if 2 in given else np.int16(0)
        lines, width = self.window.output[0], prod(self.window.output[1:])
        height = max(1, min(lines, TILE_ELEMENTS // (inner * width)))
        tiles = [(group, first) for group in range(groups) for first in range(0, lines, height)]
        parts = min(workers.count, len(tiles))
        for image, result in zip(given[0], output, strict=True):
            padded = self.window.pad(np.subtract(image, zero, dtype=np.int16))
            channels = padded.reshape(groups, -1, *padded.shape[1:])
            results = result.reshape(groups, outputs, lines, width)

            def work(part: int, channels: np.ndarray = channels, results: np.ndarray = results) -> None:
                for group, first in tiles[part::parts]:
                    target = results[group, :, first : first + height]
                    patches = self._patches(channels[group], first, target.shape[1])
                    sums = np.empty((outputs, patches.shape[1]), np.int32)
                    multiply(self.weights[group], patches, np.zeros(patches.shape[1], np.int32), sums)
                    rows = slice(group * outputs, (group + 1) * outputs)
                    found = rescaled(given, sums, rows, target.dtype) if self.rescales else sums
                    np.copyto(target, found.reshape(target.shape))

            workers.each(work, parts)

    def _patches(self, channels: np.ndarray, first: int, count: int) -> np.ndarray:
        """What ``count`` lines of the output from ``first`` on see of ``channels`` (C/groups, \\*padded): (inner, elements)."""
        seen = self.window
        patches = np.empty((len(channels), *seen.kernel, count, *seen.output[1:]), np.int16)
        for position, view in seen.views(channels):
            patches[(slice(None), *position)] = view[:, first : first + count]
        return patches.reshape(self.weights.shape[2], -1)
