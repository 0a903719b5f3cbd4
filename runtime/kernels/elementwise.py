"""Elementwise operators and copies by numpy, straight into the output's memory; this module does not need Numba."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..ops.batch_normalization import scale_and_shift
from ..ops.slice import slice_index
from ..orders.order import Arrays, present
from ..orders.workers import Workers
from .site import Kernel, Site

Fill: TypeAlias = "Callable[..., Any]"
"""(output, *inputs, **attributes): computes into the output."""

Slices: TypeAlias = "tuple[slice, ...]"
"""A part of an array, axis by axis."""


def _relu(out: np.ndarray, x: np.ndarray) -> None:
    np.maximum(x, 0, out=out)


def _clip(out: np.ndarray, x: np.ndarray, low: np.ndarray | None = None, high: np.ndarray | None = None) -> None:
    np.maximum(x, x.dtype.type(-np.inf) if low is None else low, out=out)
    if high is not None:
        np.minimum(out, high, out=out)


def _power(out: np.ndarray, x: np.ndarray, exponent: np.ndarray) -> None:
    if exponent.size == 1 and exponent == 2:
        np.square(x, out=out)
    elif exponent.size == 1 and exponent == 3:
        np.multiply(np.square(x, out=out), x, out=out)
    elif exponent.size == 1 and exponent == 0.5:
        np.sqrt(x, out=out)
    else:
        np.power(x, exponent, out=out)


def _softmax(out: np.ndarray, x: np.ndarray, axis: int = -1) -> None:
    np.subtract(x, x.max(axis=axis, keepdims=True, initial=-np.inf), out=out)
    np.exp(out, out=out)
    np.divide(out, out.sum(axis=axis, keepdims=True), out=out)


def _by(ufunc: np.ufunc) -> Fill:
    return lambda out, *inputs: ufunc(*inputs, out=out)


def _over(ufunc: np.ufunc) -> Fill:
    """``ufunc`` of the first two inputs, of that and the third, and so on; one input is copied."""

    def fill(out: np.ndarray, first: np.ndarray, *others: np.ndarray) -> None:
        if not others:
            np.copyto(out, first)
        for other in others:
            first = ufunc(first, other, out=out)

    return fill


FILLS: Mapping[str, Fill] = {
    "Abs": _by(np.abs),
    "Add": _by(np.add),
    "Clip": _clip,
    "Concat": lambda out, *inputs, axis: np.concatenate(inputs, axis, out=out),
    "Div": _by(np.divide),
    "Exp": _by(np.exp),
    "Log": _by(np.log),
    "Max": _over(np.maximum),
    "Min": _over(np.minimum),
    "Mul": _by(np.multiply),
    "Neg": _by(np.negative),
    "Pow": _power,
    "Reciprocal": _by(np.reciprocal),
    "Relu": _relu,
    "Softmax": _softmax,
    "Sqrt": _by(np.sqrt),
    "Sub": _by(np.subtract),
    "Sum": _over(np.add),
    "Tanh": _by(np.tanh),
    "Transpose": lambda out, x, perm=None: np.copyto(out, np.transpose(x, perm)),
}
"""How each operator fills its output; for float32, where numpy keeps the type by itself."""


def lower_elementwise(site: Site) -> Kernel | None:
    """Numpy into the output's memory, for float32."""
    if not site.all_float32:
        return None
    fill, attributes = FILLS[site.node.op_type], dict(site.node.attributes)

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        fill(outputs[0], *inputs, **attributes)

    return Kernel("numpy", run, tuple(range(len(site.inputs))))


def lower_slice(site: Site) -> Kernel | None:
    """A copy of what lies within constant bounds."""
    data, places = site.type(0), [i for i in range(1, 5) if site.type(i) is not None]
    bounds = {i: array for i in places if (array := site.array(i)) is not None}
    if data is None or len(bounds) < len(places):
        return None
    index = slice_index(data[1], bounds[1], bounds[2], bounds.get(3), bounds.get(4))

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        np.copyto(present(outputs[0]), present(inputs[0])[index])

    return Kernel("numpy", run, (0,))


def lower_batchnorm(site: Site) -> Kernel | None:
    """A scale and a shift per channel, for a float32 BatchNormalization with constant statistics."""
    statistics = [a for i in range(1, 5) if (a := site.array(i)) is not None]
    x = site.type(0)
    if x is None or not site.all_float32 or len(statistics) < 4 or site.node.attribute("training_mode", 0):
        return None
    along = (-1,) + (1,) * (len(x[1]) - 2)
    with np.errstate(invalid="ignore", over="ignore"):
        scale, shift = (a.astype(np.float32).reshape(along) for a in scale_and_shift(site.node, statistics))

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        out = present(outputs[0])
        np.multiply(present(inputs[0]), scale, out=out)
        np.add(out, shift, out=out)

    return Kernel("numpy", run, (0,))


def fill_around(inner: Slices, outer: Slices, borders: Sequence[Slices], filler: np.ndarray) -> Kernel:
    """What copies a part of an array, ``inner``, to a part of a larger one, ``outer``, and ``filler`` to its ``borders``."""

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        x, out = present(inputs[0]), present(outputs[0])
        for border in borders:
            out[border] = filler
        out[outer] = x[inner]

    return Kernel("numpy", run, (0,))
