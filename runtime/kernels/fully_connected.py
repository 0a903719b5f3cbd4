"""Fully connected layers: Gemm, MatMul by a constant matrix, and convolutions whose kernel covers their whole input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from ..plan.step import Arrays, Kernel, Site
from ..plan.workers import Workers
from .columns import (
    Columns,
    finish,
    make_columns,
    multiply_rows,
    multiply_sparse,
    multiply_sparse_values,
    multiply_whole,
    multiply_whole_values,
)
from .conv import Conv, affine
from .host import host_registers
from .layout import Shape2D, choose, cost
from .matrix import Matrix, matrix_of
from .stream import make_stream

EMPTY = np.zeros(0, np.float32)

ACTIVE = 0.5
"""Fraction of the activations that the cost model expects to be nonzero."""

CYCLES_PER_WEIGHT = 1.6
"""Of the column kernel, for each weight that meets a nonzero activation."""


@dataclass(frozen=True, eq=False)
class ByColumns:
    """Products of single vectors, one after another."""

    columns: Columns
    scale: np.ndarray
    shift: np.ndarray
    low: np.float32
    high: np.float32

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """``x`` (B, K) and ``y`` (B, M), C-contiguous."""
        cuts = self.columns.cuts

        def work(part: int) -> None:
            rows = slice(cuts[part], cuts[part + 1])
            for b in range(len(x)):
                target = y[b, rows]
                self._multiply(x[b], part, target)
                other = EMPTY if residual is None else residual[b, rows]
                finish(target, other, self.scale[rows], self.shift[rows], self.low, self.high)

        workers.each(work, len(cuts) - 1)

    def _multiply(self, x: np.ndarray, part: int, y: np.ndarray) -> None:
        weights = self.columns
        start, shared = weights.start[part], weights.code.dtype != np.float32
        if weights.row is not None:
            if shared:
                multiply_sparse(x, start, weights.row, weights.code, weights.codebook, y)
            else:
                multiply_sparse_values(x, start, weights.row, weights.code, y)
        elif weights.by_rows:
            first = weights.cuts[part]
            multiply_rows(x, weights.code.reshape(-1, len(x))[first : first + len(y)], y)
        elif shared:
            multiply_whole(x, start, weights.code, weights.codebook, y)
        else:
            multiply_whole_values(x, start, weights.code, y)


@dataclass(frozen=True, eq=False)
class ByLanes:
    """Products of many vectors at once: a pointwise convolution with the vectors in the lanes."""

    conv: Conv

    @property
    def scratch(self) -> int:
        """Bytes: the convolution's own, and the transposed input, output and residual."""
        shape = self.conv.shape
        return 4 * (self.conv.parts * self.conv.scratch_floats + shape.OW * (shape.C + 2 * shape.M))

    def __call__(
        self, x: np.ndarray, y: np.ndarray, residual: np.ndarray | None, scratch: np.ndarray, workers: Workers
    ) -> None:
        """``x`` (B, K) and ``y`` (B, M), C-contiguous."""
        shape = self.conv.shape
        own = 4 * self.conv.parts * self.conv.scratch_floats
        floats = scratch[own:].view(np.float32)
        inputs, outputs, other = np.split(floats, np.cumsum([shape.OW * shape.C, shape.OW * shape.M]))
        np.copyto(inputs.reshape(shape.C, shape.OW), x.T)
        if residual is not None:
            np.copyto(other.reshape(shape.M, shape.OW), residual.T)
        self.conv(inputs, outputs, None if residual is None else other, scratch[:own], workers)
        np.copyto(y, outputs.reshape(shape.M, shape.OW).T)


