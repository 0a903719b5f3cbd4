from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tersor.format_spec.errors import RecipeError
from tersor.format_spec.tensors import Order, SharedTensor, bit_patterns
from tersor.packer.prune import prune
from tersor.packer.quantize.share import share

VALUES = st.one_of(st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.0]), st.floats(-4, 4, width=16))
VIEWS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((4, 6), (0,)),
    ((4, 6), (1,)),
    ((3, 2, 3, 3), (0,)),
    ((3, 2, 3, 3), (1,)),
    ((2, 4, 3), (0, 1)),
    ((1, 1), (0,)),
    ((1, 300), (0,)),
]


def nearest(values: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """For each value the nearest of ``codebook``, of two the lower."""
    ordered = np.sort(codebook.astype(np.float64))
    bounds = (ordered[1:] + ordered[:-1]) / 2
    return ordered[np.searchsorted(bounds, values.astype(np.float64), "left")]


def check_form(shared: SharedTensor) -> None:
    patterns = bit_patterns(shared.codebook)
    assert (np.diff(patterns.astype(np.uint64).astype(object)) > 0).all()
    assert shared.codes.dtype == np.uint8
    assert sorted(set(shared.codes.tolist())) == list(range(len(shared.codebook)))
    if shared.starts is not None and shared.minors is not None:
        assert shared.starts.dtype == np.int64
        assert shared.minors.dtype == np.uint32
        assert shared.starts[0] == 0
        assert shared.starts[-1] == len(shared.codes) == len(shared.minors)
        assert not (shared.codebook == 0).any()
        for start, end in zip(shared.starts, shared.starts[1:], strict=False):
            assert (np.diff(shared.minors[start:end].astype(np.int64)) > 0).all()


@settings(max_examples=120, deadline=None)
@given(
    st.data(),
    st.sampled_from(VIEWS),
    st.sampled_from(["float16", "float32", "float64"]),
    st.integers(1, 8),
    st.sampled_from(["rows", "columns", None]),
    st.sampled_from([None, 0.0, 0.3, 1.0]),
)
def test_every_weight_takes_the_nearest_value(
    data: st.DataObject,
    view: tuple[tuple[int, ...], tuple[int, ...]],
    dtype: str,
    bits: int,
    order: Order | None,
    density: float | None,
):
    shape, row_axes = view
    weights = data.draw(arrays(np.dtype(dtype), shape, elements=VALUES))
    mask = None if density is None else prune("w", weights, ("density", density))
    shared = share("w", weights, mask, row_axes, bits, order=order)
    check_form(shared)
    assert len(shared.codebook) <= 1 << bits
    assert shared.dtype == shared.codebook.dtype == weights.dtype
    assert (shared.shape, shared.row_axes) == (shape, row_axes)
    assert order is None or shared.order == order
    dense = shared.dense()
    kept = dense != 0 if shared.starts is not None else np.ones(shape, bool)
    if mask is not None and not mask.all():
        assert not (dense[~mask] != 0).any()
    if shared.starts is None and mask is not None and not mask.all():
        assert not dense.any()  # nothing was kept: one shared zero
    elif kept.any():
        np.testing.assert_array_equal(dense[kept].astype(np.float64), nearest(weights[kept], shared.codebook))


def test_zeros_that_are_many_stay_zeros():
    weights = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32)
    weights[::2] = 0
    dense = share("w", weights, None, (0,), 4).dense()
    np.testing.assert_array_equal(dense == 0, weights == 0)


def test_a_stray_zero_is_a_value_like_any_other():
    weights = np.random.default_rng(0).normal(3, 0.1, (32, 32)).astype(np.float32)
    weights[3, 3] = 0
    shared = share("w", weights, None, (0,), 4)
    assert shared.starts is None
    assert len(shared.codebook) == 16


def test_a_centroid_at_zero_leaves_its_weights_out():
    tiny = np.float16(6e-8)
    weights = np.array([[tiny, -tiny, 1.0, 2.0, 0.0]], np.float16)
    shared = share("w", weights, weights != 0, (0,), 2)
    dense = shared.dense()
    assert not bit_patterns(shared.codebook == 0).any()
    np.testing.assert_array_equal(dense[0, 2:], weights[0, 2:])
    coarse = share("w", np.array([[1e-3, -1e-3, 1, 1.5, 0]], np.float32), np.array([[1, 1, 1, 1, 0]], bool), (0,), 1)
    np.testing.assert_array_equal(coarse.dense(), [[0, 0, 1.25, 1.25, 0]])
    assert coarse.nonzeros == 2


def test_nothing_kept_is_one_shared_zero():
    weights = np.ones((3, 4), np.float32)
    shared = share("w", weights, np.zeros((3, 4), bool), (0,), 3)
    check_form(shared)
    np.testing.assert_array_equal(shared.dense(), np.zeros((3, 4)))


def test_the_input_is_not_modified_and_may_be_read_only():
    weights = np.random.default_rng(1).standard_normal((20, 30)).astype(np.float32)
    before = weights.copy()
    weights.setflags(write=False)
    share("w", weights, prune("w", weights, ("density", 0.5)), (1,), 3, order="rows")
    np.testing.assert_array_equal(weights, before)


def test_what_is_shared_already_comes_back_bit_for_bit():
    levels = np.linspace(-1, 1, 32).astype(np.float32)
    weights = levels[np.random.default_rng(2).integers(0, 32, (40, 50))]
    np.testing.assert_array_equal(share("w", weights, None, (0,), 5).dense(), weights)


def test_more_bits_are_closer():
    weights = np.random.default_rng(3).standard_normal((100, 100)).astype(np.float32)
    errors = [np.square(share("w", weights, None, (0,), bits).dense() - weights).sum() for bits in range(1, 9)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float):
    with pytest.raises(RecipeError, match="'fc1' holds"):
        share("fc1", np.array([[1, bad]], np.float32), None, (0,), 3)


@pytest.mark.parametrize("weights", [[1, 1e300], [1e-300, -1e-299]])
def test_what_float32_cannot_hold_is_refused(weights: list[float]):
    with pytest.raises(RecipeError, match="beyond float32"):
        share("fc1", np.array([weights]), None, (0,), 3)


def test_zeros_are_shared():
    assert not share("fc1", np.zeros((2, 2)), None, (0,), 3).dense().any()


def test_the_paper_profile_keeps_a_code_for_its_filler():
    weights = np.random.default_rng(0).standard_normal((60, 50)).astype(np.float32)
    mask = np.abs(weights) > 1
    for bits in (1, 3, 5):
        assert len(share("w", weights, mask, (0,), bits, filler=True).codebook) == (1 << bits) - 1
        assert len(share("w", weights, mask, (0,), bits).codebook) == 1 << bits
        assert len(share("w", weights, None, (0,), bits, filler=True).codebook) == 1 << bits
