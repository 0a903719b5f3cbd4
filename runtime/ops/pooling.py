"""Pooling over a sliding window of the spatial axes: average, maximum and Lp norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any

import numpy as np

from ._dtypes import accumulator, lowest
from ._registry import Shaped, operator
from ._shapes import Shape, Types, Values, check_rank, given, infers
from ._window import Window, window


@dataclass(frozen=True)
class Sliding:
    """The attributes that every pooling has, beside the size of its windows, as ONNX defines them."""

    auto_pad: str = "NOTSET"
    ceil_mode: int = 0
    dilations: Sequence[int] | None = None
    pads: Sequence[int] | None = None
    strides: Sequence[int] | None = None

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Sliding:
        """Those among the ``attributes`` of a pooling."""
        return cls(**{f.name: attributes[f.name] for f in fields(cls) if f.name in attributes})

    def window(self, x_shape: Shape, kernel_shape: Sequence[int]) -> Window:
        """The window of a pooling of (N, C, \\*spatial).

        Raises:
            PlanError: the attributes do not fit the shape.
        """
        check_rank("a pooling's input", x_shape, 3, at_least=True)
        return window(x_shape[2:], kernel_shape, **vars(self))


def _output_type(types: Types, attributes: Mapping[str, Any]) -> Shaped:
    dtype, shape = given(types, 0)
    return dtype, (*shape[:2], *Sliding.of(attributes).window(shape, attributes["kernel_shape"]).output)


def _types(types: Types, values: Values, **attributes: Any) -> Shaped:
    return _output_type(types, attributes)


def _max_types(types: Types, values: Values, **attributes: Any) -> list[Shaped]:
    dtype, shape = _output_type(types, attributes)
    return [(dtype, shape), (np.dtype(np.int64), shape)]


@operator("AveragePool", infer=infers(_types), family=Sliding)
def average_pool(
    X: np.ndarray,
    *,
    kernel_shape: Sequence[int],
    count_include_pad: int = 0,
    **family: Any,
) -> np.ndarray:
    """Mean of each window of ``X`` (N, C, \\*spatial): (N, C, \\*output).

    The divisor counts the input's elements in the window, with ``count_include_pad`` the padding's too; never what ceil
    mode adds beyond the padding. A window of padding alone gives 0.
    """
    seen = Sliding(**family).window(X.shape, kernel_shape)
    wide = accumulator(X.dtype)
    sums = seen.sums(seen.pad(X.astype(wide, copy=False)))
    counts = seen.sums(_counted(X.shape[2:], seen, bool(count_include_pad)).astype(wide))
    return (sums / np.maximum(counts, 1)).astype(X.dtype, copy=False)


def _counted(spatial: Shape, seen: Window, include_pad: bool) -> np.ndarray:
    """1 where an element counts in the divisor, over the padded input."""
    counted = seen.pad(np.ones(spatial, np.int64))
    if include_pad:
        within = zip(seen.begin, spatial, seen.end, strict=True)
        counted[tuple(slice(b + n + e) for b, n, e in within)] = 1
    return counted


@operator("MaxPool", infer=infers(_max_types), family=Sliding)
def max_pool(
    X: np.ndarray,
    *,
    kernel_shape: Sequence[int],
    storage_order: int = 0,
    **family: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Maximum of each window of ``X`` (N, C, \\*spatial), and its position in the flattened tensor (int64; ties: the first).

    ``storage_order`` 1 counts positions inside a plane in column-major order.
    """
    seen = Sliding(**family).window(X.shape, kernel_shape)
    spatial = X.shape[2:]
    order = "F" if storage_order else "C"
    positions = seen.pad(np.arange(prod(spatial)).reshape(spatial, order=order), -1)
    best = np.full((*X.shape[:2], *seen.output), lowest(X.dtype), X.dtype)
    where = np.full(best.shape, -1, np.int64)
    padded = seen.pad(X)
    for (_, values), (_, here) in zip(seen.views(padded), seen.views(positions), strict=True):
        better = (here >= 0) & ((values > best) | (where < 0))
        np.copyto(best, values, where=better)
        np.copyto(where, here, where=better)
    planes = np.arange(X.shape[0] * X.shape[1]).reshape(*X.shape[:2], *[1] * len(spatial))
    return best, where + planes * prod(spatial)


@operator("LpPool", infer=infers(_types), family=Sliding)
def lp_pool(
    X: np.ndarray,
    *,
    kernel_shape: Sequence[int],
    p: int = 2,
    **family: Any,
) -> np.ndarray:
    """``p``-norm of each window of ``X`` (N, C, \\*spatial): (N, C, \\*output)."""
    seen = Sliding(**family).window(X.shape, kernel_shape)
    powers = seen.pad(np.abs(X.astype(accumulator(X.dtype), copy=False)) ** p)
    return (seen.sums(powers) ** (1 / p)).astype(X.dtype, copy=False)
