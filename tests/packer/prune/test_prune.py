from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tersor.format_spec.errors import RecipeError
from tersor.packer.prune import check_finite, methods, prune
from tersor.packer.prune._registry import pruning
from tersor.packer.prune.density import density_mask
from tersor.packer.prune.threshold import largest_not_above

FLOATS = st.sampled_from(["float16", "float32", "float64"])


@st.composite
def tensors(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(FLOATS))
    few = st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.0, 3.0])
    limit = float(np.finfo(dtype).max)
    finite = st.floats(-limit, limit).map(dtype.type)
    shape = draw(st.sampled_from([(1,), (7,), (3, 5), (2, 1, 4)]))
    return draw(arrays(dtype, shape, elements=st.one_of(few, finite)))


def plain_density(weights: np.ndarray, density: float) -> np.ndarray:
    flat = weights.reshape(-1)
    order = sorted(range(flat.size), key=lambda i: (-abs(float(flat[i])), i))
    mask = np.zeros(flat.size, bool)
    mask[[i for i in order[: round(density * flat.size)] if flat[i] != 0]] = True
    return mask.reshape(weights.shape)


def test_the_methods_are_found():
    assert list(methods()) == ["density", "quality", "threshold"]


def test_a_method_is_registered_once():
    with pytest.raises(RuntimeError, match="density is registered twice"):
        pruning("density", low=0)(plain_density)


@settings(max_examples=80, deadline=None)
@given(tensors(), st.floats(0, 1))
def test_density_equals_the_plain_sort(weights: np.ndarray, density: float):
    before = weights.copy()
    np.testing.assert_array_equal(prune("w", weights, ("density", density)), plain_density(weights, density))
    np.testing.assert_array_equal(weights, before)


def test_density_breaks_ties_by_index():
    weights = np.array([[1, -2, 2], [-2, 1, 2]], np.float32)
    np.testing.assert_array_equal(prune("w", weights, ("density", 0.5)), [[False, True, True], [True, False, False]])


@pytest.mark.parametrize(("density", "kept"), [(0.0, 0), (0.25, 25), (1.0, 100)])
def test_density_keeps_exactly_its_share(density: float, kept: int):
    weights = np.random.default_rng(0).standard_normal((10, 10)).astype(np.float32)
    assert prune("w", weights, ("density", density)).sum() == kept


@settings(max_examples=80, deadline=None)
@given(tensors(), st.floats(0, 2))
def test_threshold_compares_exactly(weights: np.ndarray, threshold: float):
    plain = np.array([abs(float(w)) > threshold for w in weights.reshape(-1)]).reshape(weights.shape)
    np.testing.assert_array_equal(prune("w", weights, ("threshold", threshold)), plain)


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 1e300), FLOATS)
def test_largest_not_above_is_tight(value: float, name: str):
    dtype = np.dtype(name)
    found = largest_not_above(value, dtype)
    assert float(found) <= value
    assert found == np.finfo(dtype).max or float(np.nextafter(found, np.finfo(dtype).max)) > value


def test_quality_is_a_multiple_of_the_standard_deviation():
    weights = np.random.default_rng(1).normal(0.3, 2, (300, 40)).astype(np.float32)
    expected = np.abs(weights) > 1.25 * np.std(weights.astype(np.float64))
    np.testing.assert_array_equal(prune("w", weights, ("quality", 1.25)), expected)


@pytest.mark.parametrize("method", ["density", "quality", "threshold"])
def test_zeros_of_either_sign_never_stay(method: str):
    weights = np.array([[0.0, -0.0, 0.0, 2.0]], np.float32)
    parameter = 1.0 if method == "density" else 0.0
    np.testing.assert_array_equal(prune("w", weights, (method, parameter)), [[False, False, False, True]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", ["density", "quality", "threshold"])
def test_what_is_not_finite_is_refused_by_name(method: str, bad: float):
    weights = np.ones((2, 3), np.float32)
    weights[1, 0] = bad
    with pytest.raises(RecipeError, match=r"'fc1\.w' holds .* at index 3.*\(pack --keep 'fc1\.w'; in a recipe"):
        prune("fc1.w", weights, (method, 0.5))


def test_an_empty_tensor_is_finite():
    check_finite("w", np.empty((0, 3), np.float32))


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_ties_are_kept_from_the_first_on_whatever_is_looked_at_at_a_time(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tersor.packer.prune.density.CHUNK", chunk)
    weights = np.tile(np.array([1, -3, 2, 3, 0], np.float32), 8)
    kept = np.flatnonzero(density_mask(weights, 0.55))
    assert sorted(np.abs(weights[kept]).tolist()) == [2] * 6 + [3] * 16
    assert kept[np.abs(weights[kept]) == 2].tolist() == [2, 7, 12, 17, 22, 27]
