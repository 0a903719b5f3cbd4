"""The largest or smallest elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Node
from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers, positive_axis, required


def _types(types: Types, values: Values, *, axis: int, **_: Any) -> list[Shaped]:
    dtype, shape = given(types, 0)
    along = positive_axis(axis, len(shape))
    found = (*shape[:along], int(required(values, 1).reshape(())), *shape[along + 1 :])
    return [(dtype, found), (np.dtype(np.int64), found)]


def _settled(node: Node, types: Types, outputs: Sequence[Shaped]) -> list[np.ndarray | None]:
    """The indices along an axis of one element."""
    shape = given(types, 0)[1]
    alone = shape == outputs[1][1] and shape[positive_axis(node.attribute("axis", -1), len(shape))] == 1
    return [None, np.zeros(shape, np.int64) if alone else None]


@operator("TopK", infer=infers(_types), shape_inputs=(1,), settle=_settled)
def top_k(X: np.ndarray, k: np.ndarray, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` largest (or smallest) along ``axis``, in order, and their indices (int64); of equals the first.

    ``sorted`` 0 allows any order; it is kept all the same.

    Raises:
        PlanError: there are fewer than ``k``.
    """
    count, size = int(k.reshape(())), X.shape[axis]
    if count > size:
        raise PlanError(f"the {count} largest of {size} are asked for")
    if largest:
        order = np.flip(size - 1 - np.argsort(np.flip(X, axis), axis=axis, kind="stable"), axis)
    else:
        order = np.argsort(X, axis=axis, kind="stable")
    indices = np.take(order, np.arange(count), axis).astype(np.int64)
    return np.take_along_axis(X, indices, axis), indices
