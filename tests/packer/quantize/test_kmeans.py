from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tersor.packer.quantize import initialisations
from tersor.packer.quantize._lloyd import count_clusters, sort_patterns
from tersor.packer.quantize._registry import initialisation
from tersor.packer.quantize.kmeans import kmeans

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
TAME = st.one_of(st.sampled_from([0.0, -0.0, 0.25, -0.25, 1.0]), st.floats(-4, 4, width=32))


def inertia(values: np.ndarray, centroids: np.ndarray) -> float:
    return float(np.sum(np.min(np.abs(values.astype(np.float64)[:, None] - centroids), axis=1) ** 2))


def plain_lloyd(values: np.ndarray, centroids: np.ndarray, steps: int) -> np.ndarray:
    """Lloyd's algorithm as anyone would write it; empty clusters do not occur."""
    exact = values.astype(np.float64)
    for _ in range(steps):
        nearest = np.argmin(np.abs(exact[:, None] - centroids), axis=1)
        counts = np.bincount(nearest, minlength=len(centroids))
        assert counts.all()
        centroids = np.bincount(nearest, exact, len(centroids)) / counts
    return centroids


def test_the_initialisations_are_found():
    assert list(initialisations()) == ["companding", "density", "linear", "random"]


def test_an_initialisation_is_registered_once():
    with pytest.raises(RuntimeError, match="linear is registered twice"):
        initialisation("linear")(lambda values, k, seed: values[:k])


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, st.integers(0, 300), elements=FINITE))
def test_sorting_equals_numpy(values: np.ndarray):
    keys = values.view(np.uint32).copy()
    ordered = np.empty_like(keys)
    sort_patterns(keys, ordered)
    np.testing.assert_array_equal(ordered.view(np.float32), np.sort(values))
    np.testing.assert_array_equal(np.sort(ordered), np.sort(values.view(np.uint32)))


@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_steps_are_those_of_plain_lloyd(steps: int):
    values = np.random.default_rng(2).normal(0, 0.1, 5000).astype(np.float32)
    start = np.linspace(float(values.min()), float(values.max()), 8)
    found = kmeans(values, 8, "linear", iterations=steps)
    np.testing.assert_allclose(found.centroids, plain_lloyd(values, start, steps), rtol=1e-12)


# Inertia of scikit-learn 1.9 on the float64 of the same values: KMeans(k, init=linear, n_init=1, tol=0, max_iter=steps).
SKLEARN: list[tuple[int, int, float]] = [
    (4, 5, 4.836955579890432),
    (16, 1, 0.6827774206504746),
    (16, 300, 0.38124352947726264),
    (64, 3, 0.030498487299731883),
    (256, 1, 0.0016966866310102796),
    (256, 300, 0.0012246610082177899),
]


@pytest.mark.parametrize(("k", "steps", "expected"), SKLEARN)
def test_inertia_is_that_of_scikit_learn(k: int, steps: int, expected: float):
    values = np.random.default_rng(7).normal(0, 0.1, 4000).astype(np.float32)
    found = kmeans(values, k, "linear", iterations=steps)
    assert inertia(values, found.centroids) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("steps", "expected"), [(1, 13.989936764719236), (10, 6.790083306546709), (300, 6.183777416203708)])
def test_empty_clusters_are_filled_as_scikit_learn_does(steps: int, expected: float):
    values = np.random.default_rng(7).normal(0, 1, 20000).astype(np.float32)
    pruned = values[np.abs(values) > 1.2]  # the linear start puts centroids where nothing is
    assert inertia(pruned, kmeans(pruned, 32, "linear", iterations=steps).centroids) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, st.integers(1, 200), elements=TAME), st.integers(1, 16), st.sampled_from(["linear", "density", "random"])
)
def test_centroids_are_ascending_and_no_worse_than_where_they_started(values: np.ndarray, k: int, init: str):
    found = kmeans(values, k, init, seed=3)
    assert 1 <= len(found.centroids) <= k
    assert (np.diff(found.centroids) >= 0).all()
    start = initialisations()[init](np.sort(values), k, 3)
    assert inertia(values, found.centroids) <= inertia(values, start) * (1 + 1e-9) + 1e-12


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        st.integers(1, 60),
        elements=st.sampled_from([float(np.float32(0.1)), float(np.float32(-0.3)), 2.5, 7.0, 0.0]),
    ),
    st.integers(5, 9),
)
def test_few_distinct_values_are_their_own_centroids(values: np.ndarray, k: int):
    np.testing.assert_array_equal(kmeans(values, k).centroids, np.unique(values))


