"""Resizing by nearest, linear and cubic interpolation: one axis after another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.errors import PlanError
from ._dtypes import saturate
from ._registry import Shaped, lowering, operator
from ._room import check_room
from ._shapes import Shape, Types, Values, constant, given, infers, positive_axes

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site

MIDDLE = 1e-6
"""What two distances to the nearest elements may differ by and still count as equal: ONNX Runtime's number."""

NEAREST_MODES = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
POLICIES = ("stretch", "not_larger", "not_smaller")
COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
)


@dataclass(frozen=True)
class ResizedAxis:
    """How one axis of ``length`` becomes ``output``; ``start`` and ``stop`` are its region of interest, in [0, 1]."""

    axis: int
    length: int
    output: int
    scale: float
    start: float
    stop: float

    @property
    def unchanged(self) -> bool:
        """Whether there is nothing to do, in every mode."""
        return self.output == self.length and self.scale == 1 and (self.start, self.stop) == (0, 1)

    def coordinates(self, mode: str) -> np.ndarray:
        """Where each output element lies on the input axis, float32 (output,): computed with as many digits as ONNX Runtime
        does, for the last one may decide which element is the nearest."""
        x, scale = np.arange(self.output, dtype=np.float32), np.float32(self.scale)
        if mode == "asymmetric":
            return x / scale
        if mode == "half_pixel" or (mode == "pytorch_half_pixel" and self.output > 1):
            return (x + np.float32(0.5)) / scale - np.float32(0.5)
        return self._of_whole(mode, x.astype(np.float64)).astype(np.float32)

    def _of_whole(self, mode: str, x: np.ndarray) -> np.ndarray:
        """Coordinates that depend on the size of the whole axis."""
        if mode == "align_corners":
            width = self.scale * self.length
            return x * (self.length - 1) / (width - 1) if width != 1 else np.zeros_like(x)
        if mode == "tf_crop_and_resize":
            last, span = self.length - 1, (self.stop - self.start) * (self.length - 1)
            if self.output == 1:
                return x + (self.start + self.stop) * last / 2
            return self.start * last + x * span / (self.output - 1)
        if mode == "half_pixel_symmetric":
            scale, length = np.float32(self.scale), np.float32(self.length)
            offset = length / 2 * (1 - np.float32(self.output) / (scale * length))
            return offset + (x + 0.5) / np.float64(scale) - 0.5
        return np.zeros_like(x)  # the only element of pytorch_half_pixel


def resized_axes(
    shape: Shape,
    roi: np.ndarray | None,
    scales: np.ndarray | None,
    sizes: np.ndarray | None,
    *,
    axes: Sequence[int] | None,
    coordinate_transformation_mode: str,
    keep_aspect_ratio_policy: str,
) -> list[ResizedAxis]:
    """What happens to each of ``axes``.

    Raises:
        PlanError: neither or both of scales and sizes are given, or their number is wrong.
    """
    along = positive_axes(axes, len(shape))
    scales, sizes = (None if given is None or given.size == 0 else given for given in (scales, sizes))
    wanted = scales if sizes is None else sizes
    if wanted is None or (scales is not None and sizes is not None):
        raise PlanError("exactly one of scales and sizes must be given")
    if wanted.size != len(along):
        raise PlanError(f"{len(along)} resized axes need {len(along)} scales or sizes, not {wanted.size}")
    starts, stops = np.zeros(len(along)), np.ones(len(along))
    if coordinate_transformation_mode == "tf_crop_and_resize":
        if roi is None or roi.size != 2 * len(along):
            raise PlanError(f"tf_crop_and_resize of {len(along)} axes needs a region of {2 * len(along)} numbers")
        starts, stops = roi[: len(along)].astype(np.float64), roi[len(along) :].astype(np.float64)
    lengths = [shape[a] for a in along]
    if sizes is None:
        factors = [float(s) for s in wanted]
        regions = np.array(lengths, np.float32) * np.array(stops - starts, np.float32) * np.array(factors, np.float32)
        outputs = [math.floor(region) for region in regions]
    else:
        factors, outputs = _from_sizes(lengths, [int(s) for s in wanted], keep_aspect_ratio_policy)
    return list(map(ResizedAxis, along, lengths, outputs, factors, starts, stops))


def _from_sizes(lengths: list[int], sizes: list[int], policy: str) -> tuple[list[float], list[int]]:
    factors = [size / length for size, length in zip(sizes, lengths, strict=True)]
    if policy == "stretch":
        return factors, sizes
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [factor] * len(lengths), [math.floor(float(np.float32(factor) * np.float32(n)) + 0.5) for n in lengths]


def _types(types: Types, values: Values, **attributes: Any) -> Shaped:
    dtype, shape = given(types, 0)
    names = ("axes", "coordinate_transformation_mode", "keep_aspect_ratio_policy")
    regions = (constant(values, i) for i in (1, 2, 3))
    output = list(shape)
    for resized in resized_axes(shape, *regions, **{name: attributes[name] for name in names}):
        output[resized.axis] = resized.output
    return dtype, tuple(output)


