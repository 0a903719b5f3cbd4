"""Conversion between element types."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._dtypes import DTYPES, onnx_dtype
from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers


def _cast_types(types: Types, values: Values, *, to: int, **_: Any) -> Shaped:
    return onnx_dtype(to), given(types, 0)[1]


def _like_types(types: Types, values: Values, **_: Any) -> Shaped:
    return given(types, 1)[0], given(types, 0)[1]


@operator("Cast", infer=infers(_cast_types), allowed={"to": DTYPES})
def cast(data: np.ndarray, *, to: int, saturate: int = 1, round_mode: str = "up") -> np.ndarray:
    """``data`` as ONNX element type ``to``; ``saturate`` and ``round_mode`` matter for 8-bit floats only."""
    return data.astype(onnx_dtype(to))


@operator("CastLike", infer=infers(_like_types))
def cast_like(data: np.ndarray, target: np.ndarray, *, saturate: int = 1, round_mode: str = "up") -> np.ndarray:
    """``data`` in the element type of ``target``; ``saturate`` and ``round_mode`` matter for 8-bit floats only."""
    return data.astype(target.dtype)


def _bit_types(types: Types, values: Values, *, to: int) -> Shaped:
    return onnx_dtype(to), given(types, 0)[1]


@operator("BitCast", infer=infers(_bit_types), allowed={"to": DTYPES})
def bit_cast(data: np.ndarray, *, to: int) -> np.ndarray:
    """The bits of ``data`` read as ONNX element type ``to``, of the same width."""
    return np.ascontiguousarray(data).reshape(-1).view(onnx_dtype(to)).reshape(data.shape)
