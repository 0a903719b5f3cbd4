from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tersor.format_spec.tensors import Order, bit_patterns
from tersor.packer.quantize.find_shared import find_shared

VIEWS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((40, 30), (0,)),
    ((40, 30), (1,)),
    ((5, 7, 3, 3), (1,)),
    ((2, 20, 30), (0, 1)),
    ((200,), ()),
]


@settings(max_examples=80, deadline=None)
@given(
    st.data(),
    st.sampled_from(VIEWS),
    st.sampled_from(["float16", "float32", "float64", "int8", "uint8", "int16", "int64"]),
    st.sampled_from(["rows", "columns", None]),
)
def test_finding_is_bit_exact(
    data: st.DataObject, view: tuple[tuple[int, ...], tuple[int, ...]], name: str, order: Order | None
):
    shape, row_axes = view
    dtype = np.dtype(name)
    special = [0.0, -0.0, np.nan, -np.nan, np.inf, 1.5, -1.5] if dtype.kind == "f" else [0, 1, 2, 3]
    levels = data.draw(st.lists(st.sampled_from(special), min_size=1, max_size=8))
    choice = data.draw(arrays(np.int64, shape, elements=st.integers(0, len(levels) - 1), fill=st.just(0)))
    array = np.array(levels).astype(dtype)[choice]
    shared = find_shared(array, row_axes, order)
    assert shared is not None
    assert order is None or shared.order == order
    np.testing.assert_array_equal(bit_patterns(shared.dense()), bit_patterns(array))
    patterns = bit_patterns(shared.codebook)
    assert (patterns[1:] > patterns[:-1]).all()
    assert shared.nonzeros == np.count_nonzero(bit_patterns(array))


@pytest.mark.parametrize(("levels", "codes"), [(256, np.uint8), (257, np.uint16), (65_536, np.uint16)])
def test_codes_are_as_wide_as_the_codebook_asks(levels: int, codes: type[np.unsignedinteger]):
    array = np.tile(np.arange(1, levels + 1, dtype=np.float32), 4).reshape(4, levels)
    shared = find_shared(array, (0,))
    assert shared is not None
    assert shared.codes.dtype == codes
    assert len(shared.codebook) == levels
    np.testing.assert_array_equal(shared.dense(), array)


def test_more_than_65536_values_are_not_shared():
    assert find_shared(np.tile(np.arange(1, 65_538, dtype=np.float32), 8), ()) is None


def test_values_that_hardly_repeat_are_not_shared():
    assert find_shared(np.arange(1, 1001, dtype=np.float32).reshape(10, 100), (0,)) is None


def test_pruned_but_unshared_weights_are_found():
    array = np.zeros((100, 100), np.float32)
    array.reshape(-1)[::10] = np.random.default_rng(0).standard_normal(1000)
    shared = find_shared(array, (0,))
    assert shared is not None
    assert shared.nonzeros == 1000
    np.testing.assert_array_equal(shared.dense(), array)


def test_all_zero_is_one_value():
    shared = find_shared(np.zeros((3, 100), np.float32), (0,))
    assert shared is not None
    assert (shared.starts, len(shared.codebook), shared.nonzeros) == (None, 1, 0)


@pytest.mark.parametrize("array", [np.empty((0, 3), np.float32), np.array(["a", "b"]), np.ones(9, np.complex128)])
def test_what_has_no_bit_patterns_is_not_shared(array: np.ndarray):
    assert find_shared(array, ()) is None
