"""Element types by the numbers that ONNX attributes use (``TensorProto.DataType``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...format_spec.errors import UnsupportedOperator
from ...format_spec.records import DTYPE_NAMES

DTYPES = {number: np.dtype(name) for number, name in DTYPE_NAMES.items()}
"""The types that numpy has."""


def onnx_dtype(number: int) -> np.dtype:
    """The dtype that ONNX calls ``number``.

    Raises:
        UnsupportedOperator: numpy has no such type.
    """
    if number not in DTYPES:
        raise UnsupportedOperator(f"ONNX element type {number} is not supported")
    return DTYPES[number]


def accumulator(dtype: np.dtype) -> np.dtype:
    """The type to sum products of ``dtype`` in: float32 for float16, else the type itself."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def lowest(dtype: np.dtype) -> Any:
    """The smallest value of ``dtype``: -inf, the least integer, or False."""
    if dtype.kind == "f":
        return dtype.type(-np.inf)
    return dtype.type(False) if dtype.kind == "b" else dtype.type(np.iinfo(dtype).min)


def highest(dtype: np.dtype) -> Any:
    """The largest value of ``dtype``: inf, the greatest integer, or True."""
    if dtype.kind == "f":
        return dtype.type(np.inf)
    return dtype.type(True) if dtype.kind == "b" else dtype.type(np.iinfo(dtype).max)


def saturate(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Cast to ``dtype``; towards integers, round half to even and clip to the range first."""
    if dtype.kind not in "iu":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
