"""Which kernel runs a Conv."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from typing import Any, TypeAlias

import numpy as np

from ...decode.coded import CodedTensor
from ...decode.encoded import EncodedTensor
from ...jit.ahead import foresee
from ...jit.host import host_registers
from ...ops.conv import Geometry
from ...orders.order import Arrays, operands
from ...orders.shared import one_order, sharing
from ...orders.workers import Workers
from ..matrices.fully_connected import fully_connected
from ..matrices.matrix import Matrix, matrix_of
from ..matrices.panels import make_panels
from ..matrices.products import Finish
from ..pooling.geometry import pooling_of
from ..site import Kernel, Site
from ..tiles.cut import Cut
from .cost_model import choose, cost, has_tilings, least_cost
from .dense.conv import DenseConv, cost_dense, cut_dense, dense_weights, with_lone
from .dense.pooled import pooled
from .depthwise.conv import DepthwiseConv, cost_depthwise, cut_depthwise, depthwise_weights, fits_depthwise
from .depthwise.emit import Tile
from .layout import Shape2D, Tiling, tiles
from .pieces import InPieces
from .polyphase.conv import PolyphaseConv, cost_polyphase, cut_polyphase, fits_polyphase, polyphase_weights
from .sparse.conv import SparseConv, cuts_of
from .sparse.stream import Arrangement, arrange, list_entries, make_stream
from .sparse.streamed import StreamedConv, lists_rows
from .sparse.visits import visits
from .windows import ByWindows, cost_windows, fits_windows
from .winograd.conv import TileCut, WinogradConv, cost_winograd, cut_winograd, fits_winograd, winograd_weights

Way: TypeAlias = "tuple[float, Callable[[], Kernel | None]]"
"""Estimated cycles of a way to run a convolution, and what makes its kernel."""

PREPARED = 10
"""Cycles of bringing one weight, zeros included, into the order of a dense convolution."""


def lower_conv(site: Site) -> Kernel | None:
    """A kernel for a float32 Conv with constant weights in one or two dimensions: the one that is estimated to be quickest."""
    shape = conv_shape(site)
    if shape is None or 1 not in site.constants or not site.all_float32 or (site.type(2) and 2 not in site.constants):
        return None
    if shape.covers_input:
        return fully_connected(site, shape.N, (0,), 1.0, site.array(2))
    every = min(_ways(site, shape), key=_estimate, default=None)
    ways = [*_sparse(site, shape, inf if every is None else every[0]), *([every] if every else [])]
    return min(ways, key=_estimate)[1]() if ways else None


def _estimate(way: Way) -> float:
    return way[0]


def _sparse(site: Site, shape: Shape2D, below: float) -> Iterator[Way]:
    """The way by tiles, which meets nonzero weights alone, unless they are so many that it cannot take fewer cycles than
    ``below``: there are many tilings to look at."""
    flat, registers, threads = shape.flattened, host_registers(), site.threads
    nonzeros = site.prepare(("nonzeros", site.node.inputs[1]), lambda: _matrix(site).nonzeros)
    if least_cost(flat, nonzeros, registers[1], threads) > below:
        return
    tiling = choose(flat, nonzeros, registers, threads, passing=site.passing)
    if tiling is not None:
        cuts, passing = cuts_of(flat, tiling, nonzeros, threads), site.passing
        yield cost(flat, tiling, nonzeros, registers[1], threads, passing=passing), lambda: _by_tiles(site, shape, tiling, cuts)


def _ways(site: Site, shape: Shape2D) -> Iterator[Way]:
    """Ways that multiply by every weight."""
    flat, registers, threads = shape.flattened, host_registers(), site.threads
    width = registers[1]
    if shape.groups == 1 and has_tilings(flat, registers):
        cut = cut_dense(shape.lined, registers, threads)
        prepared = PREPARED * shape.dense if site.passing else 0
        alone = cost_dense(shape.lined, cut, width)
        yield cost_dense(shape.lined, cut, width, threads) + prepared, lambda: _dense(site, shape, cut, sharing(threads, alone))
    if fits_depthwise(flat):
        tile = cut_depthwise(flat, registers)
        whole = cost_depthwise(flat, tile)
        yield cost_depthwise(flat, tile, threads), lambda: _depthwise(site, flat, tile, sharing(threads, whole))
    if fits_windows(shape, residual=bool(site.epilogue.residual)) and not site.passing:
        needed = cost_windows(shape, width)
        yield needed / threads, lambda: _by_windows(site, shape, sharing(threads, needed))
    if fits_polyphase(shape, registers) and not site.passing:
        paired = cut_polyphase(shape, registers, threads)
        lone = cost_polyphase(shape, paired, width)
        yield cost_polyphase(shape, paired, width, threads), lambda: _by_polyphase(site, shape, paired, sharing(threads, lone))
    if fits_winograd(shape) and not site.passing:
        tiled = cut_winograd(shape, registers)
        needed = cost_winograd(shape, tiled, width)
        yield cost_winograd(shape, tiled, width, threads), lambda: _by_winograd(site, shape, tiled, sharing(threads, needed))


def _by_tiles(site: Site, shape: Shape2D, tiling: Tiling, cuts: int) -> Kernel:
    label = f"{tiling.shape if tiling.shifts == 1 else 'shifted'} {tiling.T}x{tiling.R}x{tiling.V}"
    key = (site.node.inputs[1], tiling, shape.groups, cuts)
    how = shape.C, shape.groups, tiling, cuts
    if not site.passing:
        stream = site.prepare(("conv", *key), lambda: make_stream(_matrix(site), *how))
    else:
        made = site.keep(("arranged", *key), lambda: arrange(_matrix(site), *how))
        coded = site.constants[1].blocks if isinstance(site.constants[1], EncodedTensor) else None
        if coded is not None and tiling.T == 1 and lists_rows(coded):
            return _streamed(f"streamed conv {label}", site, shape, tiling, made, coded)
        stream = list_entries(_matrix(site), made, shape.C, shape.groups, tiling)
    conv = SparseConv(shape.flattened, tiling, stream, *_epilogue(site, shape), site.threads)
    foresee(visits, conv.tile)
    label += "" if stream.codebook is not None else " fp32"
    kernel, alone = _kernel(f"conv {label}", conv, shape), tiling.shape == "flat" and tiles(shape.flattened, tiling) == shape.N
    if site.epilogue.residual or not alone:
        return kernel
    averaged = replace(conv, mean=True)
    return replace(kernel, then=lambda following: _averaged(f"conv mean of {label}", averaged, shape, following))


def _averaged(label: str, conv: SparseConv, shape: Shape2D, following: Site) -> Kernel | None:
    """A kernel for a convolution and the means of its channels, where that is what follows."""
    from ...ops.global_pooling import averages_planes

    pooling = pooling_of(following) if following.node.op_type == "AveragePool" else None
    if not averages_planes(following) and (pooling is None or not pooling.whole):
        return None
    foresee(visits, conv.tile)
    return _kernel(label, conv, shape)


def _streamed(label: str, site: Site, shape: Shape2D, tiling: Tiling, made: Arrangement, coded: CodedTensor) -> Kernel:
    """A kernel that lists its entries from blocks that it decodes."""
    entries = made.stream(np.empty(0, np.uint32), np.ascontiguousarray(coded.codebook, np.float32), int(coded.entries.ends[-1]))
    conv = SparseConv(shape.flattened, tiling, entries, *_epilogue(site, shape), site.threads)
    streamed = StreamedConv(coded, made, conv)

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        streamed(*operands(inputs, outputs), scratch, workers)

    facts = _facts(conv, shape) | {"weight_bytes": streamed.bytes, "scratch": streamed.scratch, "streams": True}
    return Kernel(label, run, **facts)


def _dense(site: Site, shape: Shape2D, cut: Cut, parts: int) -> Kernel:
    key = ("conv", site.node.inputs[1], "dense", cut.T)
    weights, codebook = site.prepare(key, lambda: dense_weights(_matrix(site), cut.T))
    scale, shift, bounds = _epilogue(site, shape)
    cut = cut if codebook is not None else with_lone(shape.lined, cut, host_registers())
    conv = DenseConv(shape.lined, cut, weights, codebook, scale, shift, bounds, parts)
    kernel = _in_pieces(shape, "dense", conv)
    if site.epilogue.residual:
        return kernel
    by_rows = replace(conv, shape=shape.flattened)
    return replace(kernel, then=lambda following: _pooled(shape, by_rows, following))


def _pooled(shape: Shape2D, conv: DenseConv, following: Site) -> Kernel | None:
    """A kernel for a convolution and the pool of its outputs, where that is what follows."""
    if following.node.op_type not in ("MaxPool", "AveragePool"):
        return None
    pooling = pooling_of(following)
    both = None if pooling is None else pooled(conv, pooling)
    if pooling is None or both is None:
        return None
    foresee(*both.kernel)
    return _in_pieces(shape, f"{pooling.name} of dense", both)


def _depthwise(site: Site, shape: Shape2D, tile: Tile, parts: int) -> Kernel:
    weights = site.prepare(("conv", site.node.inputs[1], "depthwise"), lambda: depthwise_weights(_matrix(site), shape))
    conv = DepthwiseConv(shape, tile, weights, *_epilogue(site, shape), parts, bool(site.epilogue.residual))
    foresee(*conv.kernel)
    return _kernel(f"conv depthwise {tile.rows}x{tile.vectors}x{tile.lanes}", conv, shape)


def _by_winograd(site: Site, shape: Shape2D, cut: TileCut, parts: int) -> Kernel:
    key = ("conv", site.node.inputs[1], "winograd", cut.T, cut.V)
    weights, codebook = site.prepare(key, lambda: winograd_weights(_matrix(site), shape.C, cut.T, cut.V))
    scale, shift, bounds = _epilogue(site, shape)
    conv = WinogradConv(shape, cut, weights, codebook, scale, shift, bounds, parts)
    foresee(*conv.kernel)
    kernel, halved = _in_pieces(shape, "winograd", conv), replace(conv, halved=True)
    return kernel if site.epilogue.residual else replace(kernel, then=lambda following: _halved(shape, halved, following))


def _halved(shape: Shape2D, conv: WinogradConv, following: Site) -> Kernel | None:
    """A kernel for a convolution and the maxima of 2 x 2 outputs, where that is what follows."""
    pooling = pooling_of(following) if following.node.op_type == "MaxPool" else None
    if pooling is None or not pooling.halves:
        return None
    foresee(*conv.kernel)
    return _in_pieces(shape, "max of winograd", conv)


def _by_polyphase(site: Site, shape: Shape2D, cut: Cut, parts: int) -> Kernel:
    key = ("conv", site.node.inputs[1], "polyphase", shape.strides[1], cut.T)
    weights = site.prepare(key, lambda: polyphase_weights(_matrix(site), shape, cut.T))
    conv = PolyphaseConv(shape, cut, weights, None, *_epilogue(site, shape), parts)
    foresee(*conv.kernel)
    return _in_pieces(shape, "polyphase", conv)


def _by_windows(site: Site, shape: Shape2D, parts: int) -> Kernel:
    panels = site.prepare(("conv", site.node.inputs[1], "windows"), lambda: make_panels(_matrix(site)))
    conv = ByWindows(shape, panels, Finish(*_epilogue(site, shape)), parts)
    macs = shape.dense * shape.N * shape.OH * shape.OW

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        x, y, residual = operands(inputs, outputs)
        flat = y.reshape(-1, shape.M) if shape.OH * shape.OW == 1 else y
        return conv.orders(x, flat, None if residual is None else residual.reshape(-1, shape.M), scratch)

    facts = {"reads": (0,), "macs": macs, "weight_bytes": conv.weight_bytes, "scratch": conv.scratch}
    return Kernel.of_orders(conv.label, orders, **facts)


def _in_pieces(shape: Shape2D, kind: str, conv: InPieces) -> Kernel:
    cut = conv.cut
    label = f"conv {kind} {cut.T}x{cut.R}x{cut.V}" + ("" if conv.codebook is not None else " fp32")
    return _kernel(label, conv, shape)


def _epilogue(site: Site, shape: Shape2D) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scale, shift, bounds), the convolution's bias taken in."""
    return *site.epilogue.affine(shape.M, site.array(2)), site.epilogue.bounds