def fully_connected(site: Site, batch: int, row_axes: tuple[int, ...], scale: float, bias: np.ndarray | None) -> Kernel:
    """A kernel for ``y = scale * x @ W + bias`` with epilogue, ``x`` being (batch, K) in memory and ``W`` input 1 of the
    site, float32, with one row an output.

    The vectors go into lanes unless that is estimated to cost more than taking them one by one.
    """
    name = site.node.inputs[1]

    def matrix() -> Matrix:
        return matrix_of(site.constants[1], row_axes, name)

    nonzeros, K, M = site.prepare(("counted", name, row_axes), lambda: _counted(matrix()))
    vector_scale, shift = affine(site.epilogue, M, bias)
    vector_scale = (vector_scale * np.float32(scale)).astype(np.float32)
    shape = Shape2D(1, K, 1, batch, M, 1, batch)
    lanes = choose(shape, nonzeros, host_registers())
    weights = K * M
    density = nonzeros / weights if weights else 0.0
    if _one_by_one(batch, nonzeros) <= cost(shape, lanes, nonzeros):
        columns = site.prepare(("columns", name, row_axes, site.threads), lambda: make_columns(matrix(), site.threads))
        low, high = np.float32(site.epilogue.low), np.float32(site.epilogue.high)
        order = "rows" if columns.by_rows else "columns"
        label = f"{order} {columns.code.dtype.name}{'' if columns.row is not None else ' whole'}"
        by_columns = ByColumns(columns, vector_scale, shift, low, high)
        return Kernel(label, _run(by_columns, batch, K, M), (0,), weights * batch, density, columns.bytes)
    key = ("conv", name, row_axes, lanes, 1, site.threads)
    stream = site.prepare(key, lambda: make_stream(matrix(), K, 1, lanes, site.threads))
    bounds = np.array([site.epilogue.low, site.epilogue.high], np.float32)
    by_lanes = ByLanes(Conv(shape, lanes, stream, vector_scale, shift, bounds, site.threads))
    label = f"lanes {lanes.T}x{lanes.R}x{lanes.V}"
    return Kernel(label, _run(by_lanes, batch, K, M), (0,), weights * batch, density, stream.bytes, by_lanes.scratch)


def _counted(matrix: Matrix) -> tuple[int, int, int]:
    return matrix.nonzeros, matrix.columns, matrix.rows


def _one_by_one(batch: int, nonzeros: int) -> float:
    """Estimated cycles of :class:`ByColumns`."""
    return batch * nonzeros * ACTIVE * CYCLES_PER_WEIGHT


def _run(product: ByColumns | ByLanes, batch: int, K: int, M: int) -> Callable[..., None]:
    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        x, y = inputs[0], outputs[0]
        assert x is not None
        assert y is not None
        residual = inputs[1] if len(inputs) > 1 else None
        other = None if residual is None else residual.reshape(batch, M)
        product(x.reshape(batch, K), y.reshape(batch, M), other, scratch, workers)

    return run


def suits(site: Site) -> bool:
    """Whether a site's input 1 is a constant, nonempty float32 matrix of weights, and everything else float32."""
    w, x, y = site.type(1), site.type(0), site.outputs[0]
    return w is not None and x is not None and 1 in site.constants and site.all_float32 and 0 not in (*w[1], *x[1], *y[1])


def lower_gemm(site: Site) -> Kernel | None:
    """A kernel for a Gemm by a constant matrix, its bias constant too and the same for every vector."""
    node, x, w = site.node, site.type(0), site.type(1)
    if not suits(site) or x is None or w is None or node.attribute("transA", 0) or 0 in site.constants:
        return None
    row_axes = (0,) if node.attribute("transB", 0) else (1,)
    bias = None
    if site.type(2) is not None:
        constant = site.array(2)
        if constant is None or (constant.ndim > 1 and constant.shape[0] != 1):
            return None
        bias = np.broadcast_to(constant.reshape(-1) * node.attribute("beta", 1.0), w[1][row_axes[0]])
    return fully_connected(site, x[1][0], row_axes, node.attribute("alpha", 1.0), bias)


def lower_matmul(site: Site) -> Kernel | None:
    """A kernel for a product by one constant matrix, or of two float32 stacks of matrices."""
    x, w = site.type(0), site.type(1)
    if x is None or w is None or not site.all_float32:
        return None
    if suits(site) and len(w[1]) == 2 and 0 not in site.constants:
        return fully_connected(site, prod(x[1][:-1]), (1,), 1.0, None)
    return _numpy_matmul(site) if site.epilogue.empty else None


def _numpy_matmul(site: Site) -> Kernel:
    x, y = site.type(0), site.outputs[0]
    assert x is not None

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        a, b, out = inputs[0], inputs[1], outputs[0]
        assert a is not None
        assert b is not None
        assert out is not None
        np.matmul(a, b, out=out)

    return Kernel("numpy matmul", run, (0, 1), prod(y[1]) * x[1][-1])
