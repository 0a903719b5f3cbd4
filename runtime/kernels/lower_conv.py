"""Which kernel runs a Conv."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..plan.step import Arrays, Kernel, Site
from ..plan.workers import Workers
from .conv import Conv, affine
from .fully_connected import fully_connected
from .host import host_registers
from .layout import Shape2D, Tiling, choose, cost
from .matrix import Matrix, matrix_of
from .stream import Stream, make_stream
from .whole_stream import make_whole_stream
from .winograd import conv as winograd

WINDOW_ATTRIBUTES = ("strides", "dilations", "pads", "auto_pad")


def lower_conv(site: Site) -> Kernel | None:
    """A kernel for a float32 Conv with constant weights in one or two dimensions."""
    shape = conv_shape(site)
    if shape is None or 1 not in site.constants or not site.all_float32 or (site.type(2) and 2 not in site.constants):
        return None
    if shape.covers_input:
        return fully_connected(site, shape.N, (0,), 1.0, site.array(2))
    nonzeros = site.prepare(("nonzeros", site.node.inputs[1]), lambda: _matrix(site).nonzeros)
    tiling = choose(shape.flattened, nonzeros, host_registers(), passing=site.passing)
    if tiling is None:
        return None
    cycles = cost(shape.flattened, tiling, nonzeros, host_registers()[1])
    return _by_winograd(site, shape, cycles) or _by_tiles(site, shape, tiling)


def _by_winograd(site: Site, shape: Shape2D, most: float) -> Kernel | None:
    """A kernel by Winograd's method where that takes fewer than ``most`` cycles, and weights are prepared for many runs."""
    if site.passing or not winograd.fits(shape):
        return None
    cut = winograd.cut(shape, host_registers())
    if winograd.cost(shape, cut) >= most:
        return None
    key = ("conv", site.node.inputs[1], "winograd", cut.T, cut.V)
    kernels = site.prepare(key, lambda: winograd.make_kernels(_matrix(site), shape.C, cut.T, cut.V))
    conv = winograd.WinogradConv(shape, cut, kernels, *_epilogue(site, shape), site.threads)
    return _kernel(f"conv winograd {cut.T}x{cut.R}x{cut.V}", conv, shape)


def _by_tiles(site: Site, shape: Shape2D, tiling: Tiling) -> Kernel:
    key = ("conv", site.node.inputs[1], tiling, shape.groups, site.threads)
    stream = site.prepare(key, lambda: _stream(_matrix(site), shape, tiling, site.threads))
    conv = Conv(shape.flattened, tiling, stream, *_epilogue(site, shape), site.threads)
    kind = f"conv {tiling.shape}{' whole' if tiling.whole else ''}"
    label = f"{kind} {tiling.T}x{tiling.R}x{tiling.V}" + ("" if stream.codebook is not None else " fp32")
    return _kernel(label, conv, shape)


def _epilogue(site: Site, shape: Shape2D) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scale, shift, bounds), the convolution's bias taken in."""
    bounds = np.array([site.epilogue.low, site.epilogue.high], np.float32)
    return *affine(site.epilogue, shape.M, site.array(2)), bounds


def _stream(matrix: Matrix, shape: Shape2D, tiling: Tiling, threads: int) -> Stream:
    if tiling.whole:
        return make_whole_stream(matrix, shape.C, tiling, threads)
    return make_stream(matrix, shape.C, shape.groups, tiling, threads)


def _matrix(site: Site) -> Matrix:
    return matrix_of(site.constants[1], (0,), site.node.inputs[1])


def _kernel(label: str, conv: Conv | winograd.WinogradConv, shape: Shape2D) -> Kernel:
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
        density=conv.density,
        weight_bytes=conv.weight_bytes,
        scratch=conv.scratch_bytes,
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
