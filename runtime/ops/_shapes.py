"""Output types without computing: what the ``infer`` of several operators share."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np

from ...format_spec.errors import PlanError
from ...format_spec.graph import Node
from ._registry import Infer, Operator, Shaped, find_operator

Shape: TypeAlias = "tuple[int, ...]"
Types: TypeAlias = "Sequence[Shaped | None]"
Values: TypeAlias = "Sequence[np.ndarray | None]"

Rule: TypeAlias = "Callable[..., Shaped | list[Shaped]]"
"""(input types, constant input values, **every attribute, defaults filled in) -> output type or types."""


def infers(rule: Rule) -> Infer:
    """Make an ``infer`` of a rule: it fills in the reference's attribute defaults and puts the node's label on errors.

    A rule may divide by an attribute, or count less than nothing: that is an error of the node's, too.
    """

    def infer(node: Node, types: Types, values: Values) -> list[Shaped]:
        found = find_operator(node)
        try:
            _check_shape_inputs(found, types, values)
            result = rule(types, values, **_attributes(found, node))
            result = result if isinstance(result, list) else [result]
            _check_sizes(result)
        except (PlanError, ValueError, IndexError, TypeError, ArithmeticError) as error:
            raise PlanError(f"node {node.label!r} ({node.op_type}): {error}") from error
        return result

    return infer


def by_view(node: Node, types: Types, values: Values) -> list[Shaped]:
    """``infer`` of an operator whose reference only makes views: run it on arrays that take no memory."""

    def rule(types: Types, values: Values, **attributes: Any) -> list[Shaped]:
        arrays = [_placeholder(t) if v is None else v for t, v in zip(types, values, strict=True)]
        return [(array.dtype, array.shape) for array in find_operator(node)(*arrays, **attributes)]

    return infers(rule)(node, types, values)


def _placeholder(shaped: Shaped | None) -> np.ndarray | None:
    if shaped is None:
        return None
    dtype, shape = shaped
    return np.broadcast_to(np.zeros((), dtype), shape)


def _check_shape_inputs(found: Operator, types: Types, values: Values) -> None:
    for index in found.shape_inputs:
        if index < len(types) and types[index] is not None and values[index] is None:
            raise PlanError(f"the output's shape depends on input {index}, which is not constant")


def _check_sizes(types: Types) -> None:
    for shaped in types:
        if shaped is not None and any(size < 0 for size in shaped[1]):
            raise PlanError(f"no output has the shape {tuple(map(int, shaped[1]))}")


def _attributes(found: Operator, node: Node) -> dict[str, Any]:
    attributes = {**found.defaults, **node.attributes}
    missing = sorted(found.attribute_names - attributes.keys())
    if missing:
        raise PlanError(f"attribute {missing[0]!r} is required")
    return attributes


def given(types: Types, index: int) -> Shaped:
    """The type of a required input.

    Raises:
        PlanError: it is absent.
    """
    found = types[index] if index < len(types) else None
    if found is None:
        raise PlanError(f"input {index} is required")
    return found


def required(values: Values, index: int) -> np.ndarray:
    """The value of a required input that decides the output's shape.

    Raises:
        PlanError: it is absent.
    """
    found = constant(values, index)
    if found is None:
        raise PlanError(f"input {index} is required")
    return found


def constant(values: Values, index: int) -> np.ndarray | None:
    """The value of an optional constant input, ``None`` when it is absent."""
    return values[index] if index < len(values) else None


def broadcast(*shapes: Shape) -> Shape:
    """The shape that ``shapes`` broadcast to, by numpy's rules.

    Raises:
        PlanError: they do not.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise PlanError(f"shapes {' and '.join(map(str, shapes))} do not broadcast") from error


def check_rank(what: str, shape: Shape, rank: int, *, at_least: bool = False) -> None:
    """Raise :class:`PlanError` unless ``shape`` has ``rank`` axes (or more)."""
    if len(shape) != rank and not (at_least and len(shape) > rank):
        raise PlanError(f"{what} must have {'at least ' if at_least else ''}{rank} axes, not shape {shape}")


def check_shape(what: str, types: Types, index: int, shape: Shape) -> None:
    """Raise :class:`PlanError` unless input ``index``, called ``what``, is absent or has this ``shape``."""
    found = types[index] if index < len(types) else None
    if found is not None and found[1] != shape:
        raise PlanError(f"{what} must have shape {shape}, not {found[1]}")


def positive_axis(axis: int, rank: int) -> int:
    """``axis`` counted from the front.

    Raises:
        PlanError: it is outside ``[-rank, rank)``.
    """
    if not -rank <= axis < rank:
        raise PlanError(f"axis {axis} is out of range for {rank} axes")
    return axis % rank


def positive_axes(axes: Sequence[int] | np.ndarray | None, rank: int) -> Shape:
    """Each axis counted from the front; every axis when ``axes`` is ``None``. One axis may stand alone, as a scalar."""
    return tuple(range(rank)) if axes is None else tuple(positive_axis(int(a), rank) for a in np.ravel(axes))


def positive_indices(indices: np.ndarray, size: int) -> np.ndarray:
    """``indices`` into an axis of ``size`` with negative ones counted from the end, int64.

    Raises:
        PlanError: one is outside ``[-size, size)``.
    """
    found = indices.astype(np.int64)
    if found.size and (found.min() < -size or found.max() >= size):
        wrong = found.min() if found.min() < -size else found.max()
        raise PlanError(f"index {wrong} is out of range for an axis of size {size}")
    return np.where(found < 0, found + size, found)


def boundaries(sizes: Sequence[int]) -> list[int]:
    """Where each of consecutive pieces starts, and where the last ends."""
    return list(accumulate(sizes, operator.add, initial=0))


def rows_first(node: Node, rank: int) -> tuple[int, ...]:
    """Row axes of weights whose outputs come first."""
    return (0,)


def _present(types: Types) -> list[Shaped]:
    return [t for t in types if t is not None]


def _elementwise(types: Types, values: Values, **_: Any) -> Shaped:
    return given(types, 0)[0], broadcast(*(shape for _, shape in _present(types)))


def _boolean(types: Types, values: Values, **_: Any) -> Shaped:
    return np.dtype(np.bool_), broadcast(*(shape for _, shape in _present(types)))


def _like_input(types: Types, values: Values, **_: Any) -> Shaped:
    return given(types, 0)


elementwise = infers(_elementwise)
"""The first input's element type; all inputs broadcast."""

boolean = infers(_boolean)
"""Booleans; all inputs broadcast."""

like_input = infers(_like_input)
"""Exactly the first input's type."""
