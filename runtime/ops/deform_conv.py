"""Convolution that samples its input at learned offsets."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ._registry import Shaped, operator
from ._shapes import Types, Values, given, infers, rows_first
from .conv import Geometry
from .grid_sample import interpolate


def _types(types: Types, values: Values, *, offset_group: int, **attributes: Any) -> Shaped:
    (dtype, x_shape), (_, w_shape) = given(types, 0), given(types, 1)
    return dtype, Geometry(**attributes).output(x_shape, w_shape)


@operator("DeformConv", infer=infers(_types), weights={1: rows_first})
def deform_conv(
    X: np.ndarray,
    W: np.ndarray,
    offset: np.ndarray,
    B: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    *,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    offset_group: int = 1,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> np.ndarray:
    """Convolve ``X`` (N, C, \\*spatial) with ``W`` (M, C/group, \\*kernel), taps moved by ``offset`` and scaled by ``mask``.

    ``offset`` is (N, offset_group * positions * axes, \\*output), ``mask`` (N, offset_group * positions, \\*output); an
    offset group is shared by C / offset_group channels. The input is interpolated linearly, zero outside.
    """
    geometry = Geometry(dilations=dilations, group=group, kernel_shape=kernel_shape, pads=pads, strides=strides)
    seen = geometry.window(X.shape, W.shape)
    count, outputs, rank, positions = X.shape[0], W.shape[0], len(seen.kernel), prod(seen.kernel)
    parts = X.reshape(count * offset_group, X.shape[1] // offset_group, *X.shape[2:])
    moves = offset.reshape(count * offset_group, positions, rank, *seen.output)
    scales = None if mask is None else mask.reshape(count * offset_group, positions, 1, *seen.output)
    corners = zip(np.indices(seen.output, sparse=True), seen.strides, seen.begin, strict=True)
    starts = [index * stride - begin for index, stride, begin in corners]
    sums = np.zeros((count, group, outputs // group, prod(seen.output)), X.dtype)
    for number, position in enumerate(np.ndindex(*seen.kernel)):
        taps = zip(starts, position, seen.dilations, strict=True)
        places = [start + p * d + moves[:, number, axis] for axis, (start, p, d) in enumerate(taps)]
        sampled = interpolate(parts, [p.astype(np.float64) for p in places], mode="linear", padding_mode="zeros")
        scaled = sampled if scales is None else sampled * scales[:, number]
        grouped = scaled.reshape(count, group, W.shape[1], prod(seen.output))
        sums += W[(..., *position)].reshape(group, outputs // group, W.shape[1]) @ grouped
    result = sums.reshape(count, outputs, *seen.output)
    return result if B is None else result + B.reshape(-1, *[1] * rank)
