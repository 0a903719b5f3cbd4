"""Element-wise operators: each is a few of numpy's functions, whose loops machine code runs into the output's memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..ops.batch_normalization import scale_and_shift
from ..orders.order import ORDER, Arrays, present
from .site import Kernel, Site
from .strided.loop import loop_of
from .strided.walk import View, walk

if TYPE_CHECKING:
    from ..ops import Shape, Shaped

OUT = -1
"""The output, where a call reads what one before has made."""

Operand: TypeAlias = "int | np.ndarray"
"""The number of an input, :data:`OUT`, or a constant."""

Call: TypeAlias = "tuple[np.ufunc, *tuple[Operand, ...]]"
"""A function into the output, and what of."""

Calls: TypeAlias = "Callable[[Site], Sequence[Call] | None]"
"""What calls do a site's work, one after another; ``None`` where none do."""


def _number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def _clip(site: Site) -> Sequence[Call]:
    bounds = [(function, i) for function, i in ((np.maximum, 1), (np.minimum, 2)) if site.type(i) is not None]
    return [(function, OUT if k else 0, i) for k, (function, i) in enumerate(bounds)] or [(np.positive, 0)]


def _power(site: Site) -> Sequence[Call]:
    exponent = site.array(1)
    known = float(exponent.reshape(())) if exponent is not None and exponent.size == 1 else None
    products: Mapping[float | None, Sequence[Call]] = {
        0.5: [(np.sqrt, 0)],
        2.0: [(np.square, 0)],
        3.0: [(np.square, 0), (np.multiply, OUT, 0)],
    }
    return products.get(known, [(np.power, 0, 1)])


def _over(function: np.ufunc, site: Site) -> Sequence[Call]:
    """``function`` of the first two inputs, of that and the third, and so on; one input is copied."""
    count = len(site.inputs)
    return [(function, OUT if i > 1 else 0, i) for i in range(1, count)] or [(np.positive, 0)]


def _once(function: np.ufunc, site: Site) -> Sequence[Call]:
    return [(function, *range(len(site.inputs)))]


FLOATS: Mapping[str, Calls] = {
    "Div": partial(_once, np.divide),
    "Exp": partial(_once, np.exp),
    "Log": partial(_once, np.log),
    "Pow": _power,
    "Reciprocal": partial(_once, np.reciprocal),
    "Relu": lambda site: [(np.maximum, 0, _number(0))],
    "Sqrt": partial(_once, np.sqrt),
    "Tanh": partial(_once, np.tanh),
}
"""How each operator of float32 fills its output."""

ANY: Mapping[str, Calls] = {
    "Abs": partial(_once, np.abs),
    "Add": partial(_once, np.add),
    "And": partial(_once, np.logical_and),
    "Clip": _clip,
    "Equal": partial(_once, np.equal),
    "Greater": partial(_once, np.greater),
    "GreaterOrEqual": partial(_once, np.greater_equal),
    "Less": partial(_once, np.less),
    "LessOrEqual": partial(_once, np.less_equal),
    "Max": partial(_over, np.maximum),
    "Min": partial(_over, np.minimum),
    "Mul": partial(_once, np.multiply),
    "Neg": partial(_once, np.negative),
    "Not": partial(_once, np.logical_not),
    "Or": partial(_once, np.logical_or),
    "Sub": partial(_once, np.subtract),
    "Sum": partial(_over, np.add),
    "Xor": partial(_once, np.logical_xor),
}
"""The same for operators of any elements."""


def lower_elementwise(site: Site) -> Kernel | None:
    """A kernel of the calls of one of :data:`FLOATS` or :data:`ANY`."""
    made = FLOATS.get(site.node.op_type) if site.all_float32 else None
    made = made or ANY.get(site.node.op_type)
    calls = made(site) if made else None
    return kernel_of(site, calls) if calls else None


def kernel_of(site: Site, calls: Sequence[Call], *, reads: Sequence[int] | None = None) -> Kernel | None:
    """A kernel of ``calls``, for a node with one output; ``None`` where numpy would have to convert elements."""
    dtype, shape = site.outputs[0]
    if 0 in shape:
        return None
    given = tuple(range(len(site.inputs))) if reads is None else tuple(reads)
    works = []
    for function, *operands in calls:
        kinds = [site.outputs[0] if o is OUT else _type(site, o) for o in operands]
        loop = loop_of(function, *(kind for kind, _ in kinds), dtype)
        if loop is None or not all(_broadcasts(size, shape) for _, size in kinds):
            return None
        views = [View.broadcast(size, kind.itemsize, shape) for kind, size in kinds]
        works.append(walk(loop, shape, [*views, View.whole(shape, dtype.itemsize)], site.threads))

    def orders(inputs: Arrays, outputs: Arrays, scratch: np.ndarray) -> np.ndarray:
        y = present(outputs[0])
        found = dict(zip((*given, OUT), (*inputs, y), strict=True))
        made = np.empty((len(works), ORDER), np.int64)
        for number, (work, (_, *operands)) in enumerate(zip(works, calls, strict=True)):
            x, *other = (o if isinstance(o, np.ndarray) else present(found[o]) for o in operands)
            made[number] = work.order(x, y, other[0] if other else y, scratch)
        return made

    return Kernel.of_orders("element by element", orders, reads=given)


def _broadcasts(shape: Shape, to: Shape) -> bool:
    """Whether an array of ``shape`` broadcasts to the other one."""
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(shape[::-1], to[::-1], strict=False))


def _type(site: Site, operand: Operand) -> Shaped:
    return (operand.dtype, operand.shape) if isinstance(operand, np.ndarray) else present(site.type(operand))


def lower_batchnorm(site: Site) -> Kernel | None:
    """A scale and a shift per channel, for a float32 BatchNormalization with constant statistics."""
    statistics = [a for i in range(1, 5) if (a := site.array(i)) is not None]
    x = site.type(0)
    if x is None or not site.all_float32 or len(statistics) < 4 or site.node.attribute("training_mode", 0):
        return None
    along = (-1,) + (1,) * (len(x[1]) - 2)
    with np.errstate(invalid="ignore", over="ignore"):
        scale, shift = (a.astype(np.float32).reshape(along) for a in scale_and_shift(site.node, statistics))
    return kernel_of(site, [(np.multiply, 0, scale), (np.add, OUT, shift)], reads=(0,))
