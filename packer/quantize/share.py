"""Weight sharing by k-means: a float tensor becomes codes into a codebook of at most ``2**bits`` values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ...format_spec.errors import RecipeError
from ...format_spec.tensors import Order, SharedTensor, bit_patterns, matrix_shape, memory_order, to_scan
from ...runtime.decode.reorder import reorder
from ..prune import check_finite
from .feedback import round_with_feedback
from .kmeans import kmeans


def share(
    name: str,
    weights: np.ndarray,
    mask: np.ndarray | None,
    row_axes: tuple[int, ...],
    bits: int,
    *,
    init: str = "linear",
    seed: int = 0,
    iterations: int = 300,
    feedback: float = 0.0,
    filler: bool = False,
    order: Order | None = None,
) -> SharedTensor:
    """Share ``weights`` (any shape; float16, float32 or float64; not modified) among at most ``2**bits`` values.

    ``mask`` (bool, same shape) says which weights stay; without one, zeros stay zeros when they are at least one in
    ``2**bits``, and are values like any other when they are fewer. Each weight takes the nearest codebook value (the lower of
    two equally near). Where weights are left out the codebook never holds zero: a centroid that rounds to zero leaves its
    weights out too. ``feedback`` above 0 rounds as :func:`~.feedback.round_with_feedback` does. Clusters and distances are
    computed on the weights rounded to float32. With ``filler``, where weights are left out, one value fewer is used: the filler
    of the paper profile takes the last of the ``2**bits`` codes. ``order`` is the scan order of the result, the array's memory
    order when ``None``; ``name`` is the tensor's, for messages.

    Raises:
        RecipeError: the weights hold NaN, infinity or a number beyond float32, or all are closer to zero than its numbers are.
    """
    check_finite(name, weights)
    values = _as_float32(name, weights)
    kept = _kept(weights, mask, bits)
    k = (1 << bits) - (filler and kept is not None)
    clusters = kmeans(values.reshape(-1) if kept is None else values[kept], k, init, seed, iterations)
    codebook = clusters.rounded(weights.dtype)
    scan = memory_order(weights.ndim, row_axes)
    if feedback:
        values = round_with_feedback(values, kept, codebook, row_axes, scan, feedback)
    if kept is None:
        shared = _code_elements(values, codebook, row_axes, scan)
    elif np.any(codebook):
        shared = _code_entries(values, kept, codebook, row_axes, scan)
    else:
        shared = _code_elements(np.zeros_like(values), np.zeros(1, weights.dtype), row_axes, scan)
    return reorder(shared, order or scan)


def _as_float32(name: str, weights: np.ndarray) -> np.ndarray:
    largest, held = np.abs(weights).max(initial=0), np.finfo(np.float32)
    if weights.dtype == np.float64 and (largest > held.max or 0 < largest < held.tiny):
        raise RecipeError(f"tensor {name!r} holds numbers beyond float32: it cannot be shared; keep it as it is")
    return weights.astype(np.float32, copy=False)


def _kept(weights: np.ndarray, mask: np.ndarray | None, bits: int) -> np.ndarray | None:
    """Which weights have a code, or ``None`` when all do."""
    if mask is not None:
        return None if mask.all() else mask
    zeros = weights.size - int(np.count_nonzero(weights))
    return weights != 0 if zeros and zeros << bits >= weights.size else None


@dataclass(frozen=True, eq=False)
class _Tables:
    """A codebook as stored (by ascending bit pattern), and what the coding passes need; see :mod:`._coding`."""

    codebook: np.ndarray
    thresholds: np.ndarray
    first: np.ndarray
    ranks: np.ndarray

    @classmethod
    def of(cls, codebook: np.ndarray, *, leave_zero_out: bool) -> _Tables:
        """Tables for an ascending ``codebook`` (k,); entries of a zero that is left out have rank -1."""
        exact = codebook.astype(np.float64)
        middles = [_float32_not_above(middle) for middle in (exact[:-1] + exact[1:]) / 2]
        thresholds = np.array([*middles, np.inf], np.float32)
        stays = codebook != 0 if leave_zero_out else np.ones(len(codebook), bool)
        by_pattern = np.argsort(bit_patterns(codebook))
        by_pattern = by_pattern[stays[by_pattern]]
        ranks = np.full(len(codebook), -1, np.int16)
        ranks[by_pattern] = np.arange(len(by_pattern))
        return cls(codebook[by_pattern], thresholds, np.searchsorted(thresholds, _smallest_by_upper_bits()), ranks)


@cache
def _smallest_by_upper_bits() -> np.ndarray:
    """(65536,) float32: the smallest value whose bit pattern has given upper 16 bits, 0 where that is not a number."""
    patterns = np.arange(1 << 16, dtype=np.uint32) << 16
    patterns[1 << 15 :] |= 0xFFFF
    values = patterns.view(np.float32)
    return np.where(np.isnan(values), np.float32(0), values)


def _float32_not_above(value: float) -> float:
    """The largest float32 at most ``value``: no float32 lies between them, so either is the same threshold."""
    rounded = np.float32(value)
    return float(rounded) if float(rounded) <= value else float(np.nextafter(rounded, np.float32(-np.inf)))


def _code_elements(values: np.ndarray, codebook: np.ndarray, row_axes: tuple[int, ...], scan: Order) -> SharedTensor:
    from ._coding import nearest_codes

    tables = _Tables.of(codebook, leave_zero_out=False)
    codes = np.empty(values.size, np.uint8)
    nearest_codes(to_scan(values, row_axes, scan), tables.thresholds, tables.first, tables.ranks, codes)
    return SharedTensor(codebook.dtype, values.shape, row_axes, scan, None, None, codes, tables.codebook)


def _code_entries(
    values: np.ndarray, kept: np.ndarray, codebook: np.ndarray, row_axes: tuple[int, ...], scan: Order
) -> SharedTensor:
    from ._coding import nearest_entries

    tables = _Tables.of(codebook, leave_zero_out=True)
    matrix = matrix_shape(values.shape, row_axes, scan)
    capacity = int(np.count_nonzero(kept))
    starts, minors, codes = np.empty(matrix[0] + 1, np.int64), np.empty(capacity, np.uint32), np.empty(capacity, np.uint8)
    scanned, scanned_mask = (to_scan(array, row_axes, scan).reshape(matrix) for array in (values, kept))
    nearest_entries(scanned, scanned_mask, tables.thresholds, tables.first, tables.ranks, starts, minors, codes)
    count = int(starts[-1])
    return SharedTensor(codebook.dtype, values.shape, row_axes, scan, starts, minors[:count], codes[:count], tables.codebook)
