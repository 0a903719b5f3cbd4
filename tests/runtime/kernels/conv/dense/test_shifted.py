"""Small planes packed tap by tap: as they are packed position by position, bit for bit, and nothing outside is read."""

from __future__ import annotations

import sys
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.jit.host import host_registers
from tersor.runtime.kernels.conv.dense import conv as dense
from tersor.runtime.kernels.conv.dense.conv import DenseConv, cut_dense, dense_weights, with_lone
from tersor.runtime.kernels.conv.dense.shifted import MOST_SHIFTS, MOST_VECTORS, shifts_of
from tersor.runtime.kernels.conv.layout import Shape2D
from tersor.runtime.kernels.matrices.matrix import matrix_of
from tersor.runtime.kernels.site import PLAIN
from tersor.runtime.ops.conv import conv
from tersor.runtime.orders.workers import Workers

UNBOUNDED = np.array([-np.inf, np.inf], np.float32)


def made(w, shape: Shape2D, registers: tuple[int, int], threads: int = 1) -> DenseConv:
    """The convolution with everything chosen, its inputs packed as a processor's with such registers are."""
    cut = with_lone(shape, cut_dense(shape, registers, threads), registers)
    weights = dense_weights(matrix_of(DenseTensor.of(w), (0,), "w"), cut.T)
    with patch.object(dense, "host_registers", lambda: registers):
        made = DenseConv(shape, cut, *weights, *PLAIN.affine(shape.M, None), UNBOUNDED, threads)
        assert made.packer != 0  # which is chosen now
    return made


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    dilations=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    top=st.integers(0, 5),
    bottom=st.integers(0, 5),
    before=st.integers(0, 4),
    C=st.integers(1, 5),
    registers=st.sampled_from([(32, 16), (16, 8)]),
    threads=st.integers(1, 2),
)
def test_equals_what_positions_are_packed_to(carry_out, size, kernel, dilations, top, bottom, before, C, registers, threads):
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    rows, left = size[0] + top + bottom - extent[0] + 1, min(before, extent[1] - 1)
    assume(rows > 0)
    shape = Shape2D(
        N=2, C=C, H=size[0], W=size[1], M=12, OH=rows, OW=size[1], kernel=kernel, dilations=dilations, begin=(top, left)
    )
    rng, pads = np.random.default_rng(0), (top, left, bottom, extent[1] - 1 - left)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((2, C, *size), (12, C, *kernel)))
    x[0, 0, 0, 0] = np.inf
    w[0] = np.abs(w[0])
    want, results = conv.reference(x, w, dilations=dilations, pads=pads), []
    for shifted in (True, False):
        with patch.object(dense, "shifts_of", shifts_of if shifted else lambda *_: None):
            y = np.full(want.shape, np.nan, np.float32)
            carry_out(made(w, shape, registers, threads), x, y, None, threads)
            results.append(y)
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], want, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(sys.platform == "win32", reason="guard pages are made with mmap and mprotect")
@pytest.mark.parametrize("registers", [(32, 16), (16, 8)])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (4, 4), (2, 7), (5, 5)])
def test_only_planes_are_read(registers, size):
    from tests.fuzz.guard import guarded, guarded_copy

    (height, width), rng = size, np.random.default_rng(0)
    shape = Shape2D(1, 2, height, width, 8, height, width, (5, 5), begin=(2, 2))
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((1, 2, *size), (8, 2, 5, 5)))
    work, inputs, y = made(w, shape, registers), guarded_copy(x), guarded((1, 8, *size), np.float32)
    scratch = guarded(work.scratch_bytes, np.uint8)
    Workers(1).carry_out(work.order(inputs, y, None, scratch)[None])
    np.testing.assert_allclose(y, conv.reference(x, w, pads=(2, 2, 2, 2)), rtol=1e-4, atol=1e-4)


def test_large_planes_and_others_are_packed_by_position():
    V = host_registers()[1]
    small = Shape2D(N=1, C=1, H=4, W=4, M=4, OH=4, OW=4, kernel=(3, 3), begin=(1, 1))
    assert shifts_of(small, V, V) is not None
    pointwise, cut, strided = replace(small, kernel=(1, 1)), replace(small, OW=3), replace(small, strides=(1, 2))
    for other in (pointwise, cut, strided, replace(small, kernel=(MOST_SHIFTS + 1, 1))):
        assert shifts_of(other, V, V) is None
    assert shifts_of(small, V, (MOST_VECTORS + 1) * V) is None
