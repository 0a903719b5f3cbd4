"""What a golden of one tensor holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from tersor.format_spec.coding import CodecId
from tersor.format_spec.graph import Graph, Tensor, TensorType, Value
from tersor.format_spec.tensors import DenseTensor, Order, SharedTensor, bit_patterns, to_scan

RAW, ZSTD, FILL, PAPER = CodecId.RAW, CodecId.SHUFFLED_ZSTD, CodecId.FILL, CodecId.PAPER
SHARED, SPARSE, MIXED, GROUPED = CodecId.SHARED, CodecId.SPARSE, CodecId.MIXED, CodecId.GROUPED
PLAIN_ZSTD = CodecId.PLAIN_ZSTD


@dataclass(frozen=True, eq=False)
class Case:
    """One tensor in one file: ``array`` must come out, bit for bit. ``extra`` values are in the codebook but not in use.

    With ``copied`` the codebook holds every value twice, and codes of the one and of the other take turns.
    """

    name: str
    codec: CodecId
    array: np.ndarray
    row_axes: tuple[int, ...] = ()
    order: Order = "rows"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    extra: np.ndarray | None = None
    copied: bool = False

    def tensor(self) -> Tensor:
        """What the reference encoder takes."""
        if self.codec in (SPARSE, PAPER, MIXED, GROUPED):
            shared = share(self.array, self.row_axes, self.order, leave_zeros_out=True, extra=self.extra)
            return with_copies(shared) if self.copied else shared
        if self.codec == SHARED:
            return share(self.array, self.row_axes, self.order, leave_zeros_out=False, extra=self.extra)
        return DenseTensor.of(self.array)

    def graph(self) -> Graph:
        """A graph whose only tensor, ``w``, is its output."""
        tensor = self.tensor()
        output = Value("w", TensorType(tensor.dtype.name, tensor.shape))
        return Graph(self.name, (), (output,), (), {"w": tensor})


def share(
    array: np.ndarray, row_axes: tuple[int, ...], order: Order, *, leave_zeros_out: bool, extra: np.ndarray | None = None
) -> SharedTensor:
    """``array`` as codes, its codebook being its distinct bit patterns (and those of ``extra``) in ascending order."""
    flat = np.ascontiguousarray(to_scan(array, row_axes, order))
    keys = flat.view(np.dtype((np.void, array.dtype.itemsize))) if array.dtype.itemsize > 8 else bit_patterns(flat)
    kept = np.flatnonzero(flat.view(np.uint8).reshape(array.size, -1).any(axis=1)) if leave_zeros_out else np.arange(array.size)
    pool = keys[kept] if extra is None else np.concatenate([keys[kept], bit_patterns(extra)])
    patterns = np.unique(pool)
    if not len(patterns):
        patterns = bit_patterns(np.ones(1, array.dtype))
    codes = np.searchsorted(patterns, keys[kept]).astype(np.uint8 if len(patterns) <= 256 else np.uint16)
    codebook = patterns.view(array.dtype)
    if not leave_zeros_out:
        return SharedTensor(array.dtype, array.shape, row_axes, order, None, None, codes, codebook)
    rows = prod(array.shape[a] for a in row_axes)
    majors = rows if order == "rows" else array.size // rows
    minor_length = array.size // majors
    starts = np.searchsorted(kept, np.arange(majors + 1) * minor_length).astype(np.int64)
    minors = (kept % minor_length).astype(np.uint32)
    return SharedTensor(array.dtype, array.shape, row_axes, order, starts, minors, codes, codebook)


def with_copies(shared: SharedTensor) -> SharedTensor:
    """The same values, every one twice in the codebook."""
    k = len(shared.codebook)
    codes = shared.codes + np.arange(len(shared.codes)) % 2 * k
    return replace(shared, codebook=np.tile(shared.codebook, 2), codes=codes.astype(shared.codes.dtype))
