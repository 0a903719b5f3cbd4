"""Kernels for QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear between float32 and integers of 8 and 16 bits."""

from __future__ import annotations

from math import prod

import numpy as np

from ...ops.quantization import dynamic_range
from ...orders.order import Arrays, present
from ...orders.workers import Workers
from ..site import Kernel, Site
from .arithmetic import dequantize, quantize, unsigned

NARROW = frozenset(map(np.dtype, (np.int8, np.uint8, np.int16, np.uint16)))


def lower_conversion(site: Site) -> Kernel | None:
    """A kernel where one scale holds for all elements or for each index of an axis."""
    x, scale, zero = site.type(0), site.type(1), site.type(2)
    if site.node.op_type == "DynamicQuantizeLinear":
        return Kernel("quantize, range found", _run_dynamic, (0,)) if x is not None and x[0] == np.float32 else None
    if x is None or scale is None or scale[0] != np.float32 or site.node.attribute("block_size", 0):
        return None
    shape = _by_axis(x[1], scale[1], site.node.attribute("axis", 1))
    if shape is None or (zero is not None and zero[1] != scale[1]):
        return None
    result, reads = site.outputs[0][0], tuple(range(len(site.inputs)))
    if site.node.op_type == "QuantizeLinear":
        plain = not site.node.attribute("precision", 0) or site.node.attribute("precision") == 1
        return _quantizer(shape, result, reads) if plain and x[0] == np.float32 and result in NARROW else None
    narrow = x[0] in NARROW or x[0] == np.int32
    return _dequantizer(shape, reads) if narrow and result == np.float32 else None


def _by_axis(shape: tuple[int, ...], scale: tuple[int, ...], axis: int) -> tuple[int, int, int] | None:
    """The shape as (outer, axis, inner), or ``None`` where the scale fits neither all nor the axis."""
    if prod(scale) == 1:
        return 1, 1, prod(shape)
    if not -len(shape) <= axis < len(shape) or scale != (shape[axis],):
        return None
    at = axis % len(shape)
    return prod(shape[:at]), shape[at], prod(shape[at + 1 :])


def _quantizer(shape: tuple[int, int, int], dtype: np.dtype, reads: tuple[int, ...]) -> Kernel:
    limits = np.iinfo(dtype)

    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        x, scale, zero = _parameters(inputs)
        quantize(x.reshape(shape), scale, zero, limits.min, limits.max, unsigned(present(outputs[0])).reshape(shape))

    return Kernel(f"quantize {dtype.name}", run, reads)


def _dequantizer(shape: tuple[int, int, int], reads: tuple[int, ...]) -> Kernel:
    def run(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
        x, scale, zero = _parameters(inputs)
        dequantize(x.reshape(shape).astype(np.int32, copy=False), scale, zero, present(outputs[0]).reshape(shape))

    return Kernel("dequantize", run, reads)


def _parameters(inputs: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, and the scale and the zero point as (n,) float32 and int64."""
    x, scale = present(inputs[0]), present(inputs[1])
    zero = inputs[2] if len(inputs) > 2 else None
    shift = np.zeros(scale.size, np.int64) if zero is None else zero.reshape(-1).astype(np.int64)
    return x, scale.reshape(-1), shift


def _run_dynamic(inputs: Arrays, outputs: Arrays, scratch: np.ndarray, workers: Workers) -> None:
    """Find the range, zero included, and spread 0 to 255 over it."""
    x = present(inputs[0])
    scale, zero = dynamic_range(x)
    for value, result in zip((scale, zero), outputs[1:], strict=False):
        if result is not None:
            np.copyto(result, value)
    if outputs[0] is not None:
        divisor = scale.reshape(1) if scale else np.ones(1, np.float32)
        values = x if scale else np.zeros_like(x)
        shape = (1, 1, x.size)
        quantize(values.reshape(shape), divisor, zero.reshape(1).astype(np.int64), 0, 255, outputs[0].reshape(shape))
