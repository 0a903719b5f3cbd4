"""Conversion between real numbers and integers with a scale and a zero point."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...format_spec.errors import PlanError
from ._dtypes import DTYPES, onnx_dtype
from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers, positive_axis


def spread(parameter: np.ndarray, x: np.ndarray, axis: int, block_size: int) -> np.ndarray:
    """A scale or zero point made to broadcast with ``x``: one for all, one for each index of ``axis``, or one a block of it.

    Raises:
        PlanError: its shape fits none of these.
    """
    if parameter.size == 1:
        return parameter.reshape(())
    along = positive_axis(axis, x.ndim)
    if block_size:
        length = x.shape[along]
        if parameter.shape != (*x.shape[:along], -(-length // block_size), *x.shape[along + 1 :]):
            raise PlanError(f"a parameter of shape {parameter.shape} does not fit blocks of {block_size} of shape {x.shape}")
        return np.repeat(parameter, min(block_size, length), along)[tuple(slice(n) for n in x.shape)]
    if parameter.shape != (x.shape[along],):
        raise PlanError(f"a parameter of shape {parameter.shape} does not fit axis {axis} of shape {x.shape}")
    return parameter.reshape(-1, *[1] * (x.ndim - along - 1))


def to_integers(values: np.ndarray, zero_point: np.ndarray | int, dtype: np.dtype) -> np.ndarray:
    """Round half to even, add the zero point, clip to ``dtype``; what is not a number becomes its least value."""
    limits = np.iinfo(dtype)
    shifted = np.rint(values).astype(np.float64) + zero_point
    return np.fmin(np.fmax(shifted, limits.min), limits.max).astype(dtype)


_INTEGERS = [0, *(number for number, dtype in DTYPES.items() if dtype.kind in "iu")]
_FLOATS = [0, *(number for number, dtype in DTYPES.items() if dtype.kind == "f")]


def _integer_type(output_dtype: int, zero_point: np.dtype | None) -> np.dtype:
    asked = onnx_dtype(output_dtype) if output_dtype else np.dtype(np.uint8)
    return asked if zero_point is None else zero_point


def _quantized(types: Types, values: Values, *, output_dtype: int, **_: Any) -> Shaped:
    zero_point = types[2] if len(types) > 2 else None
    return _integer_type(output_dtype, zero_point and zero_point[0]), given(types, 0)[1]


@operator("QuantizeLinear", infer=infers(_quantized), allowed={"output_dtype": _INTEGERS, "precision": _FLOATS})
def quantize_linear(
    x: np.ndarray,
    y_scale: np.ndarray,
    y_zero_point: np.ndarray | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> np.ndarray:
    """``round(x / y_scale) + y_zero_point``, clipped: of the zero point's type, ``output_dtype``, or uint8.

    ``precision`` is the type to divide in (default: the scale's); ``saturate`` matters for 8-bit floats only.
    """
    dtype = _integer_type(output_dtype, None if y_zero_point is None else y_zero_point.dtype)
    wide = onnx_dtype(precision) if precision else y_scale.dtype
    scaled = x.astype(wide, copy=False) / spread(y_scale, x, axis, block_size).astype(wide, copy=False)
    zero = 0 if y_zero_point is None else spread(y_zero_point, x, axis, block_size)
    return to_integers(scaled, zero, dtype)


def _dequantized(types: Types, values: Values, *, output_dtype: int, **_: Any) -> Shaped:
    return onnx_dtype(output_dtype) if output_dtype else given(types, 1)[0], given(types, 0)[1]


@operator("DequantizeLinear", infer=infers(_dequantized), allowed={"output_dtype": _FLOATS})
def dequantize_linear(
    x: np.ndarray,
    x_scale: np.ndarray,
    x_zero_point: np.ndarray | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> np.ndarray:
    """``(x - x_zero_point) * x_scale``, of the scale's type or ``output_dtype``."""
    zero = 0 if x_zero_point is None else spread(x_zero_point, x, axis, block_size).astype(np.int64)
    dtype = onnx_dtype(output_dtype) if output_dtype else x_scale.dtype
    scale = spread(x_scale, x, axis, block_size)
    return ((x.astype(np.int64) - zero).astype(dtype) * scale).astype(dtype)


def dynamic_range(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale, float32, and zero point, uint8, that spread 0 to 255 over the range of ``x``, zero included."""
    low, high = np.minimum(x.min(initial=0), np.float32(0)), np.maximum(x.max(initial=0), np.float32(0))
    scale = np.asarray((high - low) / np.float32(255), np.float32)
    return scale, to_integers(-low / scale if scale else np.float32(0) * low, 0, np.dtype(np.uint8))


@operator("DynamicQuantizeLinear")
def dynamic_quantize_linear(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``x`` (float32) as uint8 over its own range, zero included; the scale; the zero point."""
    scale, zero = dynamic_range(x)
    return to_integers(x / scale if scale else np.zeros_like(x), zero, np.dtype(np.uint8)), scale, zero
