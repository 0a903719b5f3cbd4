"""Operators that work on each element, and reductions."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from .builder import Builder, Rule


def _simple(op_type: str, *, exact: bool = False, **attributes: Any) -> Rule:
    """A node of one float input; where it jumps, of an exact one."""

    def rule(b: Builder) -> bool:
        x = b.floats(exact=op_type in JUMPS)
        if x is not None and op_type in GROWS and np.abs(x.array).max(initial=0) > MOST_EXPONENT:
            return False
        return x is not None and b.add(op_type, [x.name], exact=exact, **attributes)

    return rule


JUMPS = ("Ceil", "Floor", "Hardmax", "HardSwish", "Round", "Shrink", "Sign", "ThresholdedRelu")
"""A difference in the last bit of an input may become a large one of the output."""

GROWS = ("Cosh", "Exp", "Sinh")

MOST_EXPONENT = 4
"""Beyond it a difference grows by more than e^4."""

EXACT = ("Abs", "Ceil", "Floor", "Hardmax", "Identity", "Neg", "Relu", "Round", "Sign")

SMOOTH = (
    *(
        "Asinh",
        "Atan",
        "Celu",
        "Cos",
        "Cosh",
        "Elu",
        "Erf",
        "Exp",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "LogSoftmax",
        "Mish",
    ),
    *("Selu", "Shrink", "Sigmoid", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Tanh", "ThresholdedRelu"),
)

ON_POSITIVE = ("Acosh", "Log", "Reciprocal", "Sqrt")

ON_FRACTIONS = ("Acos", "Asin", "Atanh", "Tan")

UNARY = (*(_simple(op, exact=True) for op in EXACT), *(_simple(op) for op in SMOOTH))


def limited(b: Builder) -> bool:
    """A function that is defined, or smooth, on a part of the numbers: its argument is brought there first."""
    x = b.floats()
    if x is None:
        return False
    if b.draw(2):
        chain = ["Abs", lambda name: ("Add", [name, b.weight(np.array(1.25, np.float32))]), b.pick(ON_POSITIVE)]
    else:
        chain = ["Softsign", lambda name: ("Mul", [name, b.weight(np.array(0.75, np.float32))]), b.pick(ON_FRACTIONS)]
    name = x.name
    for link in chain:
        op, inputs = (link, [name]) if isinstance(link, str) else link(name)
        if not b.add(op, inputs):
            return False
        name = b.values[-1].name
    return True


def with_parameters(b: Builder) -> bool:
    """Slopes, limits or a constant power."""
    x = b.floats()
    if x is None:
        return False
    op = b.pick(("PRelu", "Clip", "Pow", "Div"))
    if op == "PRelu":
        return b.add(op, [x.name, b.normal(*x.array.shape[b.draw(x.array.ndim + 1) :])])
    if op == "Clip":
        return b.add(
            op, [x.name, b.weight(np.array(-0.5, np.float32)), *([b.weight(np.array(1, np.float32))] * b.draw(2))], exact=True
        )
    return b.add(op, [x.name, b.weight(np.array(b.pick((2, 3)), np.float32))])


def binary(b: Builder) -> bool:
    """Two values that broadcast, or a value and a constant along its last axes."""
    x, y = b.floats(), b.floats()
    if x is None or y is None:
        return False
    other = y.name
    try:
        np.broadcast_shapes(x.array.shape, y.array.shape)
    except ValueError:
        other = b.normal(*x.array.shape[b.draw(x.array.ndim + 1) :])
    op = b.pick(("Add", "Sub", "Mul", "Max", "Min", "Mean", "Sum"))
    return b.add(op, [x.name, other], exact=op in ("Max", "Min"))


def compare(b: Builder) -> bool:
    """A choice by a comparison of exact values."""
    x = b.floats(exact=True)
    if x is None or not b.add(b.pick(("Less", "GreaterOrEqual")), [x.name, b.weight(np.array(0.25, np.float32))], exact=True):
        return False
    return b.add("Where", [b.values[-1].name, x.name, b.weight(np.array(-1, np.float32))], exact=True)


def logic(b: Builder) -> bool:
    """Truth values of exact numbers, joined, and brought back to numbers."""
    x = b.floats(exact=True)
    if x is None:
        return False
    if b.draw(3) == 0:
        return b.add(b.pick(("IsNaN", "IsInf")), [x.name], exact=True) and b.add("Not", [b.values[-1].name], exact=True)
    limits = [b.weight(np.array(limit, np.float32)) for limit in (-0.5, 0.25)]
    for op, limit in zip(("Greater", "LessOrEqual"), limits, strict=True):
        if not b.add(op, [x.name, limit], exact=True):
            return False
    names = [value.name for value in b.values[-2:]]
    return b.add(b.pick(("And", "Equal", "Or", "Xor")), names, exact=True) and b.cast(np.float32)


REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"),
    "ReduceSumSquare",
)


def reduce(b: Builder) -> bool:
    """A reduction over some axes."""
    x = b.floats(1, 2, 3, 4)
    if x is None:
        return False
    op = b.pick(REDUCTIONS)
    axes = sorted({b.draw(x.array.ndim) for _ in range(1 + b.draw(2))})
    inputs = [x.name, b.weight(np.array(axes, np.int64))]
    return b.add(op, inputs, exact=op in ("ReduceMax", "ReduceMin"), keepdims=b.draw(2))


def doubles(b: Builder) -> bool:
    """Arithmetic on float64 that goes back to float32."""
    x = b.floats()
    if x is None or not b.add("Cast", [x.name], exact=True, to=TensorProto.DOUBLE):
        return False
    wide = b.values[-1]
    op = b.pick(("Add", "Exp", "MatMul", "Mul", "ReduceSum", "Sigmoid", "Softmax", "Sqrt", "Sub", "Tanh"))
    other = {
        **dict.fromkeys(("Add", "Mul", "Sub"), wide.array.shape[-1:]),
        **({"MatMul": (wide.array.shape[-1], 3)} if wide.array.ndim else {}),
    }
    inputs = [wide.name, *([b.weight(b.rng.standard_normal(other[op]))] if op in other else [])]
    return b.add(op, inputs) and b.cast(np.float32, exact=False)


def halves(b: Builder) -> bool:
    """float16, moved only: for arithmetic ONNX Runtime takes float32, and leaves out the roundings before and after."""
    x = b.floats(exact=True)
    if x is None or not b.add("Cast", [x.name], exact=True, to=TensorProto.FLOAT16):
        return False
    op = b.pick(("Identity", "Transpose", "Unsqueeze"))
    axes = [b.weight(np.array([0]))] if op == "Unsqueeze" else []
    return b.add(op, [b.values[-1].name, *axes], exact=True) and b.cast(np.float32)


RULES: tuple[Rule, ...] = (
    *UNARY,
    *(binary,) * 4,
    *(compare, doubles, halves, limited, logic, reduce, with_parameters) * 2,
)
