"""Cropping or padding around the centre."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._padding import pad_axes
from ._registry import operator
from ._shapes import positive_axes


@operator("CenterCropPad", shape_inputs=(1,))
def center_crop_pad(X: np.ndarray, shape: np.ndarray, *, axes: Sequence[int] | None = None) -> np.ndarray:
    """``X`` cropped or padded with zeros to ``shape`` along ``axes`` (default: all); an odd remainder goes to the end."""
    result = X
    for axis, wanted in zip(positive_axes(axes, X.ndim), (int(d) for d in shape), strict=True):
        size = result.shape[axis]
        before = [(0, 0)] * X.ndim
        missing = max(0, wanted - size)
        before[axis] = (missing // 2, missing - missing // 2)
        start = max(0, size - wanted) // 2
        result = pad_axes(np.take(result, np.arange(start, start + min(size, wanted)), axis), before)
    return result
