"""Moving blocks between channels and the plane."""

from __future__ import annotations

import numpy as np

from ...format_spec.errors import PlanError
from ._registry import operator
from ._shapes import by_view, check_rank


def shallow_blocks(X: np.ndarray, *, blocksize: int, mode: str = "DCR") -> np.ndarray:
    """A view of (N, C, H, W) in the order of (N, C / b^2, H b, W b), its last axes two each; in the channels the block comes
    first (DCR) or last (CRD)."""
    check_rank("the input", X.shape, 4)
    n, c, h, w = X.shape
    if c % blocksize**2:
        raise PlanError(f"{c} channels do not divide into blocks of {blocksize} x {blocksize}")
    outputs = c // blocksize**2
    if mode == "DCR":
        return X.reshape(n, blocksize, blocksize, outputs, h, w).transpose(0, 3, 4, 1, 5, 2)
    return X.reshape(n, outputs, blocksize, blocksize, h, w).transpose(0, 1, 4, 2, 5, 3)


def deep_blocks(X: np.ndarray, *, blocksize: int) -> np.ndarray:
    """A view of (N, C, H, W) in the order of (N, C b^2, H / b, W / b), the second axis as three; in the channels the block
    comes first."""
    check_rank("the input", X.shape, 4)
    n, c, h, w = X.shape
    if h % blocksize or w % blocksize:
        raise PlanError(f"a plane of {h} x {w} does not divide into blocks of {blocksize} x {blocksize}")
    return X.reshape(n, c, h // blocksize, blocksize, w // blocksize, blocksize).transpose(0, 3, 5, 1, 2, 4)


@operator("DepthToSpace", infer=by_view, allowed={"mode": ("DCR", "CRD")})
def depth_to_space(X: np.ndarray, *, blocksize: int, mode: str = "DCR") -> np.ndarray:
    """(N, C, H, W) to (N, C / b^2, H b, W b), see :func:`shallow_blocks`."""
    n, outputs, h, _, w, _ = (blocks := shallow_blocks(X, blocksize=blocksize, mode=mode)).shape
    return blocks.reshape(n, outputs, h * blocksize, w * blocksize)


@operator("SpaceToDepth", infer=by_view)
def space_to_depth(X: np.ndarray, *, blocksize: int) -> np.ndarray:
    """(N, C, H, W) to (N, C b^2, H / b, W / b), see :func:`deep_blocks`."""
    n, _, _, c, h, w = (blocks := deep_blocks(X, blocksize=blocksize)).shape
    return blocks.reshape(n, c * blocksize**2, h, w)
