"""Grids of sampling coordinates."""

from __future__ import annotations

import numpy as np

from ._registry import operator
from ._room import check_room


@operator("AffineGrid", shape_inputs=(1,))
def affine_grid(theta: np.ndarray, size: np.ndarray, *, align_corners: int = 0) -> np.ndarray:
    """Coordinates in [-1, 1] for :class:`GridSample`, (N, \\*spatial, axes), transformed by ``theta`` (N, axes, axes + 1).

    ``size`` is (N, C, \\*spatial). The ends are element centres if ``align_corners``, else outer edges.
    """
    spatial = [int(n) for n in size[2:]]
    check_room((*spatial, len(spatial) + 1))
    lines = []
    for n in spatial:
        reach = 1 if align_corners else 1 - 1 / n
        lines.append(np.linspace(-reach, reach, n))
    axes = np.meshgrid(*lines, indexing="ij")[::-1]
    points = np.stack([*axes, np.ones(spatial)], -1).reshape(-1, len(spatial) + 1)
    return (points @ theta.swapaxes(1, 2)).reshape(-1, *spatial, len(spatial)).astype(theta.dtype)
