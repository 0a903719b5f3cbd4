"""Arithmetic on quantised tensors, bit for bit what the references do: products summed in int32, rounding half to even."""

from __future__ import annotations

import numpy as np

from ...jit.jitted import jit


@jit
def multiply(a: np.ndarray, b: np.ndarray, b_zero: np.ndarray, sums: np.ndarray) -> None:
    """``sums = a @ (b - b_zero)``, int32, for ``a`` (M, K), int16, ``b`` (K, N) of 8 or 16 bits and ``b_zero`` (N,), int32.

    Four rows of ``b`` are taken at a time, and none where they meet zeros of ``a``; the zero points meet the sum of the row of
    ``a`` once.
    """
    inner, columns = b.shape
    whole = inner - inner % 4
    for m in range(len(a)):
        row, out = a[m], sums[m]
        out[:] = 0
        total = 0
        for k in range(0, whole, 4):
            v0, v1, v2, v3 = np.int32(row[k]), np.int32(row[k + 1]), np.int32(row[k + 2]), np.int32(row[k + 3])
            if v0 == 0 and v1 == 0 and v2 == 0 and v3 == 0:
                continue
            total += v0 + v1 + v2 + v3
            b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
            for n in range(columns):
                out[n] += np.int32(v0 * b0[n] + v1 * b1[n] + v2 * b2[n] + v3 * b3[n])
        for k in range(whole, inner):
            v, last = np.int32(row[k]), b[k]
            total += v
            for n in range(columns):
                out[n] += np.int32(v * last[n])
        for n in range(columns):
            out[n] -= np.int32(total * b_zero[n])


@jit
def slide(planes: np.ndarray, offsets: np.ndarray, weights: np.ndarray, columns: int, sums: np.ndarray) -> None:
    """``sums[m, n] = sum over t of weights[m, t] * planes[c, offsets[t] + n]`` for ``n < columns``, int32 (M, N).

    ``planes`` (C, P) int16, ``offsets`` (taps,) int64, ``weights`` (M, taps) int16; ``c`` is ``m`` divided by M / C.
    Three taps are taken at a time: a row of most kernels.
    """
    rows, taps = weights.shape
    each = rows // len(planes)
    whole = taps - taps % 3
    for m in range(rows):
        plane, row, out = planes[m // each], weights[m], sums[m]
        out[:] = 0
        for t in range(0, whole, 3):
            v0, v1, v2 = np.int32(row[t]), np.int32(row[t + 1]), np.int32(row[t + 2])
            x0, x1, x2 = plane[offsets[t] :], plane[offsets[t + 1] :], plane[offsets[t + 2] :]
            for n in range(columns):
                out[n] += np.int32(v0 * x0[n] + v1 * x1[n] + v2 * x2[n])
        for t in range(whole, taps):
            v, last = np.int32(row[t]), plane[offsets[t] :]
            for n in range(columns):
                out[n] += np.int32(v * last[n])


@jit
def _clip(value, low, high):
    """``value`` within bounds; what is not a number becomes ``low``."""
    value = value if value > low else np.float64(low)
    return np.int64(value if value < high else np.float64(high))


@jit
def rescale(sums: np.ndarray, scale: np.ndarray, zero: np.ndarray, low: int, high: int, out: np.ndarray) -> None:
    """``out = clip(rint(sums * scale) + zero, low, high)`` (M, N); ``scale``, float64, and ``zero``, int64, have one row or M,
    and one column or N. ``out`` is unsigned: it takes the bits of a signed result.
    """
    rows, columns = sums.shape
    for m in range(rows):
        factors, shifts = scale[m if len(scale) > 1 else 0], zero[m if len(zero) > 1 else 0]
        for n in range(columns):
            factor, shift = factors[n if len(factors) > 1 else 0], shifts[n if len(shifts) > 1 else 0]
            out[m, n] = _clip(np.rint(sums[m, n] * factor) + shift, low, high)


@jit
def quantize(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, low: int, high: int, out: np.ndarray) -> None:
    """``out = clip(rint(x / scale) + zero, low, high)`` for float32 ``x`` (outer, axis, inner); ``scale`` and ``zero`` have one
    element for each index of the axis. ``out`` is unsigned: it takes the bits of a signed result.
    """
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            divisor, shift, values, target = scale[j], np.float64(zero[j]), x[i, j], out[i, j]
            for k in range(len(values)):
                target[k] = _clip(np.float64(np.rint(values[k] / divisor)) + shift, low, high)


@jit
def dequantize(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, out: np.ndarray) -> None:
    """``out = (x - zero) * scale``, float32, for int32 ``x``; shapes as in :func:`quantize`."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            factor, shift, values, target = scale[j], zero[j], x[i, j], out[i, j]
            for k in range(len(values)):
                target[k] = np.float32(values[k] - shift) * factor


def unsigned(array: np.ndarray) -> np.ndarray:
    """The same memory as unsigned integers: kernels need not be compiled twice."""
    return array.view(np.dtype(f"u{array.itemsize}"))