def _matrix(site: Site) -> Matrix:
    name = site.node.inputs[1]
    if site.passing:  # what is prepared lasts for one run: the matrix is checked once in it
        return site.prepare(("matrix", name), lambda: matrix_of(site.constants[1], (0,), name))
    return matrix_of(site.constants[1], (0,), name)


def _kernel(label: str, conv: SparseConv | InPieces | DepthwiseConv, shape: Shape2D) -> Kernel:
    return Kernel.of_orders(label, one_order(conv), **_facts(conv, shape))


def _facts(conv: SparseConv | InPieces | DepthwiseConv, shape: Shape2D) -> dict[str, Any]:
    """Fields of a kernel, beside what it is called and does."""
    macs = shape.dense * shape.N * shape.OH * shape.OW
    held, scratch = conv.weight_bytes, conv.scratch_bytes
    return {"reads": (0,), "macs": macs, "density": conv.density, "weight_bytes": held, "scratch": scratch}


def conv_shape(site: Site) -> Shape2D | None:
    """The convolution of a site as a two-dimensional one, or ``None`` when it has more dimensions or no elements."""
    x, w, y = site.type(0), site.type(1), site.outputs[0]
    if x is None or w is None or len(x[1]) not in (3, 4) or 0 in (*x[1], *w[1], *y[1]):
        return None
    attributes: dict[str, Any] = dict(site.node.attributes)
    geometry = Geometry(**attributes)
    seen = geometry.window(x[1], w[1])
    one = (1,) * (4 - len(x[1]))
    height, width = (*one, *x[1][2:])
    above, left = (*(0,) * len(one), *seen.begin)
    return Shape2D(
        N=x[1][0], C=x[1][1], H=height, W=width, M=w[1][0], OH=(*one, *seen.output)[0], OW=seen.output[-1],
        kernel=_pair(one + seen.kernel), strides=_pair(one + seen.strides), dilations=_pair(one + seen.dilations),
        begin=(above, left), groups=geometry.group,
    ).laid  # fmt: skip


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    return values[0], values[1]
