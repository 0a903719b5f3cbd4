"""Concatenation."""

from __future__ import annotations

import numpy as np

from ...format_spec.errors import PlanError
from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers, positive_axis


def _types(types: Types, values: Values, *, axis: int) -> Shaped:
    dtype, first = given(types, 0)
    shapes = [given(types, i)[1] for i in range(len(types))]
    along = positive_axis(axis, len(first))
    for shape in shapes:
        if len(shape) != len(first) or any(a != b for i, (a, b) in enumerate(zip(first, shape, strict=True)) if i != along):
            raise PlanError(f"shapes {first} and {shape} do not concatenate along axis {axis}")
    return dtype, (*first[:along], sum(shape[along] for shape in shapes), *first[along + 1 :])


@operator("Concat", infer=infers(_types))
def concat(*inputs: np.ndarray, axis: int) -> np.ndarray:
    """The inputs one after another along ``axis``; their other axes are equal."""
    return np.concatenate(inputs, axis)
