"""How far a packed tensor is from its original."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from ..format_spec.graph import Tensor
from ..format_spec.tensors import SharedTensor, to_scan

_CHUNK = 1 << 20


@dataclass(frozen=True)
class TensorError:
    """``relative``: L2 norm of the difference over that of the original; ``largest``: largest absolute difference."""

    relative: float = 0.0
    largest: float = 0.0


def measure_error(source: Tensor, packed: Tensor) -> TensorError:
    """Compare a tensor of finite floats with the one of the same shape that stands for it. Sums are float64, in scan order."""
    original = source.dense()
    if isinstance(packed, SharedTensor) and packed.starts is not None and packed.minors is not None:
        error, square, largest = _sparse_sums(original, packed, packed.starts, packed.minors)
    else:
        error, square, largest = _dense_sums(original, packed)
    return TensorError(sqrt(error / square) if square else (inf if error else 0.0), largest)


def _sparse_sums(original: np.ndarray, packed: SharedTensor, starts: np.ndarray, minors: np.ndarray) -> list[float]:
    from ._passes import entry_errors

    scan = to_scan(original, packed.row_axes, packed.order).reshape(packed.majors, packed.minor_length)
    matrix = scan.astype(np.float32) if scan.dtype == np.float16 else scan  # Numba knows no float16
    sums = np.zeros(3)
    entry_errors(matrix, starts, minors, packed.codes, packed.codebook.astype(np.float64), sums)
    return sums.tolist()


def _dense_sums(original: np.ndarray, packed: Tensor) -> tuple[float, float, float]:
    flat = original.reshape(-1)
    coded = packed.dense().reshape(-1)
    error = square = largest = 0.0
    for start in range(0, flat.size, _CHUNK):
        exact = flat[start : start + _CHUNK].astype(np.float64)
        difference = np.abs(exact - coded[start : start + _CHUNK])
        largest = max(largest, float(difference.max()))
        error += float(np.sum(np.square(difference)))
        square += float(np.sum(np.square(exact)))
    return error, square, largest
