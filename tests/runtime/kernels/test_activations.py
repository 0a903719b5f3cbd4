"""Functions of one element against the references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.activations import FUNCTIONS, lower_activation
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.ops import find_operator
from tersor.runtime.orders.workers import Workers

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


STRAIGHT = [
    *(("LeakyRelu", {"alpha": alpha}) for alpha in (-0.5, 0.0, 1e-60, 0.01, 1.0, 2.0)),
    ("LeakyRelu", {}),
    ("HardSigmoid", {}),
    ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
    ("HardSigmoid", {"alpha": -1.0, "beta": 2.0}),
    ("HardSwish", {}),
]


@pytest.mark.parametrize(("op_type", "attributes"), STRAIGHT)
@given(count=st.integers(1, 300), spread=st.sampled_from([1e-6, 1e-3, 1, 30]), seed=st.integers(0, 99))
def test_straight_lines(both, op_type, attributes, count, spread, seed):
    x = np.random.default_rng(seed).standard_normal(count).astype(np.float32) * np.float32(spread)
    got, want = both(lower_activation, Node(op_type, "node", ("x",), ("y",), attributes), x)
    np.testing.assert_allclose(got, want, rtol=3e-7, atol=2e-7 * (op_type != "LeakyRelu"))


@pytest.mark.parametrize(("op_type", "attributes"), STRAIGHT)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_straight_lines_of_edges(both, op_type, attributes):
    x = np.append(EDGES, np.array([np.inf, -np.inf, 3, -3, 1e38, -1e38], np.float32))
    got, want = both(lower_activation, Node(op_type, "node", ("x",), ("y",), attributes), x)
    np.testing.assert_allclose(got, want, rtol=3e-7, atol=2e-7 * (op_type != "LeakyRelu"))


def clip(x: np.ndarray, low: object, high: object, constants: tuple[int, ...] = (1, 2), threads: int = 1) -> Kernel | None:
    """The kernel of a Clip to bounds, some of which may be ``None``."""
    bounds = [None if bound is None else np.asarray(bound, np.float32) for bound in (low, high)]
    types = ((F32, x.shape), *(None if bound is None else (F32, bound.shape) for bound in bounds))
    known = {i + 1: DenseTensor.of(a) for i, a in enumerate(bounds) if a is not None and i + 1 in constants}
    names = ("x", *("" if bound is None else f"b{i}" for i, bound in enumerate(bounds)))
    return lower_activation(Site(Node("Clip", "c", names, ("y",)), types, (types[0],), known, threads=threads))


@pytest.mark.parametrize("low", [None, -0.5, 0.0, -np.inf])
@pytest.mark.parametrize("high", [None, 0.7, -1.0, np.inf, [6.0]])
@pytest.mark.parametrize("threads", [1, 2])
def test_bounds(low, high, threads):
    x = np.append(EDGES, 3 * np.random.default_rng(0).standard_normal(50_000)).astype(np.float32)
    kernel, got = clip(x, low, high, threads=threads), np.full_like(x, 7)
    assert kernel is not None
    kernel.run([x], [got], np.zeros(0, np.uint8), Workers(threads))
    bounds = [None if bound is None else np.asarray(bound, np.float32) for bound in (low, high)]
    np.testing.assert_array_equal(got, find_operator(Node("Clip", "c", ("x",), ("y",)))(x, *bounds)[0])


def test_bounds_that_come_with_a_run_or_are_no_numbers_are_declined():
    x = np.ones(3, np.float32)
    assert clip(x, 0, 6, constants=(1,)) is None
    assert clip(x, np.nan, 6) is None
    assert clip(x, 0, [6, 7]) is None
