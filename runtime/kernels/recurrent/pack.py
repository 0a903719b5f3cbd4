"""Weights of recurrent layers laid out for :mod:`.cells`: panels of values, or columns of codes, of nonzeros or whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....format_spec.graph import Tensor
from ....format_spec.tensors import SharedTensor, from_scan
from ...jit.host import host_registers
from ...orders.order import present
from ..matrices.matrix import check_shared
from .row_panels import make_panels

CACHED, MOST_EXPANDED = 2 << 20, 32 << 20
"""Bytes of float32 values of a matrix that a second-level cache holds, and that shared weights may become, at most: as codes,
which are looked up one by one, they take five times as long."""

SPARSE = 1 / 24, 1 / 8
"""Where fewer of the weights are listed, only these are multiplied: of a matrix that a cache holds, and of a larger one, whose
panels come from further away."""

NO_ROWS = np.empty(0, np.uint32)


@dataclass(frozen=True, eq=False)
class Columns:
    """Codes of matrices, column after column: column c of direction d is at ``starts[d * columns + c]`` to the next start;
    where ``rows`` is empty every row is there."""

    starts: np.ndarray
    rows: np.ndarray
    codes: np.ndarray
    codebook: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All of it."""
        return self.starts, self.rows, self.codes, self.codebook


@dataclass(frozen=True, eq=False)
class Packed:
    """Matrices (directions, ``height``, columns), each gate in whole vectors of rows: panels as :mod:`.row_panels` has them, or
    columns. Of their ``size`` elements so many are ``listed``."""

    weights: np.ndarray | Columns
    height: int
    size: int
    listed: int

    @property
    def bytes(self) -> int:
        """Memory of a run's weights."""
        return sum(array.nbytes for array in (self.weights.arrays if isinstance(self.weights, Columns) else (self.weights,)))

    @property
    def form(self) -> str:
        """What they are."""
        if isinstance(self.weights, Columns):
            return "columns, sparse" if len(self.weights.rows) else "columns, shared"
        return "panels"

    @property
    def width(self) -> int:
        """Bytes of a code, 0 where there are none."""
        return self.weights.codes.itemsize if isinstance(self.weights, Columns) else 0

    def widened(self, width: int) -> Packed:
        """The same with codes of so many bytes, if there are any."""
        if not isinstance(self.weights, Columns) or self.width == width:
            return self
        return replace(self, weights=replace(self.weights, codes=self.weights.codes.astype(f"u{width}")))

    @property
    def facts(self) -> list[int]:
        """As an order has them, see :data:`~.cells.PACK`; they hold as long as this object."""
        if isinstance(self.weights, Columns):
            return [0, 0, self.height, *(array.ctypes.data if len(array) else 0 for array in self.weights.arrays)]
        return [self.weights.ctypes.data, self.weights.shape[1], self.height, 0, 0, 0, 0]


def padded(hidden: int) -> int:
    """``hidden`` as whole vectors."""
    V = host_registers()[1]
    return -(-hidden // V) * V


def pack_matrices(tensor: Tensor, name: str, gates: range, hidden: int, across: int) -> Packed:
    """Lay out the rows of some ``gates`` of each of the weights (directions, gates * hidden, columns) called ``name``, in
    panels of ``across`` vectors.

    Raises:
        FormatError: the tensor's parts contradict one another.
    """
    directions, _, columns = tensor.shape
    height, size = len(gates) * padded(hidden), directions * len(gates) * hidden * columns
    if isinstance(tensor, SharedTensor):
        check_shared(tensor, name)
        expanded = 4 * size // max(1, directions)
        large, few = expanded > MOST_EXPANDED, SPARSE[expanded > CACHED] * tensor.size
        if tensor.starts is not None and tensor.row_axes == (0, 1) and (large or len(tensor.codes) < few):
            return _pack_sparse(tensor, gates, hidden)
        if tensor.starts is None and large:
            codes = from_scan(tensor.codes, tensor.shape, tensor.row_axes, tensor.order)
            by_column = np.ascontiguousarray(_in_vectors(codes, gates, hidden).swapaxes(1, 2)).reshape(-1)
            starts = np.arange(directions * columns + 1, dtype=np.int64) * height
            return Packed(Columns(starts, NO_ROWS, by_column, tensor.codebook), height, size, size)
    return Packed(make_panels(_in_vectors(tensor.dense(), gates, hidden), across), height, size, size)


def _in_vectors(array: np.ndarray, gates: range, hidden: int) -> np.ndarray:
    """(directions, height, columns): the rows of some gates, zeros behind each."""
    directions, _, columns = array.shape
    own = array[:, gates.start * hidden : gates.stop * hidden].reshape(directions, len(gates), hidden, columns)
    room = [(0, 0), (0, 0), (0, padded(hidden) - hidden), (0, 0)]
    return np.pad(own, np.array(room)).reshape(directions, len(gates) * padded(hidden), columns)


def _pack_sparse(tensor: SharedTensor, gates: range, hidden: int) -> Packed:
    directions, height, columns = tensor.shape
    majors = np.repeat(np.arange(tensor.majors, dtype=np.int64), np.diff(present(tensor.starts)))
    minors = present(tensor.minors).astype(np.int64)
    row, column = (majors, minors) if tensor.order == "rows" else (minors, majors)
    place, (gate, within) = row // max(1, height) * columns + column, np.divmod(row % max(1, height), max(1, hidden))
    kept = np.flatnonzero((gate >= gates.start) & (gate < gates.stop))
    target = (gate - gates.start) * padded(hidden) + within
    order = kept[np.lexsort((target[kept], place[kept]))]
    starts = np.concatenate([[0], np.cumsum(np.bincount(place[order], minlength=directions * columns))]).astype(np.int64)
    # One row more than is read: no rows at all would mean whole columns.
    rows = np.append(target[order], 0).astype(np.uint32)
    codes = np.append(tensor.codes[order], 0).astype(tensor.codes.dtype)
    size = directions * len(gates) * hidden * columns
    return Packed(Columns(starts, rows, codes, tensor.codebook), len(gates) * padded(hidden), size, int(starts[-1]))
