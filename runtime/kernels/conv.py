"""Convolution from codebook indices: any kernel, stride, dilation, padding and number of groups, in one or two dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..plan.step import Epilogue
from ..plan.workers import Workers
from .layout import Lanes, Shape2D, cost, tiles
from .stream import Stream
from .tile import convolve

WORTH_SHARING = 200_000
"""Estimated cycles from which on a second thread saves more than waking it costs."""


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution with everything chosen: call it on arrays."""

    shape: Shape2D
    lanes: Lanes
    stream: Stream
    scale: np.ndarray
    shift: np.ndarray
    bounds: np.ndarray
    parts: int

    @cached_property
    def packed_floats(self) -> int:
        """Floats of one thread's packed block, whole cache lines."""
        most = int(np.diff(self.stream.block_channels).max(initial=1))
        return -(-most * self.lanes.vectors * self.lanes.V // 16) * 16

    @cached_property
    def scratch_floats(self) -> int:
        """Floats of scratch memory that one thread needs, whole cache lines."""
        return self.packed_floats + -(-self.shape.M * self.lanes.R * self.lanes.V // 16) * 16

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """Compute ``y`` from ``x``, both C-contiguous; ``scratch`` is ``4 * parts * scratch_floats`` bytes."""
        source, target = x.reshape(-1), y.reshape(-1)
        other = target if residual is None else residual.reshape(-1)
        table = self._tables[residual is not None]
        room, size = scratch.view(np.float32), self.scratch_floats
        shape, shares, fixed = self._tile, self._shares, self._fixed

        def work(part: int) -> None:
            convolve(*shape, source, target, other, room[part * size : (part + 1) * size], table, *fixed, shares[part])

        workers.each(work, len(shares))

    @cached_property
    def _tile(self) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
        """Two tuples whose lengths are the tile's."""
        return (False,) * self.lanes.R, (False,) * self.lanes.V

    @cached_property
    def _fixed(self) -> tuple[np.ndarray, ...]:
        """What the kernel reads in every run."""
        lanes, stream = self.lanes, self.stream
        return (
            lanes.row_input, lanes.row_shift, stream.block_channels, stream.block_visits, stream.channel, stream.flags,
            stream.start, stream.offset, stream.code, stream.codebook, self.scale, self.shift, self.bounds,
        )  # fmt: skip

    @cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        """The kernel's geometry, without and with a residual."""
        s = self.shape
        rows = (s.C, s.H, s.W, s.M, s.OH, s.OW, *s.strides, *s.begin, s.kernel[1], s.dilations[1])
        known = (*rows, self.lanes.along_columns, self.packed_floats)
        return np.array([*known, False], np.int64), np.array([*known, True], np.int64)

    @cached_property
    def _shares(self) -> list[np.ndarray]:
        """For each thread (first tile, last tile, first part of the channels, last part).

        Tiles are shared out when every thread gets about as many, channels otherwise; little work stays on one thread.
        """
        count, parts = tiles(self.shape, self.lanes), self.parts
        if cost(self.shape, self.lanes, self.stream.nonzeros) < WORTH_SHARING:
            shares = [(0, count, 0, parts)]
        elif count >= 8 * parts or count % parts == 0:
            shares = [(count * i // parts, count * (i + 1) // parts, 0, parts) for i in range(parts)]
        else:
            shares = [(0, count, i, i + 1) for i in range(parts)]
        return [np.array(share, np.int64) for share in shares]


def affine(epilogue: Epilogue, channels: int, bias: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift), float32 (channels,), of an epilogue with the operator's own bias taken in."""
    scale = np.ones(channels) if epilogue.scale is None else epilogue.scale
    shift = np.zeros(channels) if epilogue.shift is None else epilogue.shift
    if bias is not None:
        shift = shift + scale * bias
    return scale.astype(np.float32), shift.astype(np.float32)
