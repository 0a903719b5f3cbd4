"""Convolution from codebook indices: any kernel, stride, dilation, padding and number of groups, in one or two dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..plan.step import Epilogue
from ..plan.workers import Workers
from .layout import Lanes, Shape2D, tiles
from .stream import Stream
from .tile import convolve


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

    @property
    def packed_floats(self) -> int:
        """Floats of one thread's packed block, whole cache lines."""
        most = int(np.diff(self.stream.block_channels).max(initial=1))
        return -(-most * self.lanes.vectors * self.lanes.V // 16) * 16

    @property
    def scratch_floats(self) -> int:
        """Floats of scratch memory that one thread needs, whole cache lines."""
        return self.packed_floats + -(-self.shape.M * self.lanes.R * self.lanes.V // 16) * 16

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """Compute ``y`` from ``x``, both C-contiguous; ``scratch`` is ``4 * parts * scratch_floats`` bytes."""
        lanes, stream = self.lanes, self.stream
        table = self._table(residual is not None)
        source, target = x.reshape(-1), y.reshape(-1)
        other = target if residual is None else residual.reshape(-1)
        room = scratch.view(np.float32)

        def work(part: int) -> None:
            convolve(
                (False,) * lanes.R, (False,) * lanes.V, source, target, other,
                room[part * self.scratch_floats : (part + 1) * self.scratch_floats],
                table, lanes.row_input, lanes.row_shift, stream.block_channels, stream.block_visits, stream.channel,
                stream.flags, stream.start, stream.offset, stream.code, stream.codebook, self.scale, self.shift,
                self.bounds, self._share(part),
            )  # fmt: skip

        workers.each(work, self.parts)

    def _table(self, residual: bool) -> np.ndarray:
        s = self.shape
        rows = (s.C, s.H, s.W, s.M, s.OH, s.OW, *s.strides, *s.begin, s.kernel[1], s.dilations[1])
        return np.array([*rows, self.lanes.along_columns, self.packed_floats, residual], np.int64)

    def _share(self, part: int) -> np.ndarray:
        """(first tile, last tile, first part of the channels, last part) of one thread: tiles are shared out when every
        thread gets about as many, channels otherwise."""
        count = tiles(self.shape, self.lanes)
        if count >= 8 * self.parts or count % self.parts == 0:
            return np.array([count * part // self.parts, count * (part + 1) // self.parts, 0, self.parts], np.int64)
        return np.array([0, count, part, part + 1], np.int64)


def affine(epilogue: Epilogue, channels: int, bias: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift), float32 (channels,), of an epilogue with the operator's own bias taken in."""
    scale = np.ones(channels) if epilogue.scale is None else epilogue.scale
    shift = np.zeros(channels) if epilogue.shift is None else epilogue.shift
    if bias is not None:
        shift = shift + scale * bias
    return scale.astype(np.float32), shift.astype(np.float32)
