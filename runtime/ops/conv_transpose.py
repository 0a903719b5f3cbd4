"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.errors import PlanError
from ._dtypes import accumulator
from ._registry import Shaped, lowering, operator
from ._room import check_room
from ._shapes import Shape, Types, Values, check_rank, check_shape, given, infers
from ._window import Window, per_axis

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


def transposed_window(
    x_shape: Shape,
    w_shape: Shape,
    *,
    auto_pad: str,
    dilations: Sequence[int] | None,
    group: int,
    kernel_shape: Sequence[int] | None,
    output_padding: Sequence[int] | None,
    output_shape: Sequence[int] | None,
    pads: Sequence[int] | None,
    strides: Sequence[int] | None,
) -> Window:
    """The geometry of a transposed convolution of (N, C, \\*spatial) by (C, M/group, \\*kernel).

    ``output`` is the size of the result; ``begin`` and ``end`` are what is cut off the full result.

    Raises:
        PlanError: the shapes, or the attributes, do not fit together.
    """
    check_rank("a transposed convolution's input", x_shape, 3, at_least=True)
    check_rank("a transposed convolution's weights", w_shape, len(x_shape))
    if x_shape[1] != w_shape[0] or x_shape[1] % group:
        raise PlanError(f"weights {w_shape} in {group} groups do not fit an input of shape {x_shape}")
    if kernel_shape and tuple(kernel_shape) != w_shape[2:]:
        raise PlanError(f"kernel_shape {tuple(kernel_shape)} is not that of the weights {w_shape}")
    spatial, rank = x_shape[2:], len(x_shape) - 2
    steps = per_axis("strides", strides, rank, 1, 1)
    spread = per_axis("dilations", dilations, rank, 1, 1)
    extra = per_axis("output_padding", output_padding, rank, 0, 0)
    both = per_axis("pads", pads if auto_pad == "NOTSET" else None, 2 * rank, 0, 0)
    seen = Window(w_shape[2:], steps, spread, both[:rank], both[rank:], spatial)
    full = tuple(r + e for r, e in zip(seen.reach, extra, strict=True))
    if not output_shape and auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        output_shape = tuple(n * s for n, s in zip(spatial, steps, strict=True))
    if not output_shape:
        return replace(seen, output=tuple(f - b - e for f, b, e in zip(full, seen.begin, seen.end, strict=True)))
    wanted = per_axis("output_shape", output_shape[-rank:], rank, 1, 1)
    cut = [max(0, f - o) for f, o in zip(full, wanted, strict=True)]
    smaller, larger = tuple(c // 2 for c in cut), tuple(c - c // 2 for c in cut)
    begin, end = (smaller, larger) if auto_pad == "SAME_UPPER" else (larger, smaller)
    return replace(seen, begin=begin, end=end, output=wanted)


def _types(types: Types, values: Values, **attributes: Any) -> Shaped:
    (dtype, x_shape), (_, w_shape) = given(types, 0), given(types, 1)
    seen, outputs = transposed_window(x_shape, w_shape, **attributes), w_shape[1] * attributes["group"]
    check_shape("the bias", types, 2, (outputs,))
    return dtype, (x_shape[0], outputs, *seen.output)


@operator("ConvTranspose", infer=infers(_types), weights={1: lambda node, rank: (1,)})
def conv_transpose(
    X: np.ndarray,
    W: np.ndarray,
    B: np.ndarray | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> np.ndarray:
    """Scatter ``X`` (N, C, \\*spatial) through ``W`` (C, M/group, \\*kernel) and add ``B`` (M,): (N, M, \\*output)."""
    seen = transposed_window(
        X.shape,
        W.shape,
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        kernel_shape=kernel_shape,
        output_padding=output_padding,
        output_shape=output_shape,
        pads=pads,
        strides=strides,
    )
    wide = accumulator(X.dtype)
    count, outputs, spatial = X.shape[0], W.shape[1] * group, X.shape[2:]
    grouped = X.astype(wide, copy=False).reshape(count, group, W.shape[0] // group, prod(spatial))
    scattered = replace(seen, output=spatial)
    full = [max(r, b + o) for r, b, o in zip(scattered.reach, seen.begin, seen.output, strict=True)]
    check_room((count, outputs, *full))
    sums = np.zeros((count, outputs, *full), wide)
    for position, view in scattered.views(sums):
        weights = W[(..., *position)].astype(wide, copy=False).reshape(group, W.shape[0] // group, outputs // group)
        view += (weights.swapaxes(1, 2) @ grouped).reshape(view.shape)
    result = sums[(..., *(slice(b, b + o) for b, o in zip(seen.begin, seen.output, strict=True)))]
    if B is not None:
        result = result + B.reshape(-1, *[1] * len(spatial))
    return result.astype(X.dtype, copy=False)


@lowering("ConvTranspose", kernel="convolution from packed weights, outputs interleaved")
def lower(site: Site) -> Kernel | None:
    """Convolve from codebook indices, and put outputs where they belong."""
    from ..kernels.conv.transposed import lower_transposed

    x, w = site.type(0), site.type(1)
    if x is None or w is None:
        return None
    return lower_transposed(site, transposed_window(x[1], w[1], **{**conv_transpose.defaults, **site.node.attributes}))
