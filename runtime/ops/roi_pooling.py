"""Pooling of regions of interest of a plane (N, C, H, W)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._registry import Shaped, operator
from ._room import check_room
from ._shapes import Types, Values, given, infers

_Corners = list[tuple[np.ndarray, np.ndarray]]


def _pooled(types: Types, height: int, width: int) -> Shaped:
    dtype, shape = given(types, 0)
    return dtype, (given(types, 1)[1][0], shape[1], height, width)


def _align_types(types: Types, values: Values, *, output_height: int, output_width: int, **_: Any) -> Shaped:
    return _pooled(types, output_height, output_width)


def _max_types(types: Types, values: Values, *, pooled_shape: Sequence[int], **_: Any) -> Shaped:
    return _pooled(types, pooled_shape[0], pooled_shape[1])


def _samples(start: float, size: float, bins: int, ratio: int) -> np.ndarray:
    """Coordinates (bins, samples a bin), evenly spread."""
    count = ratio if ratio > 0 else math.ceil(size / bins)
    check_room((bins, count))
    return start + (np.arange(bins)[:, None] + (np.arange(count) + 0.5) / max(1, count)) * (size / bins)


def _linear_taps(x: np.ndarray, size: int) -> _Corners:
    """The two (index, weight) pairs that interpolate at ``x``, clamped to the axis; no weight beyond one element outside."""
    clamped = np.clip(x, 0, size - 1)
    low = np.floor(clamped).astype(np.int64)
    valid = (x >= -1) & (x <= size)
    t = clamped - low
    return [(low, (1 - t) * valid), (np.minimum(low + 1, size - 1), t * valid)]


def _corner_values(plane: np.ndarray, ys: _Corners, xs: _Corners) -> np.ndarray:
    """Weighted values (4, C, bins high, samples, bins wide, samples) of the corners around each sample."""
    (rows, _), (columns, _) = ys[0], xs[0]
    check_room((4, len(plane), rows.size, columns.size))
    corners = []
    for row, row_weight in ys:
        for column, column_weight in xs:
            weight = row_weight[:, :, None, None] * column_weight
            corners.append(plane[:, row[:, :, None, None], column] * weight)
    return np.stack(corners)


@operator(
    "RoiAlign",
    infer=infers(_align_types),
    allowed={"coordinate_transformation_mode": ("half_pixel", "output_half_pixel"), "mode": ("avg", "max")},
)
def roi_align(
    X: np.ndarray,
    rois: np.ndarray,
    batch_indices: np.ndarray,
    *,
    coordinate_transformation_mode: str = "half_pixel",
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> np.ndarray:
    """Mean (or largest weighted corner) of samples in each bin of ``rois`` (R, 4: x1, y1, x2, y2): (R, C, height, width)."""
    half = coordinate_transformation_mode == "half_pixel"
    result = np.zeros((len(rois), X.shape[1], output_height, output_width), X.dtype)
    for number, (roi, batch) in enumerate(zip(rois, batch_indices, strict=True)):
        x1, y1, x2, y2 = (float(c) * spatial_scale - (0.5 if half else 0) for c in roi)
        width, height = (x2 - x1, y2 - y1) if half else (max(x2 - x1, 1), max(y2 - y1, 1))
        ys = _linear_taps(_samples(y1, height, output_height, sampling_ratio), X.shape[2])
        xs = _linear_taps(_samples(x1, width, output_width, sampling_ratio), X.shape[3])
        corners = _corner_values(X[batch], ys, xs)
        if corners.size:
            result[number] = corners.max(axis=(0, 3, 5)) if mode == "max" else corners.sum(axis=0).mean(axis=(2, 4))
    return result


@operator("MaxRoiPool", infer=infers(_max_types))
def max_roi_pool(X: np.ndarray, rois: np.ndarray, *, pooled_shape: Sequence[int], spatial_scale: float = 1.0) -> np.ndarray:
    """Maximum in each bin of ``rois`` (R, 5: batch, x1, y1, x2, y2, ends included): (R, C, \\*pooled_shape); 0 if empty."""
    result = np.zeros((len(rois), X.shape[1], *pooled_shape), X.dtype)
    for number, roi in enumerate(rois):
        x1, y1, x2, y2 = (_rounded(float(c) * spatial_scale) for c in roi[1:])
        rows = _bins(y1, y2, pooled_shape[0], X.shape[2])
        columns = _bins(x1, x2, pooled_shape[1], X.shape[3])
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                part = X[int(roi[0]), :, row, column]
                if part.size:
                    result[number, :, i, j] = part.max(axis=(1, 2))
    return result


def _rounded(value: float) -> int:
    """The nearest integer, halves away from zero, as in C."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _bins(start: int, end: int, count: int, size: int) -> list[slice]:
    """``count`` overlapping parts of ``start`` to ``end`` (included), clipped to the axis."""
    length = max(end - start + 1, 1) / count
    edges = ((math.floor(i * length) + start, math.ceil((i + 1) * length) + start) for i in range(count))
    return [slice(min(max(a, 0), size), min(max(b, 0), size)) for a, b in edges]
