"""Repeating a tensor: by broadcasting and by tiling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...format_spec.errors import PlanError
from ._registry import Shaped, operator
from ._shapes import Types, Values, broadcast, by_view, given, infers, required


@operator("Expand", infer=by_view, shape_inputs=(1,))
def expand(data: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """``data`` broadcast with ``shape``, both ways."""
    return np.broadcast_to(data, broadcast(data.shape, tuple(int(d) for d in shape)))


def _tiled(types: Types, values: Values, **_: Any) -> Shaped:
    dtype, shape = given(types, 0)
    repeats = required(values, 1)
    if len(repeats) != len(shape):
        raise PlanError(f"one repeat an axis is needed for an input of shape {shape}")
    return dtype, tuple(n * int(r) for n, r in zip(shape, repeats, strict=True))


@operator("Tile", infer=infers(_tiled), shape_inputs=(1,))
def tile(data: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """``data`` repeated ``repeats[i]`` times along axis ``i``."""
    return np.tile(data, [int(r) for r in repeats])
