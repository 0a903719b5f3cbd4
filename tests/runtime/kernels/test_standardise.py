"""Rows normalised by their own statistics, against the references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.standardise import lower_standardise
from tersor.runtime.ops._registry import find_operator
from tersor.runtime.plan.step import Site
from tersor.runtime.plan.workers import Workers

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