def _nearest(x: np.ndarray, mode: str) -> np.ndarray:
    if mode in ("floor", "ceil"):
        return np.floor(x) if mode == "floor" else np.ceil(x)
    below, x = np.floor(x), x.astype(np.float64)
    in_the_middle = np.abs(x - below - 0.5) <= MIDDLE
    return np.where(in_the_middle, below + (mode == "round_prefer_ceil"), np.floor(x + 0.5))


def nearest_taps(resized: ResizedAxis, coordinates: str, nearest_mode: str) -> np.ndarray:
    """The input element, int64, that each output element is."""
    x = resized.coordinates(coordinates)
    return np.clip(_nearest(x, nearest_mode), 0, resized.length - 1).astype(np.int64)


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - distance)


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic convolution kernel."""
    d = np.minimum(distance, 2)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, far)


def _taps(
    x: np.ndarray, resized: ResizedAxis, *, cubic_coeff_a: float | None, antialias: int, exclude_outside: int
) -> tuple[np.ndarray, np.ndarray]:
    """The elements that count at ``x``, and their weights, (output, taps); linear when ``cubic_coeff_a`` is ``None``."""
    shrink = min(resized.scale, 1.0) if antialias else 1.0
    radius = math.ceil((1 if cubic_coeff_a is None else 2) / shrink)
    check_room((resized.output, 2 * radius))
    taps = np.floor(x).astype(np.int64)[:, None] + np.arange(1 - radius, radius + 1)
    distance = np.abs(taps - x[:, None]) * shrink
    weights = _linear(distance) if cubic_coeff_a is None else _cubic(distance, cubic_coeff_a)
    if exclude_outside:
        weights = np.where((taps < 0) | (taps >= resized.length), 0, weights)
    if exclude_outside or antialias:
        weights = weights / weights.sum(axis=1, keepdims=True)
    return np.clip(taps, 0, resized.length - 1), weights


def _interpolated(data: np.ndarray, axis: int, taps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums of weighted elements along ``axis``, tap after tap."""
    along = (-1, *[1] * (data.ndim - axis - 1))
    result = np.zeros((*data.shape[:axis], len(taps), *data.shape[axis + 1 :]))
    for places, factors in zip(taps.T, weights.T, strict=True):
        part = np.take(data, places, axis=axis)
        part *= factors.reshape(along)
        result += part
    return result


@operator(
    "Resize",
    infer=infers(_types),
    shape_inputs=(1, 2, 3),
    allowed={
        "mode": ("nearest", "linear", "cubic"),
        "coordinate_transformation_mode": COORDINATES,
        "nearest_mode": NEAREST_MODES,
        "keep_aspect_ratio_policy": POLICIES,
    },
)
def resize(
    X: np.ndarray,
    roi: np.ndarray | None = None,
    scales: np.ndarray | None = None,
    sizes: np.ndarray | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> np.ndarray:
    """Resample ``axes`` (default: all) of ``X`` by ``scales`` or to ``sizes``, each a number an axis."""
    plan = resized_axes(
        X.shape,
        roi,
        scales,
        sizes,
        axes=axes,
        coordinate_transformation_mode=coordinate_transformation_mode,
        keep_aspect_ratio_policy=keep_aspect_ratio_policy,
    )
    result = X if mode == "nearest" else X.astype(np.float64)
    for resized in plan:
        if resized.unchanged:
            continue
        x = resized.coordinates(coordinate_transformation_mode)
        if mode == "nearest":
            result = np.take(result, nearest_taps(resized, coordinate_transformation_mode, nearest_mode), axis=resized.axis)
        else:
            a = cubic_coeff_a if mode == "cubic" else None
            taps, weights = _taps(x, resized, cubic_coeff_a=a, antialias=antialias, exclude_outside=exclude_outside)
            result = _interpolated(result, resized.axis, taps, weights)
        if coordinate_transformation_mode == "tf_crop_and_resize":
            outside = ((x < 0) | (x > resized.length - 1)).reshape(-1, *[1] * (X.ndim - resized.axis - 1))
            result = np.where(outside, result.dtype.type(extrapolation_value), result)
    return saturate(result, X.dtype)


@lowering("Resize", kernel="planes to their nearest elements")
def lower(site: Site) -> Kernel | None:
    """Choose the nearest elements plane by plane."""
    from ..kernels.nearest import lower_nearest

    x, given = site.type(0), {**resize.defaults, **site.node.attributes}
    coordinates, policy = given["coordinate_transformation_mode"], given["keep_aspect_ratio_policy"]
    if x is None or given["mode"] != "nearest" or coordinates == "tf_crop_and_resize":
        return None
    axes = {"axes": given["axes"], "coordinate_transformation_mode": coordinates, "keep_aspect_ratio_policy": policy}
    plan = resized_axes(x[1], None, site.array(2), site.array(3), **axes)
    return lower_nearest(site, plan, coordinates, given["nearest_mode"])
