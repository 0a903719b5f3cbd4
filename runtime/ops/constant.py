"""Tensors that come from attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...format_spec.errors import PlanError
from ._registry import Shaped, operator
from ._shapes import Types, Values, infers, required


@operator("Constant")
def constant(
    *,
    value: np.ndarray | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
) -> np.ndarray:
    """The one attribute that is given: a tensor, or float32 or int64 numbers."""
    if value is not None:
        return value
    if value_float is not None or value_floats is not None:
        return np.array(value_floats if value_float is None else value_float, np.float32)
    if value_int is not None or value_ints is not None:
        return np.array(value_ints if value_int is None else value_int, np.int64)
    raise PlanError("Constant has no value")


_ZERO = np.zeros(1, np.float32)


def _filled(types: Types, values: Values, *, value: np.ndarray) -> Shaped:
    return value.dtype, tuple(int(d) for d in required(values, 0))


@operator("ConstantOfShape", infer=infers(_filled), shape_inputs=(0,))
def constant_of_shape(shape: np.ndarray, *, value: np.ndarray = _ZERO) -> np.ndarray:
    """A tensor of ``shape`` filled with the one element of ``value``, and of its type."""
    return np.full([int(d) for d in shape], value.reshape(()), value.dtype)
