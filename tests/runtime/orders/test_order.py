"""What orders are told of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.runtime.orders.order import address_of

WHOLE = np.arange(24, dtype=np.float32).reshape(4, 6)
READ_ONLY = np.frombuffer(b"abcdefgh", np.uint8)


@pytest.mark.parametrize(
    "array",
    [
        WHOLE, WHOLE[1:, 2:], WHOLE.T, WHOLE[::-1], WHOLE[:, ::2], READ_ONLY, np.array(3.0), np.empty((0, 3)), np.ma.ones(3),
    ],
    ids=["whole", "part", "transposed", "backwards", "strided", "read-only", "scalar", "empty", "subclass"],
)  # fmt: skip
def test_an_address_is_where_numpy_says(array):
    assert address_of(array) == array.__array_interface__["data"][0]


def test_no_array_has_no_address():
    assert address_of(None) == 0
