"""Layers with weights, and what works on images and sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from .builder import Builder, Rule


def matrix(b: Builder) -> bool:
    """A product with a weight matrix."""
    x = b.floats(2, 3)
    if x is None:
        return False
    k, n = x.array.shape[-1], 1 + b.draw(20)
    if x.array.ndim == 2 and b.draw(2):
        transposed = b.draw(2)
        w = b.normal(*((n, k) if transposed else (k, n)))
        return b.add("Gemm", [x.name, w, b.normal(n)], transB=transposed, alpha=0.5)
    return b.add("MatMul", [x.name, b.normal(k, n)])


def convolution(b: Builder) -> bool:
    """A convolution, transposed or not, of any geometry that fits."""
    x = b.floats(3, 4)
    if x is None:
        return False
    channels, spatial = x.array.shape[1], x.array.shape[2:]
    groups = b.pick([g for g in (1, 2, channels) if channels % g == 0])
    kernel = [1 + b.draw(min(3, s)) for s in spatial]
    strides, pads = [1 + b.draw(2) for _ in spatial], [b.draw(2) for _ in spatial] * 2
    out = groups * (1 + b.draw(3))
    given: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "pads": pads, "group": groups}
    if b.draw(4) == 0:
        return b.add("ConvTranspose", [x.name, b.normal(channels, out // groups, *kernel), b.normal(out)], **given)
    return b.add("Conv", [x.name, b.normal(out, channels // groups, *kernel), b.normal(out)], **given)


def pooling(b: Builder) -> bool:
    """A pooling of any geometry that fits."""
    x = b.floats(3, 4)
    if x is None:
        return False
    kernel = [1 + b.draw(min(3, s)) for s in x.array.shape[2:]]
    pads = [b.draw(k) for k in kernel] * 2
    strides = [1 + b.draw(2) for _ in kernel]
    kind = b.draw(4)
    if kind == 0:
        return b.add(b.pick(("GlobalAveragePool", "GlobalMaxPool")), [x.name])
    if kind == 1:
        include = b.draw(2)
        return b.add("AveragePool", [x.name], count_include_pad=include, kernel_shape=kernel, strides=strides, pads=pads)
    return b.add("MaxPool", [x.name], exact=True, kernel_shape=kernel, strides=strides, pads=pads)


def normalisation(b: Builder) -> bool:
    """A normalisation with weights of its own."""
    x = b.floats(3, 4)
    if x is None:
        return False
    c = x.array.shape[1]
    scale, shift, mean = b.normal(c), b.normal(c), b.normal(c)
    kind = b.draw(3)
    if kind == 0:
        variance = b.weight(np.abs(b.rng.standard_normal(c)).astype(np.float32) + 0.5)
        return b.add("BatchNormalization", [x.name, scale, shift, mean, variance], epsilon=0.1)
    if kind == 1:
        return b.add("InstanceNormalization", [x.name, scale, shift], epsilon=0.1)
    n = x.array.shape[-1]
    return b.add("LayerNormalization", [x.name, b.normal(n), b.normal(n)], epsilon=0.1)


def resizing(b: Builder) -> bool:
    """An image of another size."""
    x = b.floats(4)
    if x is None:
        return False
    where = b.pick(("half_pixel", "asymmetric", "align_corners"))
    # With corners aligned ONNX divides by the length before it is rounded down, ONNX Runtime by the length after it.
    height = 2 if where == "align_corners" else b.pick((0.5, 2, 1.5))
    scales = b.weight(np.array([1, 1, height, b.pick((1, 2))], np.float32))
    mode = b.pick(("nearest", "linear"))
    return b.add("Resize", [x.name, "", scales], mode=mode, coordinate_transformation_mode=where, nearest_mode="floor")


def recurrent(b: Builder) -> bool:
    """A recurrent layer in one direction or both, its sequences of any lengths."""
    x = b.floats(3)
    if x is None:
        return False
    op, gates = b.pick((("LSTM", 4), ("GRU", 3), ("RNN", 1)))
    time, batch, inputs = x.array.shape
    hidden, direction = 1 + b.draw(6), b.pick(("forward", "reverse", "bidirectional"))
    count = 2 if direction == "bidirectional" else 1
    bias = b.normal(count, 2 * gates * hidden) if b.draw(2) else ""
    lengths = b.weight(np.array([1 + b.draw(time) for _ in range(batch)], np.int32)) if b.draw(2) else ""
    first = b.normal(count, batch, hidden) if b.draw(2) else ""
    given: dict[str, Any] = {"linear_before_reset": b.draw(2)} if op == "GRU" else {}
    weights = [b.normal(count, gates * hidden, inputs), b.normal(count, gates * hidden, hidden)]
    names = [x.name, *weights, bias, lengths, first]
    return b.add(op, names, outputs=2, hidden_size=hidden, direction=direction, **given)


def sampling(b: Builder) -> bool:
    """An image read at places that are computed, or regions of it."""
    x = b.floats(4)
    if x is None:
        return False
    n, _, height, width = x.array.shape
    if b.draw(3) == 0:
        boxes = b.weight(np.array([[0, 0, width - 1, height - 1], [0, 0, 1, 1]], np.float32))
        batches = b.weight(np.array([0, n - 1]))
        return b.add("RoiAlign", [x.name, boxes, batches], output_height=2, output_width=2, sampling_ratio=2)
    grid = b.weight(b.rng.uniform(-1.2, 1.2, (n, 2, 3, 2)).astype(np.float32))
    mode = "linear" if b.opset >= 20 else "bilinear"
    return b.add("GridSample", [x.name, grid], mode=mode, padding_mode=b.pick(("zeros", "border")), align_corners=b.draw(2))


def local(b: Builder) -> bool:
    """Norms and means of neighbours."""
    x = b.floats(3, 4)
    if x is None:
        return False
    op = b.pick(("GlobalLpPool", "GroupNormalization", "LRN", "LpNormalization", "LpPool", "MeanVarianceNormalization"))
    rank, channels = x.array.ndim, x.array.shape[1]
    if op == "LpPool":
        return b.add(op, [x.name], kernel_shape=[1 + b.draw(min(3, size)) for size in x.array.shape[2:]], p=1 + b.draw(2))
    if op == "GroupNormalization":
        return b.opset >= 21 and b.add(op, [x.name, b.normal(channels), b.normal(channels)], num_groups=channels, epsilon=0.1)
    given: dict[str, dict[str, Any]] = {
        "GlobalLpPool": {"p": 2},
        "LRN": {"size": 3, "alpha": 0.1},
        "LpNormalization": {"axis": b.draw(rank), "p": 2},
        "MeanVarianceNormalization": {"axes": [0, *range(2, rank)]},
    }
    return b.add(op, [x.name], **given[op])


def newer(b: Builder) -> bool:
    """What recent opsets added."""
    x = b.floats(3)
    if x is None or b.opset < 23:
        return False
    op = b.pick(("Attention", "Gelu", "RMSNormalization", "Swish"))
    if op == "Attention":
        keys, size = 1 + b.draw(4), x.array.shape[2]
        key, value = b.normal(x.array.shape[0], keys, size), b.normal(x.array.shape[0], keys, size)
        return b.add(op, [x.name, key, value], q_num_heads=1, kv_num_heads=1, is_causal=b.draw(2))
    if op == "RMSNormalization":
        return b.add(op, [x.name, b.normal(x.array.shape[2])], epsilon=0.1)
    return b.add(op, [x.name])


RULES: tuple[Rule, ...] = (
    *(matrix, convolution, pooling, normalisation) * 4,
    *(local, newer, recurrent, resizing, sampling) * 2,
)
