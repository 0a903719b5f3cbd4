"""Putting columns of blocks back into an image."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ._registry import operator
from ._window import window


@operator("Col2Im", shape_inputs=(1, 2))
def col2im(
    X: np.ndarray,
    image_shape: np.ndarray,
    block_shape: np.ndarray,
    *,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> np.ndarray:
    """Sum the columns (N, C * positions, blocks) of ``X`` at the places they were taken from: (N, C, \\*image)."""
    spatial, kernel = tuple(int(d) for d in image_shape), tuple(int(d) for d in block_shape)
    seen = window(spatial, kernel, dilations=dilations, pads=pads, strides=strides)
    columns = X.reshape(X.shape[0], X.shape[1] // prod(kernel), *kernel, *seen.output)
    image = seen.pad(np.zeros((*columns.shape[:2], *spatial), X.dtype))
    for position, view in seen.views(image):
        view += columns[(slice(None), slice(None), *position)]
    return image[(..., *(slice(b, b + n) for b, n in zip(seen.begin, spatial, strict=True)))]
