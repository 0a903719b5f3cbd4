"""Tapering windows and the mel scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._dtypes import DTYPES, onnx_dtype
from ._registry import Shaped, operator
from ._room import check_room
from ._shapes import Types, Values, infers, required


def _cosines(size: np.ndarray, coefficients: Sequence[float], periodic: int, output_datatype: int) -> np.ndarray:
    """Sum of cosines over ``size`` points, of a period of ``size``, or if not ``periodic`` one less."""
    count = int(size.reshape(()))
    angle = 2 * np.pi * np.arange(count) / max(1, count if periodic else count - 1)
    return sum((c * np.cos(i * angle) for i, c in enumerate(coefficients)), np.zeros(count)).astype(onnx_dtype(output_datatype))


def _window_types(types: Types, values: Values, *, output_datatype: int, **_: Any) -> Shaped:
    return onnx_dtype(output_datatype), (int(required(values, 0).reshape(())),)


@operator("HannWindow", infer=infers(_window_types), shape_inputs=(0,), allowed={"output_datatype": DTYPES})
def hann_window(size: np.ndarray, *, output_datatype: int = 1, periodic: int = 1) -> np.ndarray:
    """Hann window of ``size`` points."""
    return _cosines(size, (0.5, -0.5), periodic, output_datatype)


@operator("HammingWindow", infer=infers(_window_types), shape_inputs=(0,), allowed={"output_datatype": DTYPES})
def hamming_window(size: np.ndarray, *, output_datatype: int = 1, periodic: int = 1) -> np.ndarray:
    """Hamming window of ``size`` points."""
    return _cosines(size, (25 / 46, -21 / 46), periodic, output_datatype)


@operator("BlackmanWindow", infer=infers(_window_types), shape_inputs=(0,), allowed={"output_datatype": DTYPES})
def blackman_window(size: np.ndarray, *, output_datatype: int = 1, periodic: int = 1) -> np.ndarray:
    """Blackman window of ``size`` points."""
    return _cosines(size, (0.42, -0.5, 0.08), periodic, output_datatype)


@operator("MelWeightMatrix", shape_inputs=(0, 1, 2, 3, 4), allowed={"output_datatype": DTYPES})
def mel_weight_matrix(
    num_mel_bins: np.ndarray,
    dft_length: np.ndarray,
    sample_rate: np.ndarray,
    lower_edge_hertz: np.ndarray,
    upper_edge_hertz: np.ndarray,
    *,
    output_datatype: int = 1,
) -> np.ndarray:
    """Triangular filters, evenly spaced in mel, (dft_length // 2 + 1, num_mel_bins)."""
    bins, length = int(num_mel_bins.reshape(())), int(dft_length.reshape(()))
    check_room((length // 2 + 1, bins + 2))
    low, high = (2595 * np.log10(1 + float(edge.reshape(())) / 700) for edge in (lower_edge_hertz, upper_edge_hertz))
    mel = low + np.arange(bins + 2) * (high - low) / (bins + 2)
    edges = ((length + 1) * 700 * (10 ** (mel / 2595) - 1) // float(sample_rate.reshape(()))).astype(np.int64)
    check_room((int(np.abs(edges).max()),))
    matrix = np.zeros((length // 2 + 1, bins))
    for column, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        matrix[left:centre, column] = np.arange(centre - left) / (centre - left)
        matrix[centre, column] = 1
        matrix[centre:right, column] = np.arange(right - centre, 0, -1) / (right - centre)
    return matrix.astype(onnx_dtype(output_datatype))
