"""Discrete Fourier transforms. A last axis of size 1 holds real numbers, of size 2 real and imaginary parts."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._room import check_room
from ._shapes import positive_axis

COMPLEX = 16
"""Bytes of a complex number, as transforms make them."""


def _to_complex(x: np.ndarray) -> np.ndarray:
    return x[..., 0] if x.shape[-1] == 1 else x[..., 0] + 1j * x[..., 1]


def _from_complex(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.stack([np.real(x), np.imag(x)], -1).astype(dtype)


@operator("DFT", shape_inputs=(1, 2))
def dft(
    X: np.ndarray, dft_length: np.ndarray | None = None, axis: np.ndarray | None = None, *, inverse: int = 0, onesided: int = 0
) -> np.ndarray:
    """Transform along ``axis`` (default: the last but one), of ``dft_length`` elements (cut, or padded with zeros).

    ``onesided`` keeps the first half of the frequencies; with ``inverse`` it takes such a half and gives real numbers.
    """
    along = positive_axis(-2 if axis is None else int(axis.reshape(())), X.ndim)
    size = X.shape[along]
    default = 2 * (size - 1) if inverse and onesided else size
    length = default if dft_length is None else int(dft_length.reshape(()))
    check_room((X.size // max(1, size), length), COMPLEX)
    signal = _to_complex(X)
    if inverse and onesided:
        return np.fft.irfft(signal, length, along)[..., None].astype(X.dtype)
    result = (np.fft.ifft if inverse else np.fft.fft)(signal, length, along)
    if onesided:
        result = result.take(np.arange(length // 2 + 1), along)
    return _from_complex(result, X.dtype)


@operator("STFT", shape_inputs=(1, 3))
def stft(
    signal: np.ndarray,
    frame_step: np.ndarray,
    window: np.ndarray | None = None,
    frame_length: np.ndarray | None = None,
    *,
    onesided: int = 1,
) -> np.ndarray:
    """Transforms of windowed frames of ``signal`` (batch, length, 1 or 2): (batch, frames, frequencies, 2)."""
    whole = signal.shape[1] if window is None else window.shape[0]
    length = whole if frame_length is None else int(frame_length.reshape(()))
    frames = np.lib.stride_tricks.sliding_window_view(_to_complex(signal), length, axis=1)[:, :: int(frame_step.reshape(()))]
    check_room(frames.shape, COMPLEX)
    transformed = np.fft.fft(frames if window is None else frames * window, axis=2)
    return _from_complex(transformed[:, :, : length // 2 + 1] if onesided else transformed, signal.dtype)
