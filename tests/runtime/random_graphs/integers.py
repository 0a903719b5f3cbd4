"""Quantised operators and integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from .builder import Builder, Made, Rule


def quantised(b: Builder) -> bool:
    """An exact value as 8-bit integers, and what is done with those: brought back, or multiplied by weights of 8 bits."""
    x = b.floats(2, 3, 4, exact=True)
    if x is None:
        return False
    if b.draw(6) == 0:
        return b.add("DynamicQuantizeLinear", [x.name], outputs=3)
    scale, kind = b.weight(np.array(0.02 + 0.01 * b.draw(5), np.float32)), b.pick((np.int8, np.uint8))
    zero = b.weight(np.array(b.draw(100), kind))
    if not b.add("QuantizeLinear", [x.name, scale, zero], exact=True):
        return False
    q = b.values[-1]
    if b.draw(3) == 0:
        return b.add("DequantizeLinear", [q.name, scale, zero], exact=True)
    return integer_product(b, q, scale, zero)


def integer_product(b: Builder, q: Made, scale: str, zero: str) -> bool:
    """``q`` times a matrix or a kernel, as sums of 32 bits brought to float32, or rescaled to 8 bits."""
    kind, n = b.pick((np.int8, np.uint8)), 1 + b.draw(6)
    geometry: dict[str, Any] = {}
    if q.array.ndim == 2 or b.draw(2):
        shape, name = (q.array.shape[-1], n), "MatMul"
    else:
        kernel = [1 + b.draw(min(3, size)) for size in q.array.shape[2:]]
        shape, name = (n, q.array.shape[1], *kernel), "Conv"
        geometry = {"strides": [1 + b.draw(2) for _ in kernel], "pads": [b.draw(2) for _ in kernel] * 2}
    limits = np.iinfo(kind)
    w = b.weight(b.rng.integers(limits.min, limits.max + 1, shape).astype(kind))
    w_zero = b.weight(np.array(b.draw(50), kind))
    if b.draw(2):
        w_scale, y_scale = b.weight(np.array(0.01, np.float32)), b.weight(np.array(0.5, np.float32))
        return b.add(f"QLinear{name}", [q.name, scale, zero, w, w_scale, w_zero, y_scale, zero], **geometry)
    if not b.add(f"{name}Integer", [q.name, w, zero, w_zero], exact=True, **geometry):
        return False
    return b.add("Cast", [b.values[-1].name], exact=True, to=TensorProto.FLOAT)


def arithmetic(b: Builder) -> bool:
    """Integers of 32 or 64 bits made of exact numbers, and back."""
    x = b.floats(exact=True)
    kind = b.pick((np.int32, np.int64))
    if x is None or not b.add("Mul", [x.name, b.weight(np.array(4, np.float32))], exact=True) or not b.cast(kind):
        return False
    op = b.pick(
        ("Abs", "Add", "Div", "Max", "Mod", "Mul", "ReduceSum", "Sign", "Sub", "BitwiseAnd", "BitwiseXor", "BitwiseNot")
    )
    inputs = [b.values[-1].name]
    if op not in ("Abs", "BitwiseNot", "ReduceSum", "Sign"):
        inputs.append(b.weight(np.array(1 + b.draw(5), kind)))
    return b.add(op, inputs, exact=True) and b.cast(np.float32)


def shapes(b: Builder) -> bool:
    """Numbers that depend on shapes alone."""
    x = b.floats(1, 2, 3, 4)
    if x is None:
        return False
    op = b.pick(("ConstantOfShape", "EyeLike", "Range", "Shape", "Size"))
    if op == "EyeLike":
        return b.add(op, [x.name], exact=True, k=b.draw(3) - 1)
    if op == "Range":
        limits = (b.weight(np.array(value, np.float32)) for value in (0, 2 + b.draw(3), 0.5))
        return b.add(op, list(limits), exact=True)
    if not b.add("Size" if op == "Size" else "Shape", [x.name], exact=True):
        return False
    return b.add(op, [b.values[-1].name], exact=True) if op == "ConstantOfShape" else b.cast(np.float32)


RULES: tuple[Rule, ...] = (arithmetic, quantised, quantised, shapes)
