"""Fully connected layers: Gemm, MatMul by a constant matrix, and convolutions whose kernel covers their whole input."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import prod
from typing import TypeAlias, TypeVar

import numpy as np

from ....format_spec.coding import MAX_ALPHABET, CodecId
from ...decode.encoded import EncodedTensor
from ...orders.order import Arrays, Orders, operands, present
from ...orders.shared import sharing
from ...orders.workers import Workers
from ..site import Kernel, Run, Site
from .lines import make_lines, make_sorted_lines
from .matrix import Matrix, matrix_of
from .panels import ByPanels, make_panels
from .products import ByLines, ByRuns, ByWhole, Finish
from .run_tile import LANES
from .runs import block_width, make_runs
from .stacks import lower_stacks
from .streamed import ByBlocks
from .streamed_planes import ByPlanes
from .whole import make_whole

T = TypeVar("T")

FULL_DENSITY = 0.5
"""From this density on, every weight gets a code, and places are not listed."""

ACTIVE = 0.4
"""Fraction of a rectifier's outputs that the cost model expects to be nonzero; of other activations it expects no zeros."""

ROW_CYCLES, COLUMN_CYCLES = 1.8, 2.2
"""Of one core for each weight that is multiplied: index, code, codebook entry, and activation or sum are a load each."""

PANEL_CYCLES, LOOK_UP_CYCLES = 0.05, 0.8
"""Of one core for each weight of a panel that a vector meets, and for each that is read, or looked up, for all of them."""

LINE_CYCLES = 20
"""Of one core for each line, whose end is mispredicted."""

MOST_REGISTERS = 4
"""Registers of 16 vectors that a weight meets at most."""

MOST_PANELS, PACKED_WEIGHTS = 4, 40
"""Panels of rows for each thread, at most; weights that a packed column must meet in each."""


def fully_connected(site: Site, batch: int, row_axes: tuple[int, ...], scale: float, bias: np.ndarray | None) -> Kernel:
    """A kernel for ``y = scale * x @ W + bias`` with epilogue, ``x`` being (batch, K) in memory and ``W`` input 1 of the
    site, float32, with one row an output.

    The vectors go into lanes unless that is estimated to cost more than taking them one by one.
    """
    name, encoded = site.node.inputs[1], site.constants[1]
    if isinstance(encoded, EncodedTensor):
        wanted = site, encoded, batch, row_axes, scale, bias
        if streamed := _streamed(*wanted) or _streamed_planes(*wanted):
            return streamed

    def prepared(kind: str, make: Callable[[Matrix], T], *how: Hashable) -> T:
        return site.prepare((kind, name, row_axes, *how), lambda: make(matrix_of(site.constants[1], row_axes, name)))

    nonzeros, K, M = prepared("counted", _counted)
    costs = _costs(nonzeros, (batch, K, M), ACTIVE if site.rectified else 1.0)
    kind = min(costs, key=lambda order: costs[order])
    finish, parts = _finish(site, M, scale, bias), sharing(site.threads, costs[kind])
    if kind == "panels":
        product = ByPanels(prepared(kind, make_panels), (batch, K, M), finish, parts)
    elif kind == "batch":
        count = registers(batch)
        width, panels = block_width(count * LANES, nonzeros / max(1, K * M)), parts * _panels(nonzeros, K, parts)
        runs = prepared("runs", lambda matrix: make_runs(make_lines(matrix, by_rows=True), width, panels), width, panels)
        product = ByRuns(runs, count, finish, (batch, K, M), parts)
    elif _is_whole(nonzeros, K, M):
        product = ByWhole(prepared("whole", make_whole), (K, M), finish, parts)
    else:
        lines = prepared(kind, lambda matrix: make_sorted_lines(matrix, by_rows=kind == "rows"))
        product = ByLines(lines, finish, parts)
    return Kernel.of_orders(
        product.label,
        _orders(product, batch, K, M),
        reads=(0,),
        macs=K * M * batch,
        density=nonzeros / (K * M) if K * M else 0.0,
        weight_bytes=product.weight_bytes,
        scratch=product.scratch,
    )


def _costs(nonzeros: int, shape: tuple[int, int, int], active: float) -> dict[str, float]:
    """Estimated cycles of one thread, of each way to multiply ``shape`` (vectors, inputs, outputs); a fraction ``active`` of
    the vectors' elements is expected not to be zero."""
    batch, K, M = shape
    costs = {
        "rows": batch * by_rows_cycles(nonzeros, M),
        "columns": batch * by_columns_cycles(nonzeros, K, active),
        "batch": together_cycles(batch, nonzeros, K, M),
    }
    return costs | {"panels": in_panels_cycles(batch, K, M)} if batch > 1 and _is_whole(nonzeros, K, M) else costs


def _is_whole(nonzeros: int, K: int, M: int) -> bool:
    """Whether every weight gets a code, and places are not listed."""
    return nonzeros >= FULL_DENSITY * K * M


def _finish(site: Site, M: int, scale: float, bias: np.ndarray | None) -> Finish:
    vector_scale, shift = site.epilogue.affine(M, bias)
    return Finish((vector_scale * np.float32(scale)).astype(np.float32), shift, site.epilogue.bounds)


