"""Convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.errors import PlanError
from ._dtypes import accumulator
from ._registry import Shaped, lowering, operator
from ._shapes import Shape, Types, Values, check_rank, check_shape, given, infers, rows_first
from ._window import Window, window

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


@dataclass(frozen=True)
class Geometry:
    """The attributes that every convolution has, as ONNX defines them."""

    auto_pad: str = "NOTSET"
    dilations: Sequence[int] | None = None
    group: int = 1
    kernel_shape: Sequence[int] | None = None
    pads: Sequence[int] | None = None
    strides: Sequence[int] | None = None

    def window(self, x_shape: Shape, w_shape: Shape) -> Window:
        """The window of a convolution of (N, C, \\*spatial) by (M, C/group, \\*kernel).

        Raises:
            PlanError: the shapes, or the attributes, do not fit together.
        """
        check_rank("a convolution's input", x_shape, 3, at_least=True)
        check_rank("a convolution's weights", w_shape, len(x_shape))
        if x_shape[1] != w_shape[1] * self.group or w_shape[0] % self.group:
            raise PlanError(f"weights {w_shape} in {self.group} groups do not fit an input of shape {x_shape}")
        if self.kernel_shape and tuple(self.kernel_shape) != w_shape[2:]:
            raise PlanError(f"kernel_shape {tuple(self.kernel_shape)} is not that of the weights {w_shape}")
        placed = {"strides": self.strides, "dilations": self.dilations, "pads": self.pads, "auto_pad": self.auto_pad}
        return window(x_shape[2:], w_shape[2:], **placed)

    def output(self, x_shape: Shape, w_shape: Shape) -> Shape:
        """The shape of the result."""
        return (x_shape[0], w_shape[0], *self.window(x_shape, w_shape).output)

    def convolve(self, X: np.ndarray, W: np.ndarray) -> np.ndarray:
        """Convolve (N, C, \\*spatial) with (M, C/group, \\*kernel): one matrix product for each position in the kernel."""
        seen, group = self.window(X.shape, W.shape), self.group
        count, outputs, size = X.shape[0], W.shape[0], prod(seen.output)
        sums = np.zeros((count, group, outputs // group, size), X.dtype)
        for position, view in seen.views(seen.pad(X)):
            weights = W[(..., *position)].reshape(group, outputs // group, -1)
            sums += weights @ view.reshape(count, group, W.shape[1], size)
        return sums.reshape(count, outputs, *seen.output)


def _types(types: Types, values: Values, **attributes: Any) -> Shaped:
    (dtype, x_shape), (_, w_shape) = given(types, 0), given(types, 1)
    output = Geometry(**attributes).output(x_shape, w_shape)
    check_shape("the bias", types, 2, w_shape[:1])
    return dtype, output


@operator("Conv", infer=infers(_types), weights={1: rows_first}, family=Geometry)
def conv(X: np.ndarray, W: np.ndarray, B: np.ndarray | None = None, **family: Any) -> np.ndarray:
    """Convolve ``X`` (N, C, \\*spatial) with ``W`` (M, C/group, \\*kernel) and add ``B`` (M,): (N, M, \\*output)."""
    wide = accumulator(X.dtype)
    result = Geometry(**family).convolve(X.astype(wide, copy=False), W.astype(wide, copy=False))
    if B is not None:
        result += B.reshape(-1, *[1] * (X.ndim - 2))
    return result.astype(X.dtype, copy=False)


@lowering("Conv", kernel="convolution from packed weights", elements="float16, float32")
def lower(site: Site) -> Kernel | None:
    """Convolve from codebook indices."""
    from ..kernels.conv.lower import lower_conv
    from ..kernels.half import lower_half

    return lower_conv(site) or lower_half(site, lower_conv)
