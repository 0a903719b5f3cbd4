"""Einstein summation."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ...format_spec.errors import PlanError
from ._dtypes import accumulator
from ._registry import Shaped, operator
from ._shapes import Shape, Types, Values, broadcast, given, infers

DOTS = "..."


def _labelled(term: str, shape: Shape) -> tuple[dict[str, int], Shape]:
    """The size of each label of ``term``, and of the axes that its dots stand for.

    Raises:
        PlanError: it has another number of axes than ``shape``.
    """
    before, dots, after = term.partition(DOTS)
    hidden = len(shape) - len(before) - len(after)
    if hidden < 0 or (hidden and not dots):
        raise PlanError(f"term {term!r} does not fit an input of shape {shape}")
    named = zip(before + after, shape[: len(before)] + shape[len(before) + hidden :], strict=True)
    return dict(named), shape[len(before) : len(before) + hidden]


def _types(types: Types, values: Values, *, equation: str) -> Shaped:
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms, shapes = left.split(","), [given(types, i)[1] for i in range(len(types))]
    if len(terms) != len(shapes):
        raise PlanError(f"equation {equation!r} has {len(terms)} terms for {len(shapes)} inputs")
    sizes: dict[str, int] = {}
    hidden: Shape = ()
    for term, shape in zip(terms, shapes, strict=True):
        labels, dotted = _labelled(term, shape)
        hidden = broadcast(hidden, dotted)
        for label, size in labels.items():
            (sizes[label],) = broadcast((sizes.get(label, 1),), (size,))
    once = sorted(label for label, count in Counter(left).items() if count == 1 and label in sizes)
    before, dots, after = (right if arrow else DOTS * (DOTS in left) + "".join(once)).partition(DOTS)
    unknown = sorted(set(before + after) - sizes.keys())
    if unknown:
        raise PlanError(f"no input of equation {equation!r} has the label {unknown[0]!r}")
    return given(types, 0)[0], (*map(sizes.__getitem__, before), *(hidden if dots else ()), *map(sizes.__getitem__, after))


@operator("Einsum", infer=infers(_types))
def einsum(*inputs: np.ndarray, equation: str) -> np.ndarray:
    """Sum of products by ``equation``, in numpy's notation."""
    wide = accumulator(inputs[0].dtype)
    return np.einsum(equation, *(x.astype(wide, copy=False) for x in inputs)).astype(inputs[0].dtype, copy=False)