def _streamed(
    site: Site, encoded: EncodedTensor, batch: int, row_axes: tuple[int, ...], scale: float, bias: np.ndarray | None
) -> Kernel | None:
    """A kernel that decodes block by block, or ``None`` when the matrix that the file lists is another one."""
    coded, record = encoded.blocks, encoded.record
    outputs_are_columns = tuple(axis for axis in range(len(record.shape)) if axis not in record.row_axes) == row_axes
    if coded is None or coded.head.k > MAX_ALPHABET or not (record.row_axes == row_axes or outputs_are_columns):
        return None
    by_rows = (coded.head.order == "rows") == (record.row_axes == row_axes)
    M, K = (coded.majors, coded.minor_length) if by_rows else (coded.minor_length, coded.majors)
    product = ByBlocks(coded, by_rows, M, batch, _finish(site, M, scale, bias), site.threads)
    label = f"streamed {coded.head.order} {CodecId(record.codec).name.lower()}"
    density = int(coded.entries.ends[-1]) / (M * K)
    return Kernel(label, _run(product, batch, K, M), (0,), M * K * batch, density, coded.bytes, product.scratch, streams=True)


def _streamed_planes(
    site: Site, encoded: EncodedTensor, batch: int, row_axes: tuple[int, ...], scale: float, bias: np.ndarray | None
) -> Kernel | None:
    """As :func:`_streamed`, from byte planes, which list the elements in C order."""
    opened, axes = encoded.planes, tuple(range(len(encoded.shape)))
    if opened is None or row_axes not in (axes[:1], axes[1:]):
        return None
    M = prod(encoded.shape[axis] for axis in row_axes)
    K = prod(encoded.shape) // M
    product = ByPlanes(opened, row_axes == axes[:1], (batch, K, M), _finish(site, M, scale, bias), site.threads)
    density = int(opened.ends[-1]) / (M * K)
    run = _run(product, batch, K, M)
    return Kernel(product.label, run, (0,), M * K * batch, density, opened.bytes, product.scratch, streams=True)


def _counted(matrix: Matrix) -> tuple[int, int, int]:
    return matrix.nonzeros, matrix.columns, matrix.rows


def by_rows_cycles(nonzeros: int, M: int) -> float:
    """Estimated cycles of one vector, row by row."""
    return nonzeros * ROW_CYCLES + M * LINE_CYCLES


def by_columns_cycles(nonzeros: int, K: int, active: float) -> float:
    """Estimated cycles of one vector, column by column, a fraction ``active`` of its elements not being zero."""
    return K + active * (nonzeros * COLUMN_CYCLES + K * LINE_CYCLES)


def in_panels_cycles(batch: int, K: int, M: int) -> float:
    """Estimated cycles of a batch with weights in the lanes of registers."""
    return K * M * (batch * PANEL_CYCLES + LOOK_UP_CYCLES)


def registers(batch: int) -> int:
    """Registers that the vectors of a batch are spread over."""
    return min(MOST_REGISTERS, -(-batch // LANES))


def _panels(nonzeros: int, K: int, parts: int) -> int:
    """Panels of rows for each thread: several, unless packing the inputs for each of them takes too long."""
    return 1 if parts == 1 else min(MOST_PANELS, max(1, nonzeros // (PACKED_WEIGHTS * K * parts)))


def together_cycles(batch: int, nonzeros: int, K: int, M: int) -> float:
    """Estimated cycles of a batch in lanes: products, each run's sums loaded and stored, packing, finishing."""
    count, density = registers(batch), nonzeros / max(1, K * M)
    groups = -(-batch // (count * LANES))
    runs = min(nonzeros, M * -(-K // block_width(count * LANES, density)))
    return groups * (nonzeros * (2.9 + 0.3 * count) + runs * (15 + 5 * count) + (K + 2 * M) * count * LANES / 2)


Matrices: TypeAlias = "tuple[np.ndarray, np.ndarray, np.ndarray | None]"
"""``x`` (B, K), ``y`` (B, M), and a residual as large as ``y`` where there is one."""


def _matrices(inputs: Arrays, outputs: Arrays, batch: int, K: int, M: int) -> Matrices:
    x, y, residual = operands(inputs, outputs)
    return x.reshape(batch, K), y.reshape(batch, M), None if residual is None else residual.reshape(batch, M)


def _run(product: ByBlocks | ByPlanes, batch: int, K: int, M: int) -> Run:
    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        product(*_matrices(inputs, outputs, batch, K, M), scratch, workers)

    return run


def _orders(product: ByLines | ByWhole | ByPanels | ByRuns, batch: int, K: int, M: int) -> Orders:
    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        return product.orders(*_matrices(inputs, outputs, batch, K, M), scratch)

    return orders


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
    return (lower_stacks(site) or _numpy_matmul(site)) if site.epilogue.empty else None


def _numpy_matmul(site: Site) -> Kernel:
    (_, x), (_, y) = present(site.type(0)), site.outputs[0]

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        np.matmul(present(inputs[0]), present(inputs[1]), out=present(outputs[0]))

    return Kernel("numpy matmul", run, (0, 1), prod(y) * x[-1])
