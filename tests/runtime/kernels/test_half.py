"""Convolutions and products of float16 on float32's kernels, beside the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.conv.lower import lower_conv
from tersor.runtime.kernels.half import lower_half
from tersor.runtime.kernels.matrices.fully_connected import lower_gemm, lower_matmul
from tersor.runtime.kernels.site import Epilogue, Site
from tersor.runtime.ops.conv import conv
from tersor.runtime.ops.gemm import gemm
from tersor.runtime.ops.matmul import matmul
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers

CASES = {
    "of a row": ((2, 24, 1, 13), (16, 24, 1, 5), {"pads": (0, 2, 0, 2)}),
    "of a plane": ((1, 8, 9, 7), (12, 8, 3, 3), {"pads": (1, 1, 1, 1)}),
    "of a point": ((1, 16, 5, 5), (8, 16, 1, 1), {}),
    "of one channel each": ((1, 8, 9, 9), (8, 1, 3, 3), {"group": 8}),
    "that covers its input": ((3, 8, 3, 3), (6, 8, 3, 3), {}),
}


def site_of(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, y: np.ndarray, attributes: dict[str, Any]) -> Site:
    present = [array for array in (x, w, b) if array is not None]
    node = Node("Conv", "c", ("x", "w", "b")[: len(present)], ("y",), attributes)
    constants = {index: DenseTensor.of(array) for index, array in enumerate(present) if index}
    return Site(node, tuple((a.dtype, a.shape) for a in present), ((y.dtype, y.shape),), constants)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_convolutions(case, biased):
    x_shape, w_shape, attributes = CASES[case]
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(x_shape).astype(np.float16), rng.standard_normal(w_shape).astype(np.float16)
    b = rng.standard_normal(w_shape[0]).astype(np.float16) if biased else None
    want = conv.reference(x, w, b, **attributes)
    kernel = lower_half(site_of(x, w, b, want, attributes), lower_conv)
    assert kernel is not None
    got = np.full_like(want, 7)
    inputs = [x]
    for _ in range(2):
        kernel.run(inputs, [got], aligned_bytes(kernel.scratch), Workers(1))
        np.testing.assert_allclose(got.astype(np.float32), want.astype(np.float32), rtol=2e-3, atol=4e-3)


PRODUCTS = {
    "Gemm": (gemm.reference, lower_gemm, (5, 12), (9, 12), {"transB": 1}),
    "MatMul": (matmul.reference, lower_matmul, (2, 3, 12), (12, 9), {}),
    "MatMul of stacks": (matmul.reference, lower_matmul, (2, 3, 12), (2, 12, 9), {}),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products(case):
    reference, lower, a_shape, b_shape, attributes = PRODUCTS[case]
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(a_shape).astype(np.float16), rng.standard_normal(b_shape).astype(np.float16)
    want = reference(a, b, **attributes)
    constants = {1: DenseTensor.of(b)} if b.ndim == 2 else {}
    node = Node(case.split()[0], "p", ("a", "b"), ("y",), attributes)
    types = (a.dtype, a.shape), (b.dtype, b.shape)
    kernel = lower_half(Site(node, types, ((want.dtype, want.shape),), constants), lower)
    assert kernel is not None
    got = np.full_like(want, 7)
    kernel.run([(a, b)[index] for index in kernel.reads], [got], aligned_bytes(kernel.scratch), Workers(1))
    np.testing.assert_allclose(got.astype(np.float32), want.astype(np.float32), rtol=2e-3, atol=4e-3)


def test_what_is_not_all_float16_or_has_no_kernel_is_declined():
    x, w, b = np.ones((1, 4, 6, 6), np.float16), np.ones((4, 4, 3, 3), np.float16), np.ones(4, np.float16)
    y = conv.reference(x, w, b)
    whole = site_of(x, w, b, y, {})
    assert lower_half(whole, lower_conv) is not None
    assert lower_half(whole, lambda site: None) is None
    assert lower_half(replace(whole, epilogue=Epilogue(residual="r")), lower_conv) is None
    assert lower_half(site_of(x.astype(np.float32), w.astype(np.float32), None, y.astype(np.float32), {}), lower_conv) is None
    assert lower_half(site_of(x.astype(np.float64), w, b, y, {}), lower_conv) is None
