"""Dropout, which does nothing at inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...format_spec.errors import PlanError
from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers


def _types(types: Types, values: Values, **_: Any) -> list[Shaped]:
    dtype, shape = given(types, 0)
    return [(dtype, shape), (np.dtype(np.bool_), shape)]


@operator("Dropout", infer=infers(_types))
def dropout(
    data: np.ndarray, ratio: np.ndarray | None = None, training_mode: np.ndarray | None = None, *, seed: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """``data`` itself, and a mask that keeps everything.

    Raises:
        PlanError: ``training_mode`` is set and ``ratio`` is not 0.
    """
    if training_mode and (ratio is None or float(ratio) != 0):
        raise PlanError("Dropout in training mode is not supported")
    return data, np.broadcast_to(np.True_, data.shape)
