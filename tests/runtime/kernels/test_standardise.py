"""Rows normalised by their own statistics, against the references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.site import Site
from tersor.runtime.kernels.standardise import lower_standardise, lower_standardise_channels
from tersor.runtime.ops import find_operator
from tersor.runtime.orders.workers import Workers

OPERATORS = ["LayerNormalization", "RMSNormalization"]


def site_of(node: Node, *inputs: np.ndarray, constant: bool = True, threads: int = 1) -> Site:
    """The site of ``node``, of which all inputs but the first are constant."""
    kinds = tuple((a.dtype, a.shape) for a in inputs)
    constants = {i: DenseTensor.of(a) for i, a in enumerate(inputs) if i} if constant else {}
    return Site(node, kinds, (kinds[0],) * len(node.outputs), constants, threads=threads)


def node_of(op_type: str, outputs: tuple[str, ...] = ("y",), **attributes: Any) -> Node:
    """A node that is told its factors."""
    return Node(op_type, "node", ("x", "scale", "shift")[: 2 + (op_type == "LayerNormalization")], outputs, attributes)


def both(node: Node, *inputs: np.ndarray, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """What the kernel makes of the inputs, and what the reference does."""
    kernel = lower_standardise(site_of(node, *inputs, threads=threads))
    assert kernel is not None
    got = np.full_like(inputs[0], np.nan)
    kernel.run([inputs[0]], [got], np.zeros(0, np.uint8), Workers(threads))
    return got, find_operator(node)(*inputs, **node.attributes)[0]


def drawn(op_type: str, shape: tuple[int, ...], tail: tuple[int, ...], offset: float = 0) -> list[np.ndarray]:
    """Random input and factors."""
    rng = np.random.default_rng(0)
    shapes = (shape, tail, tail)[: 2 + (op_type == "LayerNormalization")]
    arrays = [rng.standard_normal(s).astype(np.float32) for s in shapes]
    arrays[0] += np.float32(offset)
    return arrays


@pytest.mark.parametrize("op_type", OPERATORS)
@given(
    rows=st.integers(1, 5), elements=st.integers(1, 200), offset=st.sampled_from([0, 10]), epsilon=st.sampled_from([1e-5, 0.1])
)
def test_rows(op_type, rows, elements, offset, epsilon):
    got, want = both(node_of(op_type, epsilon=epsilon), *drawn(op_type, (rows, elements), (elements,), offset))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("op_type", OPERATORS)
@pytest.mark.parametrize("axis", [0, 1, -2])
def test_several_axes(op_type, axis):
    shape = (3, 4, 5)
    got, want = both(node_of(op_type, axis=axis), *drawn(op_type, shape, shape[axis:]))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_threads_share_rows():
    got, want = both(node_of("LayerNormalization"), *drawn("LayerNormalization", (64, 1100), (1100,)), threads=2)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_no_shift():
    node = Node("LayerNormalization", "node", ("x", "scale"), ("y",))
    got, want = both(node, *drawn("RMSNormalization", (2, 33), (33,)))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_others_are_declined():
    inputs = drawn("LayerNormalization", (2, 3, 4), (4,))
    node = node_of("LayerNormalization")
    assert lower_standardise(site_of(node, *inputs)) is not None
    assert lower_standardise(site_of(node, *inputs, constant=False)) is None
    assert lower_standardise(site_of(node, inputs[0], inputs[1][:1], inputs[2])) is None
    assert lower_standardise(site_of(node, inputs[0][:0], *inputs[1:])) is None
    assert lower_standardise(site_of(node, *(a.astype(np.float64) for a in inputs))) is None
    assert lower_standardise(site_of(node_of("LayerNormalization", ("y", "mean")), *inputs)) is None
    assert lower_standardise(site_of(node_of("LayerNormalization", stash_type=11), *inputs)) is None


def check_channels(node: Node, x: np.ndarray, threads: int = 1) -> None:
    """Random factors of channels."""
    inputs = x, *np.random.default_rng(1).standard_normal((2, x.shape[1])).astype(np.float32)
    kernel = lower_standardise_channels(site_of(node, *inputs, threads=threads))
    assert kernel is not None
    got = np.full_like(x, np.nan)
    kernel.run([x], [got], np.zeros(0, np.uint8), Workers(threads))
    want = find_operator(node)(*inputs, **node.attributes)[0]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


INSTANCES = Node("InstanceNormalization", "node", ("x", "scale", "shift"), ("y",), {"epsilon": 1e-3})


def groups_of(count: int, **attributes: Any) -> Node:
    """A node that normalises ``count`` groups."""
    return Node("GroupNormalization", "node", ("x", "scale", "shift"), ("y",), {"num_groups": count, **attributes})


@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 4),
    groups=st.integers(0, 3),
    spatial=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    offset=st.sampled_from([0, 10]),
    threads=st.sampled_from([1, 2]),
)
def test_instances_and_groups(batch, channels, groups, spatial, offset, threads):
    node = groups_of(groups, epsilon=1e-3) if groups else INSTANCES
    shape = batch, channels * max(1, groups), *spatial
    check_channels(node, np.random.default_rng(0).standard_normal(shape).astype(np.float32) + np.float32(offset), threads)


def test_threads_share_planes():
    check_channels(INSTANCES, np.random.default_rng(0).standard_normal((2, 8, 70, 71)).astype(np.float32), threads=2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("node", [INSTANCES, groups_of(2)], ids=["instances", "groups"])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_what_is_no_number_spoils_its_row_alone(node, value):
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 6)).astype(np.float32)
    x[1, 2, 3, 4] = value
    check_channels(node, x)


def test_other_instances_and_groups_are_declined():
    x, scale, shift = drawn("LayerNormalization", (2, 4, 5), (4,))
    assert lower_standardise_channels(site_of(INSTANCES, x, scale, shift)) is not None
    assert lower_standardise_channels(site_of(INSTANCES, x, scale, shift, constant=False)) is None
    assert lower_standardise_channels(site_of(INSTANCES, x[:0], scale, shift)) is None
    assert lower_standardise_channels(site_of(INSTANCES, *(a.astype(np.float64) for a in (x, scale, shift)))) is None
    assert lower_standardise_channels(site_of(groups_of(3), x, scale, shift)) is None
    assert lower_standardise_channels(site_of(groups_of(2, stash_type=11), x, scale, shift)) is None
