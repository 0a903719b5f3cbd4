"""Weights as a kernel reads them: the nonzeros of a matrix, listed along its rows or its columns."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ....format_spec.errors import FormatError
from ....format_spec.graph import Tensor
from ....format_spec.tensors import SharedTensor, to_scan
from ...decode.encoded import EncodedTensor
from ...decode.planes import PrunedTensor
from ...orders.made_once import made_once

NO_CODEBOOK = np.zeros(1, np.float32)


class Layout:
    """Weights in the order in which a kernel meets them: a base for dataclasses of arrays."""

    @property
    def bytes(self) -> int:
        """Memory of all arrays."""
        return sum(part.nbytes for part in vars(self).values() if isinstance(part, np.ndarray))


@dataclass(frozen=True, eq=False)
class Matrix:
    """``rows`` x ``columns`` weights.

    Entries of major ``i`` (a row when ``by_rows``, else a column) are ``starts[i]:starts[i + 1]``, their minor indices
    ``minors``; both are ``None`` when every element is listed. ``codes`` index the float32 ``codebook``, or are the float32
    weights themselves when they are not shared.
    """

    rows: int
    columns: int
    by_rows: bool
    starts: np.ndarray | None
    minors: np.ndarray | None
    codes: np.ndarray
    codebook: np.ndarray

    @property
    def majors(self) -> int:
        """Length of the axis that is listed outermost."""
        return self.rows if self.by_rows else self.columns

    @property
    def minor_length(self) -> int:
        """Length of the axis that is listed innermost."""
        return self.columns if self.by_rows else self.rows

    @property
    def dead(self) -> np.ndarray | None:
        """(k,) bool: codes that stand for zero. ``None`` when the weights are not shared."""
        return None if self.codes.dtype == np.float32 else self.codebook == 0

    @property
    def has_zeros(self) -> bool:
        """Whether entries are zero."""
        return self.nonzeros < len(self.codes)

    @property
    def listing(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, bool, int, bool]:
        """What jitted loops over the entries take: (starts, minors, codes, dead, whether all elements are listed, minor
        length, by_rows)."""
        full = self.starts is None or self.minors is None
        starts = np.zeros(0, np.int64) if self.starts is None else self.starts
        minors = np.zeros(0, np.uint32) if self.minors is None else self.minors
        return starts, minors, self.codes, self.dead, full, self.minor_length, self.by_rows

    @made_once
    def nonzeros(self) -> int:
        """Entries whose value is not zero."""
        if self.dead is None:
            return int(np.count_nonzero(self.codes))
        return len(self.codes) - (int(np.count_nonzero(self.dead[self.codes])) if self.dead.any() else 0)


def matrix_of(tensor: Tensor, row_axes: tuple[int, ...], name: str) -> Matrix:
    """The float32 weight tensor called ``name`` as a matrix whose rows run over ``row_axes``.

    Raises:
        FormatError: the tensor's parts contradict one another.
    """
    rows = prod(tensor.shape[axis] for axis in row_axes)
    columns = prod(size for axis, size in enumerate(tensor.shape) if axis not in row_axes)
    tensor = tensor.decoded() if isinstance(tensor, EncodedTensor) else tensor
    if isinstance(tensor, SharedTensor):
        check_shared(tensor, name)
        columns_are_rows = tuple(axis for axis in range(len(tensor.shape)) if axis not in tensor.row_axes) == row_axes
        if tensor.row_axes == row_axes or columns_are_rows:
            by_rows = (tensor.order == "rows") == (tensor.row_axes == row_axes)
            codebook = np.ascontiguousarray(tensor.codebook, np.float32)
            return Matrix(rows, columns, by_rows, tensor.starts, tensor.minors, tensor.codes, codebook)
    axes = tuple(range(len(tensor.shape)))
    if isinstance(tensor, PrunedTensor) and axes and row_axes in (axes[:1], axes[1:]):
        return Matrix(rows, columns, row_axes == (0,), *tensor.by_first_axis(), tensor.values, NO_CODEBOOK)
    by_rows = row_axes != axes[1:]
    values = np.ascontiguousarray(to_scan(tensor.dense(), row_axes, "rows" if by_rows else "columns"))
    if not _is_ours(values):  # it may be a file's, which others write to: kernels count its zeros, and rely on the count
        values = values.copy()
    return Matrix(rows, columns, by_rows, None, None, values, NO_CODEBOOK)


def _is_ours(array: np.ndarray) -> bool:
    """Whether numpy made the memory of an array: it is not a file's, nor another program's."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base is None and array.flags.owndata


def check_shared(tensor: SharedTensor, name: str) -> None:
    """Make sure that no index of ``tensor`` points outside what it indexes: kernels do not look.

    Raises:
        FormatError: one does.
    """
    starts, minors, codes = tensor.starts, tensor.minors, tensor.codes
    if len(codes) and int(codes.max()) >= len(tensor.codebook):
        raise FormatError(f"tensor {name!r}: code {int(codes.max())} is outside its codebook of {len(tensor.codebook)} entries")
    if starts is None or minors is None:
        if len(codes) != tensor.size:
            raise FormatError(f"tensor {name!r}: {len(codes):,} codes for {tensor.size:,} elements")
        return
    if len(starts) != tensor.majors + 1 or starts[0] != 0 or starts[-1] != len(codes) or np.any(starts[1:] < starts[:-1]):
        raise FormatError(f"tensor {name!r}: its starts do not rise from 0 to the {len(codes):,} entries that it has")
    if len(minors) != len(codes) or (len(minors) and int(minors.max()) >= tensor.minor_length):
        raise FormatError(f"tensor {name!r}: an index is outside the {tensor.minor_length:,} places of the axis")
