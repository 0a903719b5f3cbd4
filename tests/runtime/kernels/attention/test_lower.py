"""Attention by the kernel against the operator's reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Graph, Node, TensorType, Value
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.attention import attend
from tersor.runtime.kernels.attention.lower import lower_attention
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.model import Model
from tersor.runtime.ops import find_operator
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers

RNG = np.random.default_rng(0)


def drawn(*shape: int) -> np.ndarray:
    """Normally distributed numbers."""
    return RNG.standard_normal(shape).astype(np.float32)


def heads(queries: int = 5, keys: int = 7, size: int = 4, batch: int = 2, count: int = 2) -> list[np.ndarray]:
    """Queries, keys and values."""
    return [drawn(batch, count, rows, size) for rows in (queries, keys, keys)]


def kernel_of(inputs: list[np.ndarray], *, constant: bool = False, threads: int = 1, **attributes: Any) -> Kernel | None:
    """A kernel for inputs, of which the mask may be ``constant``."""
    kinds = tuple((a.dtype, a.shape) for a in inputs)
    node = Node("Attention", "node", tuple("qkvmpr"[: len(inputs)]), ("y",), attributes)
    outputs = find_operator(node)(*inputs, **attributes)[:1]
    constants = {3: DenseTensor.of(inputs[3])} if constant else {}
    return lower_attention(Site(node, kinds, tuple((a.dtype, a.shape) for a in outputs), constants, threads=threads))


def check(inputs: list[np.ndarray], *, constant: bool = False, threads: int = 1, **attributes: Any) -> np.ndarray:
    """The kernel's result, which is the reference's, with scratch memory full of NaN."""
    want = find_operator(Node("Attention", "node", (), ("y",)))(*inputs, **attributes)[0]
    kernel = kernel_of(inputs, constant=constant, threads=threads, **attributes)
    assert kernel is not None
    got, scratch = np.full(want.shape, np.nan, np.float32), aligned_bytes(kernel.scratch)
    scratch[:] = 255
    kernel.run([inputs[i] for i in kernel.reads], [got], scratch, Workers(threads))
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-5)
    return got


@pytest.fixture(params=[0, 99], ids=["many", "few"], autouse=True)
def queries_that_are_few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test by the kernel for many queries, and by that for few."""
    monkeypatch.setattr("tersor.runtime.kernels.attention.lower.FEW", request.param)


@given(
    queries=st.integers(1, 120),
    keys=st.integers(1, 70),
    size=st.integers(1, 40),
    width=st.integers(1, 20),
    shared=st.sampled_from([1, 3]),
    threads=st.sampled_from([1, 2]),
    causal=st.booleans(),
)
def test_heads(queries, keys, size, width, shared, threads, causal):
    inputs = [drawn(2, 2 * shared, queries, size), drawn(2, 2, keys, size), drawn(2, 2, keys, width)]
    check(inputs, threads=threads, is_causal=int(causal))


@given(
    mask=st.sampled_from([(5, 7), (1, 7), (2, 5, 7), (1, 5, 7), (2, 2, 5, 7), (2, 1, 1, 7), (1, 2, 5, 7)]),
    boolean=st.booleans(),
    constant=st.booleans(),
    causal=st.booleans(),
    windows=st.sampled_from([{}, {"left_window_size": 1}, {"right_window_size": 0, "left_window_size": 2}]),
)
def test_masks(mask, boolean, constant, causal, windows):
    values = drawn(*mask)
    check([*heads(), values > 0 if boolean else values], constant=constant, is_causal=int(causal), **windows)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("of_queries", "of_keys"), [(4, 4), (4, 2), (6, 1)])
def test_heads_side_by_side(of_queries, of_keys, threads):
    inputs = [drawn(2, 9, of_queries * 5), drawn(2, 8, of_keys * 5), drawn(2, 8, of_keys * 3)]
    check(inputs, threads=threads, q_num_heads=of_queries, kv_num_heads=of_keys, scale=0.3)


@pytest.mark.parametrize(("scores", "panel"), [(1, 4096), (1, 24 << 10), (1 << 20, 4096)])
def test_few_bytes_hold_scores_and_panels(monkeypatch, scores, panel):
    monkeypatch.setattr(attend, "SCORES_BYTES", scores)
    monkeypatch.setattr(attend, "PANEL_BYTES", panel)
    check([*heads(130, 90, 70), drawn(130, 90)], threads=2)


def test_one_head_is_shared_by_threads():
    check(heads(400, 50, 16, 1, 1), threads=2)


def test_a_query_that_sees_no_key_gives_zeros():
    mask = np.ones((2, 1, 5, 7), bool)
    mask[1, 0, 3] = False
    inputs = [*heads(), mask]
    inputs[1][1, 0, 2] = np.nan
    np.testing.assert_array_equal(check(inputs)[1, :, 3], 0)


@pytest.mark.parametrize("which", [0, 1, 2, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.finfo(np.float32).min])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_numbers_that_are_none_go_where_the_reference_has_them(which, value):
    inputs = [*heads(), drawn(2, 2, 5, 7)]
    inputs[which][1, 0, 2, 1] = value
    check(inputs)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_scores_that_are_all_infinite_give_nan():
    q, k, v = heads()
    q[0, 0, 1], k[0, 0] = -np.inf, 1
    assert np.isnan(check([q, k, v])[0, 0, 1]).all()


def test_others_are_declined():
    inputs = heads()
    assert kernel_of(inputs) is not None
    assert kernel_of(inputs, softcap=2.0) is None
    assert kernel_of(inputs, softmax_precision=10) is None
    assert kernel_of([a.astype(np.float64) for a in inputs]) is None
    assert kernel_of([*inputs, drawn(5, 6)]) is None
    assert kernel_of([*inputs, drawn(5, 7).astype(np.float64)]) is None
    assert kernel_of([inputs[0], inputs[1][:1], inputs[2][:1]]) is None
    assert kernel_of([inputs[0][:, :, :0], *inputs[1:]]) is None


def test_scores_that_are_read_are_left_to_the_reference():
    kind = np.dtype(np.float32), (2, 2, 5, 4)
    node = Node("Attention", "node", ("q", "k", "v"), ("y", "", "", "scores"))
    assert lower_attention(Site(node, (kind,) * 3, (kind,) * 4)) is None


@pytest.mark.parametrize("queries", [16, 32, 47, 64, 128])
@pytest.mark.parametrize(("size", "width"), [(16, 4), (32, 31), (48, 64)])
def test_whole_tiles_of_queries_and_values(queries, size, width):
    check([drawn(2, 3, queries, size), drawn(2, 3, 21, size), drawn(2, 3, 21, width)], scale=0.3)


@pytest.mark.parametrize("mask", [(), (5, 7), (2, 1, 1, 7), (1, 2, 5, 7)])
def test_inputs_of_a_model_are_read_where_they_are_in_each_run(mask):
    shapes = {name: a.shape for name, a in zip("qkv", heads(), strict=True)} | ({"m": mask} if mask else {})
    values = tuple(Value(name, TensorType("float32", shape)) for name, shape in shapes.items())
    node = Node("Attention", "node", tuple(shapes), ("y",))
    with Model(Graph("g", values, (Value("y", TensorType("float32", None)),), (node,), {}, {}), threads=1) as model:
        for _ in range(4):
            inputs = {name: drawn(*shape) for name, shape in shapes.items()}
            want = find_operator(node)(*inputs.values())[0]
            np.testing.assert_allclose(model.run(inputs)["y"], want, rtol=2e-5, atol=1e-5)
        assert all(step.kernel.orders is not None for step in model.plan().steps)
