from __future__ import annotations

import numpy as np

from tersor.runtime.decode.jitted.bits import load_big_endian, store_big_endian, store_quad, trailing_zeros
from tersor.runtime.jit.jitted import jit


@jit
def _load(data, index):
    return load_big_endian(data, index)


@jit
def _store(data, index, value):
    store_big_endian(data, index, np.uint64(value))


@jit
def _quad(data, index, value):
    store_quad(data, index, np.uint32(value))


@jit
def _trailing_zeros(value):
    return trailing_zeros(np.uint64(value))


def test_unaligned_loads_and_stores() -> None:
    data = np.arange(1, 20, dtype=np.uint8)
    assert _load(data, 3) == 0x0405060708090A0B
    _store(data, 5, 0x1122334455667788)
    assert data[4:14].tobytes().hex() == "05" + "1122334455667788" + "0e"
    _quad(data, 1, 0x23456789)
    assert data[:6].tobytes().hex() == "01" + "89674523" + "11"


def test_trailing_zeros() -> None:
    assert [_trailing_zeros(1 << 63 | 1 << place) for place in range(64)] == list(range(64))
