from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.tensors import Order, SharedTensor
from tersor.packer.quantize.find_shared import find_shared
from tersor.runtime.decode.reorder import reorder


def shared_tensor(rows: int, columns: int, density: float, order: Order, seed: int) -> SharedTensor:
    generator = np.random.default_rng(seed)
    values = generator.integers(1, 5, (rows, columns)).astype(np.float32)
    found = find_shared(np.tile(values * (generator.random((rows, columns)) < density), (1, 64)), (0,), order)
    assert found is not None
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([0.0, 0.2, 0.9, 1.0]),
    st.sampled_from(["rows", "columns"]),
    st.integers(0, 99),
)
def test_the_other_order_holds_the_same_tensor(rows: int, columns: int, density: float, order: Order, seed: int):
    shared = shared_tensor(rows, columns, density, order, seed)
    other = reorder(shared, "columns" if order == "rows" else "rows")
    assert other.order != order
    np.testing.assert_array_equal(other.dense(), shared.dense())
    back = reorder(other, order)
    for part in ("starts", "minors", "codes"):
        np.testing.assert_array_equal(getattr(back, part), getattr(shared, part))


def test_the_same_order_is_the_same_object():
    shared = shared_tensor(3, 4, 0.5, "rows", 0)
    assert reorder(shared, "rows") is shared
