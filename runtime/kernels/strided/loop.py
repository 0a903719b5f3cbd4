"""Loops over elements in machine code that is there already: numpy's own, at the addresses that its universal functions keep.

They are called from the orders of a plan, without Python and without holding its lock, and nothing is compiled for them.
"""

from __future__ import annotations

from ctypes import POINTER, Structure, c_char, c_int, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np

from ...orders.order import HEAD

KINDS = "biuf"
"""Kinds of element types whose loops need nothing of Python: booleans, integers, floats."""


@dataclass(frozen=True)
class Loop:
    """Code at the address ``code``, which takes (addresses of operands, count, steps in bytes, ``data``), the first three by
    their addresses, and computes the last operand; ``operands`` says how many there are."""

    code: int
    data: int
    operands: int


class _Universal(Structure):
    """The beginning of ``PyUFuncObject``, numpy's C interface, behind the head of a Python object."""

    _fields_ = [
        ("nin", c_int),
        ("nout", c_int),
        ("nargs", c_int),
        ("identity", c_int),
        ("functions", POINTER(c_void_p)),
        ("data", POINTER(c_void_p)),
        ("ntypes", c_int),
        ("reserved", c_int),
        ("name", c_void_p),
        ("types", POINTER(c_char)),
    ]


@cache
def loop_of(function: np.ufunc, *dtypes: np.dtype) -> Loop | None:
    """The loop of ``function`` for inputs and an output of ``dtypes``; ``None`` if it has none that needs no conversion."""
    if not all(dtype.isnative and dtype.kind in KINDS for dtype in dtypes):
        return None
    *inputs, output = (dtype.char for dtype in dtypes)
    signature = f"{''.join(inputs)}->{output}"
    found = _Universal.from_address(id(function) + HEAD)
    if signature not in function.types or (found.nargs, found.ntypes) != (function.nargs, function.ntypes):
        return None
    index = function.types.index(signature)
    code = found.functions[index]
    return None if code is None else Loop(code, found.data[index] or 0, function.nargs)


def copier(dtype: np.dtype) -> Loop | None:
    """The loop that copies elements of ``dtype``, whatever they mean; ``None`` for sizes that no integer has."""
    integer = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}.get(dtype.itemsize)
    return None if integer is None else loop_of(np.positive, np.dtype(integer), np.dtype(integer))
