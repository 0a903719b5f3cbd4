"""Tensors as a file holds them: dense, or shared (indices into a codebook, zeros left out).

A weight tensor is seen as a matrix. ``row_axes`` names the axes that run over the rows (the layer's outputs); the other
axes, in order, are the columns. A convolution ``(M, C/group, kH, kW)`` has ``row_axes=(0,)``; a MatMul weight ``(K, N)`` has
``row_axes=(1,)``; an LSTM weight ``(directions, 4H, I)`` has ``row_axes=(0, 1)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias

import numpy as np

Order: TypeAlias = Literal["rows", "columns"]
"""Which axis of the matrix is the outer (major) one when its entries are listed."""


@dataclass(frozen=True, eq=False)
class DenseTensor:
    """A tensor kept element by element. ``read`` returns its array, from memory or from a file, each time it is called."""

    dtype: np.dtype
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]

    @classmethod
    def of(cls, array: np.ndarray) -> DenseTensor:
        """Wrap an array that is already in memory."""
        return cls(array.dtype, array.shape, lambda: array)

    def dense(self) -> np.ndarray:
        """The array, ``shape`` and ``dtype`` as declared; treat it as read-only."""
        return self.read()

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class SharedTensor:
    """A tensor whose nonzeros are indices into a codebook of at most 65,536 values.

    With ``order="rows"`` the major axis is the matrix's rows and the minor axis its columns; with ``"columns"`` the reverse.

    ``starts``  (majors + 1,) int64: entries of major ``i`` are ``starts[i]:starts[i + 1]``; ``None`` when nothing is left out
    ``minors``  (nonzeros,) uint32: minor index of each entry, ascending inside a major; ``None`` with ``starts``
    ``codes``   (nonzeros,), or (size,) without ``starts``, uint8 or uint16: index into ``codebook``
    ``codebook`` (k,): the tensor's dtype. A value whose bits are all zero may be in it only when nothing is left out.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    row_axes: tuple[int, ...]
    order: Order
    starts: np.ndarray | None
    minors: np.ndarray | None
    codes: np.ndarray
    codebook: np.ndarray

    @property
    def size(self) -> int:
        """Number of elements, zeros included."""
        return prod(self.shape)

    @property
    def rows(self) -> int:
        """Rows of the matrix view."""
        return matrix_shape(self.shape, self.row_axes, "rows")[0]

    @property
    def columns(self) -> int:
        """Columns of the matrix view."""
        return matrix_shape(self.shape, self.row_axes, "rows")[1]

    @property
    def majors(self) -> int:
        """Length of the major axis."""
        return matrix_shape(self.shape, self.row_axes, self.order)[0]

    @property
    def minor_length(self) -> int:
        """Length of the minor axis."""
        return matrix_shape(self.shape, self.row_axes, self.order)[1]

    @property
    def nonzeros(self) -> int:
        """Entries whose bits are not all zero."""
        if self.starts is not None:
            return len(self.codes)
        zero = zero_codes(self.codebook)
        return len(self.codes) - int(np.isin(self.codes, zero).sum()) if len(zero) else len(self.codes)

    def dense(self) -> np.ndarray:
        """Rebuild the dense array (the plain way; the runtime has jitted ones)."""
        if self.starts is None or self.minors is None:
            flat = self.codebook[self.codes]
        else:
            flat = np.zeros(self.size, self.dtype)
            major = np.repeat(np.arange(self.majors, dtype=np.int64), np.diff(self.starts))
            flat[major * self.minor_length + self.minors] = self.codebook[self.codes]
        return from_scan(flat, self.shape, self.row_axes, self.order)


def matrix_shape(shape: tuple[int, ...], row_axes: tuple[int, ...], order: Order) -> tuple[int, int]:
    """Lengths of the major and the minor axis of the matrix view of a tensor scanned in ``order``."""
    rows = prod(shape[a] for a in row_axes)
    columns = prod(d for a, d in enumerate(shape) if a not in row_axes)
    return (rows, columns) if order == "rows" else (columns, rows)


def scan_axes(rank: int, row_axes: tuple[int, ...], order: Order) -> tuple[int, ...]:
    """The permutation of axes whose C order is the scan order."""
    columns = tuple(a for a in range(rank) if a not in row_axes)
    return (*row_axes, *columns) if order == "rows" else (*columns, *row_axes)


def memory_order(rank: int, row_axes: tuple[int, ...]) -> Order:
    """The scan order that follows a C-contiguous array through memory; ``"rows"`` when neither does."""
    return "columns" if scan_axes(rank, row_axes, "columns") == tuple(range(rank)) else "rows"


def to_scan(array: np.ndarray, row_axes: tuple[int, ...], order: Order) -> np.ndarray:
    """Flatten ``array`` in scan order, (size,); a view where the memory order allows."""
    return np.transpose(array, scan_axes(array.ndim, row_axes, order)).reshape(-1)


def from_scan(flat: np.ndarray, shape: tuple[int, ...], row_axes: tuple[int, ...], order: Order) -> np.ndarray:
    """Invert :func:`to_scan`; the result is C-contiguous."""
    axes = scan_axes(len(shape), row_axes, order)
    permuted = flat.reshape([shape[a] for a in axes])
    return np.ascontiguousarray(np.transpose(permuted, np.argsort(axes))).reshape(shape)


LONGEST_PATTERN = 8
"""Bytes of the longest elements that :func:`bit_patterns` takes."""


def bit_patterns(array: np.ndarray) -> np.ndarray:
    """View elements as unsigned integers of the same width (1, 2, 4 or 8 bytes), shape kept."""
    return array.view(np.dtype(f"u{array.dtype.itemsize}"))


def zero_codes(codebook: np.ndarray) -> np.ndarray:
    """Indices of the codebook entries whose bits are all zero."""
    elements = np.ascontiguousarray(codebook).view(np.uint8).reshape(len(codebook), codebook.dtype.itemsize)
    return np.flatnonzero(~elements.any(axis=1))
