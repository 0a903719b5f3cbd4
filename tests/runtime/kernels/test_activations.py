"""The error function, GELU and the logistic function against the references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.runtime.kernels.activations import FUNCTIONS, lower_activation
from tersor.runtime.kernels.site import Site

F32 = np.dtype(np.float32)
EDGES = np.array([0, -0.0, 1e-45, -1e-30, 0.927734375, 0.92773443, -0.92773443, 4, -6, 1e30, -1e30, np.nan], np.float32)


def node(op_type: str, approximate: str | None = None) -> Node:
    """A node of one input; ``approximate`` is GELU's attribute."""
    return Node(op_type, "node", ("x",), ("y",), {"approximate": approximate} if approximate else {})


@given(count=st.integers(1, 300), spread=st.sampled_from([1e-3, 1, 30]), seed=st.integers(0, 99))
def test_error_function(both, count, spread, seed):
    x = np.random.default_rng(seed).standard_normal(count).astype(np.float32) * np.float32(spread)
    got, want = both(lower_activation, node("Erf"), x)
    np.testing.assert_array_max_ulp(got, want, 4)


def test_error_function_of_edges(both):
    got, want = both(lower_activation, node("Erf"), np.append(EDGES, np.array([np.inf, -np.inf], np.float32)))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_max_ulp(got[~np.isnan(want)], want[~np.isnan(want)], 4)
    np.testing.assert_array_equal(np.signbit(got[:2]), [False, True])


@pytest.mark.parametrize("approximate", [None, "none", "tanh"])
@given(count=st.integers(1, 300), spread=st.sampled_from([1e-3, 1, 30]), seed=st.integers(0, 99))
def test_gelu(both, approximate, count, spread, seed):
    x = np.random.default_rng(seed).standard_normal(count).astype(np.float32) * np.float32(spread)
    got, want = both(lower_activation, node("Gelu", approximate), x)
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=4e-7 * min(1, spread))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_of_edges(both, approximate):
    x = np.append(EDGES, np.array([np.inf, -np.inf, -30, -1e30], np.float32))
    got, want = both(lower_activation, node("Gelu", approximate), x)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


@given(count=st.integers(1, 300), spread=st.sampled_from([1e-3, 1, 30]), seed=st.integers(0, 99))
def test_sigmoid(both, count, spread, seed):
    x = np.random.default_rng(seed).standard_normal(count).astype(np.float32) * np.float32(spread)
    got, want = both(lower_activation, node("Sigmoid"), x)
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-37)


def test_sigmoid_of_edges(both):
    got, want = both(lower_activation, node("Sigmoid"), np.append(EDGES, np.array([np.inf, -np.inf, 88, -88], np.float32)))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-37)


def test_threads_share_elements(both):
    x = np.random.default_rng(0).standard_normal((3, 77, 301)).astype(np.float32)
    got, want = both(lower_activation, node("Gelu"), x, threads=2)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=4e-7)


def test_gelu_through_tanh_is_small_where_the_normal_distribution_is(both):
    got, _ = both(lower_activation, node("Gelu", "tanh"), np.array([-4.5], np.float32))
    inner = math.sqrt(2 / math.pi) * (-4.5 - 0.044715 * 4.5**3)
    np.testing.assert_allclose(got, -4.5 * 0.5 * (1 + math.tanh(inner)), rtol=1e-5)


@pytest.mark.parametrize("op_type", FUNCTIONS)
@pytest.mark.parametrize("kind", [(np.dtype(np.float64), (2,)), (F32, (0, 3))], ids=["float64", "empty"])
def test_others_are_declined(op_type, kind):
    assert lower_activation(Site(node(op_type), (kind,), (kind,))) is None


KIN = [
    ("Elu", {}), ("Elu", {"alpha": 0.3}), ("Selu", {}), ("Selu", {"alpha": 1.5, "gamma": 2.0}), ("Softplus", {}), ("Mish", {}),
    ("Swish", {}), ("Swish", {"alpha": 1.7}), ("Swish", {"alpha": -1.0}),
]  # fmt: skip


@pytest.mark.parametrize(("op_type", "attributes"), KIN)
@given(count=st.integers(1, 300), spread=st.sampled_from([1e-6, 1e-3, 1, 30]), seed=st.integers(0, 99))
def test_kin(both, op_type, attributes, count, spread, seed):
    x = np.random.default_rng(seed).standard_normal(count).astype(np.float32) * np.float32(spread)
    got, want = both(lower_activation, Node(op_type, "node", ("x",), ("y",), attributes), x)
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-35)


@pytest.mark.parametrize(("op_type", "attributes"), KIN)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_kin_of_edges(both, op_type, attributes):
    x = np.append(EDGES, np.array([np.inf, -np.inf, 20, 88, 89, -87, -88, -104], np.float32))
    got, want = both(lower_activation, Node(op_type, "node", ("x",), ("y",), attributes), x)
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-35)
