"""Rounding whose errors cancel: each weight's is fed to the next of its row, as error diffusion does with pixels."""

from __future__ import annotations

import numpy as np

from ...format_spec.tensors import Order, from_scan, matrix_shape, to_scan


def round_with_feedback(
    values: np.ndarray,
    kept: np.ndarray | None,
    codebook: np.ndarray,
    row_axes: tuple[int, ...],
    scan: Order,
    feedback: float,
) -> np.ndarray:
    """Round ``values`` (float32) to the ascending ``codebook``; the result has their shape, and zeros where ``kept`` is false.

    A weight takes the value nearest to itself plus ``feedback`` (0 to 1) times the error of the weight before it in its row of
    the matrix view. Errors of neighbours then cancel in sums over inputs that are alike, as the pixels under a kernel and
    activations after a ReLU are. Each error is larger for it, so much feedback costs more than it gains; nothing is carried
    past a weight that takes the first or the last value.
    """
    from ._feedback import feed_back

    matrix = matrix_shape(values.shape, row_axes, scan)
    scanned = to_scan(values, row_axes, scan).reshape(matrix)
    mask = np.ones(matrix, bool) if kept is None else to_scan(kept, row_axes, scan).reshape(matrix)
    exact = codebook.astype(np.float64)
    coded = np.zeros(matrix, np.float32)
    feed_back(scanned, mask, codebook.astype(np.float32), (exact[:-1] + exact[1:]) / 2, feedback, scan == "rows", coded)
    return from_scan(coded.reshape(-1), values.shape, row_axes, scan)
