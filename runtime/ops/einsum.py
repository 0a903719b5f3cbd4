"""Einstein summation."""

from __future__ import annotations

import numpy as np

from ._dtypes import accumulator
from ._registry import operator


@operator("Einsum")
def einsum(*inputs: np.ndarray, equation: str) -> np.ndarray:
    """Sum of products by ``equation``, in numpy's notation."""
    wide = accumulator(inputs[0].dtype)
    return np.einsum(equation, *(x.astype(wide, copy=False) for x in inputs)).astype(inputs[0].dtype, copy=False)