def test_an_empty_cluster_takes_the_farthest_value():
    values = np.array([0, 0.1, 0.2, 9.7, 10], np.float32)
    # Linear start 0, 5, 10: the middle one is empty and takes 9.7, the farthest from its centroid.
    found = kmeans(values, 3, "linear", iterations=1)
    np.testing.assert_allclose(found.centroids, [0.1, 9.7, 10], rtol=1e-6)


def test_a_taken_value_takes_its_repeats_along():
    values = np.array([0, 0.25, 0.5, *[3.0] * 5, 10, 10.5], np.float32)
    found = kmeans(values, 3, "linear", iterations=20)
    np.testing.assert_allclose(found.centroids, [0.25, 3, 10.25])


def test_the_seed_decides_the_random_start():
    values = np.random.default_rng(5).standard_normal(1000).astype(np.float32)
    first, again, other = (kmeans(values, 6, "random", seed, 0).centroids for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_density_start_takes_quantiles():
    np.testing.assert_array_equal(initialisations()["density"](np.arange(8, dtype=np.float32), 4, 0), [1, 3, 5, 7])


def test_long_tensors_use_block_sums():
    values = np.random.default_rng(6).standard_normal(100_003).astype(np.float32)
    found = kmeans(values, 2, iterations=1)
    low, high = float(values.min()), float(values.max())
    below = values.astype(np.float64) <= (low + high) / 2
    np.testing.assert_allclose(
        found.centroids, [values[below].mean(dtype=np.float64), values[~below].mean(dtype=np.float64)], rtol=1e-12
    )


@pytest.mark.parametrize("outlier", [-1e16, -1e20, -3e38, 3e38])
@pytest.mark.parametrize("init", ["linear", "density", "companding"])
def test_an_outlier_at_either_end_costs_the_others_no_precision(outlier: float, init: str):
    values = np.random.default_rng(8).standard_normal(20_000).astype(np.float32)
    values[3] = outlier
    found = kmeans(values, 32, init, iterations=100).centroids
    bounds = (found[1:] + found[:-1]) / 2
    nearest = np.searchsorted(bounds, values.astype(np.float64), "left")
    means = [values[nearest == j].astype(np.float64).mean() for j in range(len(found))]
    stepped = kmeans(values, 32, init, iterations=101).centroids
    np.testing.assert_allclose(stepped, means, rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, st.integers(1, 50), elements=TAME), arrays(np.float64, st.integers(1, 9), elements=st.floats(-5, 5)))
def test_counts_are_of_the_nearest_and_ties_go_down(values: np.ndarray, centroids: np.ndarray):
    values, centroids = np.sort(values), np.unique(centroids)
    bounds = (centroids[1:] + centroids[:-1]) / 2
    plain = np.bincount(np.searchsorted(bounds, values.astype(np.float64), "left"), minlength=len(centroids))
    counts = np.empty(len(centroids), np.int64)
    count_clusters(values, centroids, counts)
    np.testing.assert_array_equal(counts, plain)


def test_rounded_codebooks_hold_no_duplicates_and_nothing_unused():
    values = np.array([1.0, 1.0001, 1.0002, 5.0], np.float32)
    codebook = kmeans(values, 4).rounded(np.dtype(np.float16))
    np.testing.assert_array_equal(codebook, np.array([1, 5], np.float16))


@pytest.mark.parametrize(
    ("offset", "spread", "half"), [(0, 0.05, True), (1, 0.001, False), (10, 0.001, False), (-3, 0.01, False)]
)
def test_codebooks_are_rounded_to_fp16_only_where_that_costs_little(offset: float, spread: float, half: bool):
    values = (offset + spread * np.random.default_rng(0).standard_normal(16_384)).astype(np.float32)
    found = kmeans(values, 64, iterations=20)
    codebook = found.rounded(np.dtype(np.float32))
    assert len(codebook) == 64
    assert np.array_equal(codebook, codebook.astype(np.float16)) == half
    assert inertia(values, codebook.astype(np.float64)) <= 1.01 * inertia(values, found.centroids)
