"""Convolution from codebook indices: any kernel, stride, dilation, padding and number of groups, in one or two dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..plan.step import Arrays, Epilogue, Kernel, Site
from ..plan.workers import Workers
from .host import host_registers
from .layout import Lanes, Shape2D, choose, tiles
from .matrix import Matrix, matrix_of
from .stream import Stream, make_stream
from .tile import convolve

NOTHING = np.zeros(1, np.float32)
WINDOW_ATTRIBUTES = ("strides", "dilations", "pads", "auto_pad")


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
        other = NOTHING if residual is None else residual.reshape(-1)
        source, target = x.reshape(-1), y.reshape(-1)
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


def lower_conv(site: Site) -> Kernel | None:
    """A kernel for a float32 Conv with constant weights in one or two dimensions."""
    shape = conv_shape(site)
    if shape is None or 1 not in site.constants or not site.all_float32 or (site.type(2) and 2 not in site.constants):
        return None
    name = site.node.inputs[1]
    counted = site.prepare(("nonzeros", name), lambda: _matrix(site).nonzeros)
    flat = shape.flattened
    lanes = choose(flat, counted, host_registers())
    if lanes.block * lanes.vectors > 1 << 16:
        return None
    key = ("conv", name, lanes, shape.groups, site.threads)
    stream = site.prepare(key, lambda: make_stream(_matrix(site), shape.C, shape.groups, lanes, site.threads))
    scale, shift = affine(site.epilogue, shape.M, site.array(2))
    bounds = np.array([site.epilogue.low, site.epilogue.high], np.float32)
    conv = Conv(flat, lanes, stream, scale, shift, bounds, site.threads)
    label = f"conv {lanes.R}x{lanes.V} {stream.code.dtype.name}"
    return _kernel(label, conv, shape)


def _matrix(site: Site) -> Matrix:
    return matrix_of(site.constants[1], (0,), site.node.inputs[1])


def _kernel(label: str, conv: Conv, shape: Shape2D) -> Kernel:
    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        x, y = inputs[0], outputs[0]
        assert x is not None
        assert y is not None
        conv(x, y, inputs[1] if len(inputs) > 1 else None, scratch, workers)

    weights = shape.M * (shape.C // shape.groups) * shape.taps
    return Kernel(
        label,
        run,
        reads=(0,),
        macs=weights * shape.N * shape.OH * shape.OW,
        density=conv.stream.nonzeros / weights if weights else 0.0,
        weight_bytes=conv.stream.bytes,
        scratch=4 * conv.parts * conv.scratch_floats,
    )


def conv_shape(site: Site) -> Shape2D | None:
    """The convolution of a site as a two-dimensional one, or ``None`` when it has more dimensions or no elements."""
    from ..ops._window import window

    x, w, y = site.type(0), site.type(1), site.outputs[0]
    if x is None or w is None or len(x[1]) not in (3, 4) or 0 in (*x[1], *w[1], *y[1]):
        return None
    attributes: Mapping[str, Any] = site.node.attributes
    seen = window(x[1][2:], w[1][2:], **{k: attributes[k] for k in WINDOW_ATTRIBUTES if k in attributes})
    one = (1,) * (4 - len(x[1]))
    height, width = (*one, *x[1][2:])
    above, left = (*(0,) * len(one), *seen.begin)
    return Shape2D(
        N=x[1][0], C=x[1][1], H=height, W=width, M=w[1][0], OH=(*one, *seen.output)[0], OW=seen.output[-1],
        kernel=_pair(one + seen.kernel), strides=_pair(one + seen.strides), dilations=_pair(one + seen.dilations),
        begin=(above, left), groups=attributes.get("group", 1),
    )  # fmt: skip


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    return values[0], values[1]


def affine(epilogue: Epilogue, channels: int, bias: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift), float32 (channels,), of an epilogue with the operator's own bias taken in."""
    scale = np.ones(channels) if epilogue.scale is None else epilogue.scale
    shift = np.zeros(channels) if epilogue.shift is None else epilogue.shift
    if bias is not None:
        shift = shift + scale * bias
    return scale.astype(np.float32), shift.astype(np.float32)
