"""Convolution."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.errors import PlanError
from ._dtypes import accumulator
from ._registry import Shaped, lowering, operator
from ._shapes import Shape, Types, Values, check_rank, given, infers, rows_first
from ._window import Window, window

if TYPE_CHECKING:
    from ..plan.step import Kernel, Site


def conv_window(x_shape: Shape, w_shape: Shape, *, kernel_shape: Sequence[int] | None, group: int, **geometry: Any) -> Window:
    """The window of a convolution of (N, C, \\*spatial) by (M, C/group, \\*kernel); ``geometry`` as for :func:`window`.

    Raises:
        PlanError: the shapes, or the attributes, do not fit together.
    """
    check_rank("a convolution's input", x_shape, 3, at_least=True)
    check_rank("a convolution's weights", w_shape, len(x_shape))
    if x_shape[1] != w_shape[1] * group or w_shape[0] % group:
        raise PlanError(f"weights {w_shape} in {group} groups do not fit an input of shape {x_shape}")
    if kernel_shape and tuple(kernel_shape) != w_shape[2:]:
        raise PlanError(f"kernel_shape {tuple(kernel_shape)} is not that of the weights {w_shape}")
    return window(x_shape[2:], w_shape[2:], **geometry)


def _types(types: Types, values: Values, **attributes: Any) -> Shaped:
    (dtype, x_shape), (_, w_shape) = given(types, 0), given(types, 1)
    return dtype, (x_shape[0], w_shape[0], *conv_window(x_shape, w_shape, **attributes).output)


def convolve(X: np.ndarray, W: np.ndarray, group: int, seen: Window) -> np.ndarray:
    """Convolve (N, C, \\*spatial) with (M, C/group, \\*kernel): one matrix product for each position in the kernel."""
    count, outputs, size = X.shape[0], W.shape[0], prod(seen.output)
    sums = np.zeros((count, group, outputs // group, size), X.dtype)
    for position, view in seen.views(seen.pad(X)):
        weights = W[(..., *position)].reshape(group, outputs // group, -1)
        sums += weights @ view.reshape(count, group, W.shape[1], size)
    return sums.reshape(count, outputs, *seen.output)


@operator("Conv", infer=infers(_types), weights={1: rows_first})
def conv(
    X: np.ndarray,
    W: np.ndarray,
    B: np.ndarray | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> np.ndarray:
    """Convolve ``X`` (N, C, \\*spatial) with ``W`` (M, C/group, \\*kernel) and add ``B`` (M,): (N, M, \\*output)."""
    geometry = {"auto_pad": auto_pad, "dilations": dilations, "pads": pads, "strides": strides}
    seen = conv_window(X.shape, W.shape, kernel_shape=kernel_shape, group=group, **geometry)
    wide = accumulator(X.dtype)
    result = convolve(X.astype(wide, copy=False), W.astype(wide, copy=False), group, seen)
    if B is not None:
        result += B.reshape(-1, *[1] * len(seen.output))
    return result.astype(X.dtype, copy=False)


@lowering("Conv")
def lower(site: Site) -> Kernel | None:
    """Convolve from codebook indices."""
    from ..kernels.lower_conv import lower_conv

    return lower_conv(site)
