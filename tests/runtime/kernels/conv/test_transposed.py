"""Transposed convolutions by kernels, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tersor.format_spec.errors import PlanError
from tersor.format_spec.graph import Node, Tensor
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.site import PLAIN, Epilogue, Kernel, Site
from tersor.runtime.ops.conv_transpose import conv_transpose, lower
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers
from tersor.runtime.plan.reference import apply_epilogue

F32 = np.dtype(np.float32)


def lowered(
    x: np.ndarray, weights: Tensor, bias: np.ndarray | None, want: np.ndarray, epilogue: Epilogue, threads: int, **given: Any
) -> Kernel | None:
    node = Node("ConvTranspose", "c", ("x", "w", "b")[: 2 + (bias is not None)], ("y",), given)
    types = [(F32, x.shape), (weights.dtype, weights.shape), *([] if bias is None else [(F32, bias.shape)])]
    constants = {1: weights, **({} if bias is None else {2: DenseTensor.of(bias)})}
    return lower(Site(node, tuple(types), ((F32, want.shape),), constants, epilogue, threads))


def assert_equal(
    x: np.ndarray,
    weights: Tensor,
    bias: np.ndarray | None = None,
    epilogue: Epilogue = PLAIN,
    residual: np.ndarray | None = None,
    threads: int = 1,
    **given: Any,
) -> Kernel:
    node = Node("ConvTranspose", "c", (), (), given)
    want = apply_epilogue(conv_transpose.reference(x, weights.dense(), bias, **given), node, epilogue, residual)
    kernel = lowered(x, weights, bias, want, epilogue, threads, **given)
    assert kernel is not None
    got = np.full(want.shape, np.nan, np.float32)
    kernel.run([x] if residual is None else [x, residual], [got], aligned_bytes(kernel.scratch), Workers(threads))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    return kernel


@st.composite
def geometries(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """(size of inputs, of the kernel, attributes)."""
    rank = draw(st.integers(1, 2))

    def each(numbers: st.SearchStrategy[int]) -> tuple[int, ...]:
        return tuple(draw(st.lists(numbers, min_size=rank, max_size=rank)))

    size, kernel = each(st.integers(1, 12)), each(st.integers(1, 6))
    strides = tuple(draw(st.integers(1, k)) for k in kernel)
    dilations = tuple(draw(st.integers(1, 3)) if s == 1 else 1 for s in strides)
    given = {"strides": strides, "dilations": dilations, "pads": each(st.integers(0, 3)) + each(st.integers(0, 3))}
    given["output_padding"] = tuple(draw(st.integers(0, s - 1)) for s in strides)
    if draw(st.booleans()):
        given |= {"auto_pad": draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER"]))}
        del given["pads"]
    return size, kernel, given


FORMS = ("dense", "rows", "columns", "all rows", "all columns")


@settings(max_examples=150, deadline=None)
@given(
    geometries(),
    st.sampled_from([1, 2, 3]),
    st.integers(1, 9),
    st.integers(1, 5),
    st.sampled_from(FORMS),
    st.booleans(),
    st.integers(1, 2),
    st.integers(0, 99),
)
def test_against_the_reference(share, pruned, geometry, groups, inputs, outputs, form, biased, count, seed):
    size, kernel, given = geometry
    rng = np.random.default_rng(seed)
    w = pruned(rng, (inputs * groups, outputs, *kernel), 0.6)
    x = rng.standard_normal((count, inputs * groups, *size)).astype(np.float32)
    order = "columns" if form.endswith("columns") else "rows"
    weights = DenseTensor.of(w) if form == "dense" else share(w, (1,), order, np.uint8, sparse=not form.startswith("all"))
    bias = rng.standard_normal(outputs * groups).astype(np.float32) if biased else None
    try:
        want = conv_transpose.reference(x, w, **given, group=groups)
    except (PlanError, ValueError):
        assume(False)
    assume(want.size)
    assert_equal(x, weights, bias, group=groups, **given)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 1)])
@pytest.mark.parametrize("low", [-np.inf, 0.0])
@pytest.mark.parametrize("added", [False, True])
def test_what_follows_is_done_as_well(threads, strides, low, added):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 24, 40, 36)).astype(np.float32)
    w, b = rng.standard_normal((24, 16, 3, 3)).astype(np.float32), rng.standard_normal(16).astype(np.float32)
    given = {"strides": strides, "pads": (1, 1, 1, 1)}
    scale, shift = rng.standard_normal((2, 16))
    residual = rng.standard_normal(conv_transpose.reference(x, w, **given).shape).astype(np.float32) if added else None
    epilogue = Epilogue(scale, shift, "r" if added else "", low, 4.0)
    assert_equal(x, DenseTensor.of(w), b, epilogue, residual, threads, **given)


def test_codebooks_without_room_for_a_zero_stay_codes(share):
    rng = np.random.default_rng(0)
    w = rng.permutation(np.arange(1, 257).repeat(9)).reshape(16, 16, 3, 3).astype(np.float32) / 256
    x = rng.standard_normal((1, 16, 20, 20)).astype(np.float32)
    kernel = assert_equal(x, share(w, (1,), "rows", np.uint8), strides=(2, 2))
    assert "fp32" not in kernel.name


@pytest.mark.parametrize(
    ("size", "kernel", "given"),
    [
        ((8,), (2,), {"strides": (3,)}),
        ((8,), (3,), {"strides": (2,), "dilations": (2,)}),
        ((4, 4, 4), (2, 2, 2), {"strides": (2, 2, 2)}),
    ],
)
def test_others_are_left_to_the_reference(size, kernel, given):
    x, w = np.ones((1, 2, *size), np.float32), np.ones((2, 3, *kernel), np.float32)
    want = conv_transpose.reference(x, w, **given)
    assert lowered(x, DenseTensor.of(w), None, want, PLAIN, 1, **given) is None


def test_weights_that_are_no_float32_are_left_to_the_reference():
    x, w = np.ones((1, 2, 4, 4), np.float32), np.ones((2, 3, 2, 2), np.uint8)
    want = conv_transpose.reference(x, w)
    assert lowered(x, DenseTensor.of(w), None, want, PLAIN, 1) is None
