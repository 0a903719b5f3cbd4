"""Arrays that end where memory does: the byte after their last one, and those before their page, cannot be touched.

A kernel that reads or writes outside such an array is killed by the system, however it computed the address.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from math import prod
from typing import Any

import numpy as np

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)

NO_ACCESS = 0
FILLING = 0xA5
"""What a new array holds, so that a byte nobody wrote does not look like a zero."""


def guarded(shape: int | tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """An array of this shape and type between two pages without access, its end touching the second one.

    Raises:
        OSError: the system gives no memory.
    """
    kind = np.dtype(dtype)
    shape = tuple(int(side) for side in np.atleast_1d(np.asarray(shape, np.int64)))
    size = prod(shape) * kind.itemsize
    pages = -(-size // PAGE)
    total = (pages + 2) * PAGE
    base = _libc.mmap(None, total, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if base in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "mmap")
    end = base + (pages + 1) * PAGE
    if _libc.mprotect(base, PAGE, NO_ACCESS) or _libc.mprotect(end, PAGE, NO_ACCESS):
        raise OSError(ctypes.get_errno(), "mprotect")
    buffer: Any = (ctypes.c_uint8 * size).from_address(end - size)
    weakref.finalize(buffer, _libc.munmap, base, total)
    flat = np.frombuffer(buffer, np.uint8) if size else np.zeros(0, np.uint8)
    flat[:] = FILLING
    return flat.view(kind).reshape(shape)


def guarded_copy(array: np.ndarray) -> np.ndarray:
    """``array`` in guarded memory, writeable or not as it was."""
    copy = guarded(array.shape, array.dtype)
    copy[...] = array
    copy.flags.writeable = array.flags.writeable
    return copy


class GuardedNumpy:
    """Stands in for a module's ``np``: what it allocates there is guarded, all else is numpy's."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def empty(shape: int | tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
        """Guarded and filled with noise."""
        return guarded(shape, dtype)

    @staticmethod
    def zeros(shape: int | tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
        """Guarded zeros."""
        array = guarded(shape, dtype)
        array[...] = 0
        return array

    @staticmethod
    def full(shape: int | tuple[int, ...], value: Any, dtype: Any = np.float64) -> np.ndarray:
        """Guarded, all ``value``."""
        array = guarded(shape, dtype)
        array[...] = value
        return array
