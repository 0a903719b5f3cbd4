"""Whether a model can take the arrays that a caller gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from operator import index
from typing import TypeAlias

import numpy as np

from ...format_spec.errors import InputError
from ...format_spec.graph import Value, signatures

Shapes: TypeAlias = tuple[tuple[int, ...], ...]
"""Of all inputs, in their order."""

NamedArrays: TypeAlias = Mapping[str, np.ndarray]

_dtype = cache(np.dtype)
"""An element type by its name, which numpy looks up for longer than everything else that is checked."""


def check_inputs(expected: Sequence[Value], given: NamedArrays) -> Shapes:
    """The shapes of ``given`` in the order of ``expected``.

    Raises:
        InputError: a name is missing or unknown, or an array has the wrong element type or shape.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"inputs must be a dict of arrays by name, {{name: array}}, not {type(given).__name__}")
    if len(given) != len(expected):
        _check_names(expected, given)
    shapes = []
    for value in expected:
        array = given.get(value.name)
        if array is None:
            _check_names(expected, given)
        if not isinstance(array, np.ndarray):
            found = type(array).__name__
            raise InputError(f"input {value.name!r} must be a numpy array {value.type}, as numpy.asarray makes it, not {found}")
        if array.dtype != _dtype(value.type.dtype) or not _fits(value, array.shape):
            raise InputError(f"input {value.name!r} is {described(array)}, the model takes {value.type}")
        shapes.append(array.shape)
    return tuple(shapes)


def _check_names(expected: Sequence[Value], given: NamedArrays) -> None:
    _check_known(expected, given)
    for value in expected:
        if value.name not in given:
            raise InputError(f"input {value.name!r} is missing; the model takes {signatures(expected)}")


def _check_known(expected: Sequence[Value], names: Iterable[str]) -> None:
    known = {value.name for value in expected}
    for name in names:
        if name not in known:
            raise InputError(f"the model has no input {name!r}; it takes {signatures(expected)}")


def complete_shapes(expected: Sequence[Value], given: Mapping[str, tuple[int, ...]]) -> Shapes:
    """A shape for every input: the given one, or the declared one with 1 for each symbolic size.

    Raises:
        InputError: a name or shape is not what the model takes, or an input of unknown rank has no shape given.
    """
    _check_known(expected, given)
    shapes = []
    for value in expected:
        shape = given.get(value.name)
        if shape is None:
            if value.type.shape is None:
                raise InputError(f"input {value.name!r} has no declared shape; give one")
            shape = tuple(d if isinstance(d, int) else 1 for d in value.type.shape)
        sizes = _sizes(value, shape)
        if not _fits(value, sizes):
            raise InputError(f"input {value.name!r} cannot have shape {list(sizes)}, the model takes {value.type}")
        shapes.append(sizes)
    return tuple(shapes)


def _sizes(value: Value, shape: Iterable[int]) -> tuple[int, ...]:
    """A shape that somebody gives, of numpy's integers perhaps, as Python's."""
    try:
        sizes = tuple(map(index, shape))
    except TypeError:
        sizes = (-1,)
    if min(sizes, default=0) < 0:
        raise InputError(f"input {value.name!r} cannot have shape {shape!r}: a sequence of integers from 0 on is expected")
    return sizes


def check_out(out: NamedArrays, wanted: Sequence[str], inputs: NamedArrays) -> dict[str, np.ndarray]:
    """A copy of ``out``, the names and arrays that outputs are written to, after making sure that they can be while ``inputs``
    are read.

    Raises:
        InputError: it is no mapping, a name is not ``wanted``, or an array is no memory to write to, or not its alone.
    """
    if not isinstance(out, Mapping):
        raise InputError(f"out must be arrays by the names of outputs, not a {type(out).__name__}")
    given = dict(out)
    for name, array in given.items():
        if name not in wanted:
            raise InputError(f"out[{name!r}] is not among the outputs asked for: {', '.join(wanted)}")
        if not isinstance(array, np.ndarray) or not array.flags.c_contiguous or not array.flags.writeable:
            raise InputError(f"out[{name!r}] must be a writable C-contiguous numpy array")
        for other, taken in (*inputs.items(), *((n, a) for n, a in given.items() if n != name)):
            if np.may_share_memory(array, taken):
                raise InputError(f"out[{name!r}] overlaps the memory of {other!r}")
    return given


def _fits(value: Value, shape: tuple[int, ...]) -> bool:
    declared = value.type.shape
    if declared is None or declared == shape:
        return True
    return len(declared) == len(shape) and all(not isinstance(d, int) or d == n for d, n in zip(declared, shape, strict=True))


def described(array: np.ndarray) -> str:
    """Element type and shape, as a model's own types are printed, and the byte order where it is not this machine's."""
    order = "" if array.dtype.isnative else " in foreign byte order"
    return f"{array.dtype.name}{list(array.shape)}{order}"
