"""Normalisation by statistics of the tensor itself: over trailing axes, and over channels' planes and groups."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...format_spec.errors import PlanError
from ._dtypes import DTYPES, accumulator, onnx_dtype
from ._registry import Shaped, lowering, operator
from ._shapes import Types, Values, given, infers, like_input, positive_axes, positive_axis

if TYPE_CHECKING:
    from ..kernels.site import Kernel, Site


def _layer_types(types: Types, values: Values, *, axis: int, stash_type: int, **_: Any) -> list[Shaped]:
    dtype, shape = given(types, 0)
    kept = positive_axis(axis, len(shape))
    statistics = (onnx_dtype(stash_type), (*shape[:kept], *[1] * (len(shape) - kept)))
    return [(dtype, shape), statistics, statistics]


def _rms_types(types: Types, values: Values, *, axis: int, **_: Any) -> list[Shaped]:
    dtype, shape = given(types, 0)
    positive_axis(axis, len(shape))
    return [(dtype, shape)]


def _channel_types(types: Types, values: Values, *, num_groups: int = 1, **_: Any) -> list[Shaped]:
    dtype, shape = given(types, 0)
    if len(shape) < 2:
        raise PlanError(f"an input of shape {shape} has no axis of channels")
    if num_groups < 1 or shape[1] % num_groups:
        raise PlanError(f"{shape[1]} channels do not divide into {num_groups} groups")
    return [(dtype, shape)]


def _standardise(X: np.ndarray, axes: tuple[int, ...], epsilon: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``X`` with mean 0 and variance 1 over ``axes``; the mean; the inverse of the standard deviation."""
    mean = X.mean(axis=axes, keepdims=True)
    centred = X - mean
    inverse = 1 / np.sqrt(np.square(centred).mean(axis=axes, keepdims=True) + X.dtype.type(epsilon))
    return centred * inverse, mean, inverse


@operator("LayerNormalization", infer=infers(_layer_types), allowed={"stash_type": DTYPES})
def layer_normalization(
    X: np.ndarray, scale: np.ndarray, B: np.ndarray | None = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardise the axes from ``axis`` on, then scale and shift.

    Returns the result, and in type ``stash_type``, in which it is computed, the mean and the inverse standard deviation.
    """
    axes = tuple(range(positive_axis(axis, X.ndim), X.ndim))
    normal, mean, inverse = _standardise(X.astype(onnx_dtype(stash_type)), axes, epsilon)
    scaled = normal.astype(X.dtype) * scale
    return (scaled if B is None else scaled + B), mean, inverse


@operator("RMSNormalization", infer=infers(_rms_types), allowed={"stash_type": DTYPES})
def rms_normalization(
    X: np.ndarray, scale: np.ndarray, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> np.ndarray:
    """Divide by the root mean square of the axes from ``axis`` on, then scale."""
    axes = tuple(range(positive_axis(axis, X.ndim), X.ndim))
    wide = X.astype(onnx_dtype(stash_type))
    root = np.sqrt(np.square(wide).mean(axis=axes, keepdims=True) + wide.dtype.type(epsilon))
    return (wide / root).astype(X.dtype) * scale


@lowering("LayerNormalization", "RMSNormalization", kernel="row by row")
def lower(site: Site) -> Kernel | None:
    """Normalise row by row."""
    from ..kernels.standardise import lower_standardise

    return lower_standardise(site)


@operator("InstanceNormalization", infer=infers(_channel_types))
def instance_normalization(X: np.ndarray, scale: np.ndarray, B: np.ndarray, *, epsilon: float = 1e-5) -> np.ndarray:
    """Standardise each plane of ``X`` (N, C, \\*spatial), then scale and shift it by vectors (C,)."""
    normal, _, _ = _standardise(X.astype(accumulator(X.dtype), copy=False), tuple(range(2, X.ndim)), epsilon)
    per_channel = (-1, *[1] * (X.ndim - 2))
    return (normal * scale.reshape(per_channel) + B.reshape(per_channel)).astype(X.dtype, copy=False)


@operator("GroupNormalization", infer=infers(_channel_types), allowed={"stash_type": DTYPES})
def group_normalization(
    X: np.ndarray, scale: np.ndarray, bias: np.ndarray, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> np.ndarray:
    """Standardise each of ``num_groups`` groups of channels of ``X`` (N, C, ...), then scale and shift by vectors (C,)."""
    wide = X.astype(onnx_dtype(stash_type))
    grouped = wide.reshape(X.shape[0], num_groups, prod(X.shape[1:]) // num_groups)
    normal = _standardise(grouped, (2,), epsilon)[0].reshape(X.shape).astype(X.dtype)
    per_channel = (-1, *[1] * (X.ndim - 2))
    return normal * scale.reshape(per_channel) + bias.reshape(per_channel)


@lowering("InstanceNormalization", "GroupNormalization", kernel="row by row")
def lower_channels(site: Site) -> Kernel | None:
    """Normalise planes, or groups of them, as rows."""
    from ..kernels.standardise import lower_standardise_channels

    return lower_standardise_channels(site)


@operator("MeanVarianceNormalization", infer=like_input)
def mean_variance_normalization(X: np.ndarray, *, axes: Sequence[int] = (0, 2, 3)) -> np.ndarray:
    """Standardise over ``axes``; 1e-9 is added to the standard deviation."""
    along = positive_axes(axes, X.ndim)
    centred = X - X.mean(axis=along, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=along, keepdims=True))
    return centred / (deviation + X.dtype.type(1e-9))


@operator("LpNormalization", infer=like_input, allowed={"p": (1, 2)})
def lp_normalization(X: np.ndarray, *, axis: int = -1, p: int = 2) -> np.ndarray:
    """Divide by the 1- or 2-norm along ``axis``; a zero norm gives zeros."""
    norm = np.linalg.norm(X, ord=p, axis=axis, keepdims=True).astype(X.dtype)
    return np.where(norm == 0, X.dtype.type(0), X / norm)
