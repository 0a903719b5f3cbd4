"""Transposition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...format_spec.errors import PlanError
from ._registry import operator
from ._shapes import by_view


@operator("Transpose", infer=by_view)
def transpose(data: np.ndarray, *, perm: Sequence[int] | None = None) -> np.ndarray:
    """``data`` with its axes in the order ``perm`` (default: reversed).

    Raises:
        PlanError: ``perm`` is no order of the axes.
    """
    if perm is not None and sorted(perm) != list(range(data.ndim)):
        raise PlanError(f"perm {tuple(perm)} is no order of {data.ndim} axes: a repeated axis, or none of them")
    return np.transpose(data, perm)
