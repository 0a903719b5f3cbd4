"""Convolutions with few outputs of a channel: windows of inputs become vectors, which meet whole weights in panels of channels.

Elsewhere outputs lie in the lanes of registers: of four columns, most of these would be empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...emit.memory import float_at, floats_at, put_float
from ...jit.jitted import jit
from ...orders.atomic import code_of, number_at
from ...orders.made_once import made_once
from ...orders.order import FACTS, PIECES, WORK, X, Y, whole_lines
from ...orders.shared import Shared, evenly, pieces_for
from ...orders.team import take
from ..matrices.panels import ByPanels, Panels
from ..matrices.products import Finish
from .geometry import DILATION_H, DILATION_W, KERNEL_H, KERNEL_W, LEFT, OH, OW, STRIDE_H, STRIDE_W, TOP, C, H, M, W, geometry_of
from .layout import Shape2D

COLLECTED, SPREAD = 2, 2
"""Cycles of one core for each input of a window, and for each output that is brought to its channel."""

PRODUCT, READ = 1, 0.3
"""Of one core for each vector of weights that a window meets, and for each weight that is read for all of them."""

MOST_OUTPUTS = 32
"""Outputs of a channel, at most: where there are more, they fill vectors well enough."""

BEGUN = 3000
"""Cycles of an order, about."""


@jit
def window_collector(kinds):
    """Address of the code that carries out an order, see :func:`collect_windows`."""
    return code_of(kinds, collect_windows)


@jit
def collect_windows(kinds, order, member):
    """Take pieces of the windows of the order at address ``order`` until none is left: ``x`` is (N, C, H, W), ``y`` (windows,
    C * taps), zeros where windows reach over an edge."""
    facts, piece = number_at(order, FACTS), take(order, member)
    columns, outputs = number_at(facts, OW), number_at(facts, OH) * number_at(facts, OW)
    image = 4 * number_at(facts, C) * number_at(facts, H) * number_at(facts, W)
    size = 4 * number_at(facts, C) * number_at(facts, KERNEL_H) * number_at(facts, KERNEL_W)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for window in range(number_at(work, 0), number_at(work, 1)):
            n, place = window // outputs, window % outputs
            top = place // columns * number_at(facts, STRIDE_H) - number_at(facts, TOP)
            left = place % columns * number_at(facts, STRIDE_W) - number_at(facts, LEFT)
            _collect(facts, number_at(order, X) + n * image, top, left, number_at(order, Y) + window * size)
        piece = take(order, member)


@jit
def _collect(facts, image, top, left, target):
    """Copy the window whose first input is in row ``top`` and column ``left``."""
    height, width, channels = number_at(facts, H), number_at(facts, W), number_at(facts, C)
    rows, columns, apart = number_at(facts, KERNEL_H), number_at(facts, KERNEL_W), number_at(facts, DILATION_W)
    taps, plane = rows * columns, height * width
    for kh in range(rows):
        h = top + kh * number_at(facts, DILATION_H)
        inside = 0 <= h < height
        if channels < columns and apart == 1:
            low, high = (min(max(-left, 0), columns), max(min(width - left, columns), 0)) if inside else (columns, columns)
            for c in range(channels):
                line = floats_at(target + 4 * (c * taps + kh * columns), columns)
                source = floats_at(image + 4 * (c * plane + h * width + left), columns)
                for k in range(low):
                    line[k] = 0
                for k in range(low, high):
                    line[k] = source[k]
                for k in range(max(low, high), columns):
                    line[k] = 0
            continue
        for kw in range(columns):
            w, place = left + kw * apart, target + 4 * (kh * columns + kw)
            if inside and 0 <= w < width:
                source = image + 4 * (h * width + w)
                for c in range(channels):
                    put_float(place + 4 * c * taps, float_at(source + 4 * c * plane))
            else:
                for c in range(channels):
                    put_float(place + 4 * c * taps, np.float32(0))


@jit
def output_spreader(kinds):
    """Address of the code that carries out an order, see :func:`spread_outputs`."""
    return code_of(kinds, spread_outputs)


@jit
def spread_outputs(kinds, order, member):
    """Take pieces of the images of the order at address ``order`` until none is left: ``x`` (N, outputs, M) becomes ``y``
    (N, M, outputs)."""
    facts, piece = number_at(order, FACTS), take(order, member)
    channels, outputs = number_at(facts, M), number_at(facts, OH) * number_at(facts, OW)
    while piece < number_at(order, PIECES):
        work = number_at(order, WORK) + 8 * piece
        for n in range(number_at(work, 0), number_at(work, 1)):
            offset = 4 * n * channels * outputs
            source, target = number_at(order, X) + offset, number_at(order, Y) + offset
            for place in range(outputs):
                for m in range(channels):
                    value = float_at(source + 4 * (place * channels + m))
                    put_float(target + 4 * (m * outputs + place), value)
        piece = take(order, member)


def fits_windows(shape: Shape2D, *, residual: bool) -> bool:
    """Whether outputs of a channel are few: one alone where there is a ``residual``."""
    most = 1 if residual else MOST_OUTPUTS
    return shape.groups == 1 and most >= shape.OH * shape.OW


def cost_windows(shape: Shape2D, width: int) -> float:
    """Estimated cycles of one thread, on a core whose vectors have ``width`` lanes."""
    windows, K = shape.N * shape.OH * shape.OW, shape.C * shape.taps
    moved = windows * (COLLECTED * K + SPREAD * shape.M)
    return moved + K * shape.M * (windows * PRODUCT / width + READ) + 3 * BEGUN


@dataclass(frozen=True, eq=False)
class ByWindows:
    """A convolution of ``shape`` with ``panels`` of weights (C * taps, M), on ``parts`` threads."""

    shape: Shape2D
    panels: Panels
    finish: Finish
    parts: int

    @property
    def label(self) -> str:
        """What weights are."""
        return f"conv of windows, {self._product.label}"

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a run reads."""
        return self.panels.bytes

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory: windows, their outputs unless these lie as they should, and what the product needs."""
        return sum(self._bytes) + self._product.scratch

    def orders(self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray) -> np.ndarray:
        """For ``x`` (N, C, H, W) and ``y`` (N, M, OH, OW), C-contiguous; a residual only where a channel has one output."""
        shape, (windows, outputs) = self.shape, self._bytes
        count, K = shape.N * shape.OH * shape.OW, shape.C * shape.taps
        rows = scratch[: 4 * count * K].view(np.float32).reshape(count, K)
        made = scratch[windows : windows + 4 * count * shape.M].view(np.float32).reshape(count, shape.M) if outputs else y
        rest = scratch[windows + outputs :]
        orders = [self._collector.order(x, rows, None, rest)[None], self._product.orders(rows, made, residual, rest)]
        return np.concatenate([*orders, self._spreader.order(made, y, None, rest)[None]] if outputs else orders)

    @made_once
    def _product(self) -> ByPanels:
        shape = self.shape
        return ByPanels(self.panels, (shape.N * shape.OH * shape.OW, shape.C * shape.taps, shape.M), self.finish, self.parts)

    @made_once
    def _bytes(self) -> tuple[int, int]:
        """Bytes of windows and of their outputs, whole cache lines."""
        shape, outputs = self.shape, self.shape.OH * self.shape.OW
        counts = outputs * shape.C * shape.taps, outputs * shape.M * (outputs > 1)
        return whole_lines(4 * shape.N * counts[0]), whole_lines(4 * shape.N * counts[1])

    @made_once
    def _geometry(self) -> np.ndarray:
        return geometry_of(self.shape, 0)

    @made_once
    def _collector(self) -> Shared:
        return self._shared(window_collector, self.shape.N * self.shape.OH * self.shape.OW)

    @made_once
    def _spreader(self) -> Shared:
        return self._shared(output_spreader, self.shape.N)

    def _shared(self, made: Callable[[tuple[()]], int], count: int) -> Shared:
        pieces = pieces_for(self.parts, count)
        return Shared(lambda: made(()), pieces, self.parts, evenly(count, pieces), self._geometry)
