"""Attention to keys and values of earlier runs, by the kernel against the operator's reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.runtime.kernels.attention.lower import lower_attention
from tersor.runtime.kernels.site import Kernel, Site
from tersor.runtime.ops._registry import find_operator
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers
from tests.runtime.plan.small_graphs import check as run
from tests.runtime.plan.small_graphs import graph, kernels

from .test_lower import drawn

NAMES = ("q", "k", "v", "m", "pk", "pv")
OUTPUTS = ("y", "k2", "v2")


def heads(queries: int = 3, before: int = 4, size: int = 4, width: int = 6, shared: int = 1, mask: Any = None) -> list[Any]:
    """Queries, as many keys and values, a mask, and caches."""
    keys, values = ([drawn(2, 2, rows, elements) for rows in (queries, before)] for elements in (size, width))
    return [drawn(2, 2 * shared, queries, size), keys[0], values[0], mask, keys[1], values[1]]


def kernel_of(inputs: list[Any], outputs: tuple[str, ...] = OUTPUTS, threads: int = 1, **attributes: Any) -> Kernel | None:
    """A kernel that gives some outputs."""
    names = tuple("" if a is None else name for name, a in zip(NAMES, inputs, strict=False))
    node = Node("Attention", "node", names, outputs, attributes)
    kinds = tuple(None if a is None else (a.dtype, a.shape) for a in inputs)
    made = find_operator(node)(*inputs, **attributes)
    types = tuple((a.dtype, a.shape) for a, name in zip(made, outputs, strict=False) if name)
    return lower_attention(Site(node, kinds, types, {}, threads=threads))


def check(inputs: list[Any], outputs: tuple[str, ...] = OUTPUTS, threads: int = 1, **attributes: Any) -> None:
    """The kernel's outputs are the reference's."""
    want = find_operator(Node("Attention", "node", (), OUTPUTS))(*inputs, **attributes)
    kernel = kernel_of(inputs, outputs, threads, **attributes)
    assert kernel is not None
    got = [np.full(a.shape, np.nan, np.float32) if name else None for a, name in zip(want, outputs, strict=False)]
    scratch = aligned_bytes(kernel.scratch)
    scratch[:] = 255
    kernel.run([inputs[i] for i in kernel.reads], got, scratch, Workers(threads))
    for result, expected in zip(got, want, strict=False):
        if result is not None:
            np.testing.assert_allclose(result, expected, rtol=2e-5, atol=1e-5)


@given(
    queries=st.integers(1, 20),
    before=st.integers(0, 40),
    size=st.integers(1, 20),
    width=st.integers(1, 20),
    shared=st.sampled_from([1, 3]),
    masked=st.booleans(),
    outputs=st.sampled_from([OUTPUTS, ("y",), ("y", "k2"), ("y", "", "v2")]),
    threads=st.sampled_from([1, 2]),
    causal=st.booleans(),
)
def test_caches(queries, before, size, width, shared, masked, outputs, threads, causal):
    mask = drawn(queries, before + queries) if masked else None
    check(heads(queries, before, size, width, shared, mask), outputs, threads, is_causal=int(causal))


def test_heads_side_by_side():
    q, k, v, *_, pk, pv = heads()
    side = [a.swapaxes(1, 2).reshape(2, 3, -1) for a in (q, k, v)]
    check([*side, None, pk, pv], q_num_heads=2, kv_num_heads=2, is_causal=1)


def test_a_model_hands_on_its_caches():
    q, k, v, _, pk, pv = heads(1)
    x = {"q": q, "k": k, "v": v, "pk": pk, "pv": pv}
    nodes = [Node("Attention", "a", ("q", "k", "v", "", "pk", "pv"), OUTPUTS)]
    assert kernels(run(graph(nodes, {name: a.shape for name, a in x.items()}, OUTPUTS), x)) == ["Attention: attention of few"]


def test_what_grows_without_a_cache():
    check(heads()[:3])
    check(heads()[:3], ("y", "", "v2"))


@pytest.mark.parametrize("windows", [{"left_window_size": 2}, {"right_window_size": 0}])
def test_windows(windows):
    check(heads(), **windows)


def test_others_are_declined():
    inputs = heads()
    assert kernel_of(inputs) is not None
    assert kernel_of([*inputs[:5], None]) is None
    assert kernel_of(inputs, (*OUTPUTS, "scores")) is None
    kinds = [None if a is None else (a.dtype, a.shape) for a in inputs]
    for index, shape in ((4, (2, 2, 5, 4)), (4, (1, 2, 4, 4)), (5, (2, 2, 4, 5)), (4, (2, 4, 4))):
        changed = [*kinds[:index], (np.dtype(np.float32), shape), *kinds[index + 1 :]]
        node = Node("Attention", "node", ("q", "k", "v", "", "pk", "pv"), ("y",))
        assert lower_attention(Site(node, tuple(changed), ((inputs[0].dtype, inputs[0].shape),))) is None
