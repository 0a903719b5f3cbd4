"""Element types: what safetensors calls them, and the error for those that a graph cannot hold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..format_spec.errors import UnsupportedOperator

SAFETENSORS_DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
    "C64": np.dtype(np.complex64),
}


def unsupported_type(what: str, name: str, supported: Iterable[str]) -> UnsupportedOperator:
    """Say that ``what`` has element type ``name``, which is none of ``supported``, and what to do where that loses nothing."""
    advice = "; float32 holds every bfloat16 exactly: cast to it first" if name in ("bfloat16", "bf16") else ""
    return UnsupportedOperator(f"{what} has element type {name}; supported: {', '.join(supported)}{advice}")
