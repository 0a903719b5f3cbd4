"""Winograd's method against the plain convolution, over odd sizes."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.conv.layout import Shape2D
from tersor.runtime.kernels.conv.winograd import conv as winograd
from tersor.runtime.kernels.conv.winograd import lone
from tersor.runtime.kernels.conv.winograd.conv import (
    LOOKED_AT,
    TileCut,
    WinogradConv,
    cost_winograd,
    cut_tiles,
    cut_winograd,
    fits_winograd,
    grid,
    keeps_kernels,
    winograd_weights,
)
from tersor.runtime.kernels.matrices.matrix import matrix_of
from tersor.runtime.kernels.site import PLAIN, Epilogue
from tersor.runtime.ops.conv import conv

REGISTERS = {"AVX-512": (32, 16), "AVX2": (16, 8), "NEON": (32, 4)}
LEFT_OVER = [((25, 27), 1, 5, 1), ((25, 27), 2, 16, 2), ((35, 36), 2, 6, 3)]
"""Sizes of planes with 16 n + 1 tiles; pieces, input channels of a block, and threads."""

UNBOUNDED = np.array([-np.inf, np.inf], np.float32)


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Shape2D, tuple[int, int]]:
    """A convolution of 3 x 3, and its padding at the end."""
    pads = draw(st.tuples(*[st.integers(0, 3)] * 4))
    H, W = (
        draw(st.integers(max(1, 3 - a - z), draw(st.sampled_from([6, 40])))) for a, z in zip(pads[:2], pads[2:], strict=True)
    )
    N, C, M = draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 19))
    OH, OW = H + pads[0] + pads[2] - 2, W + pads[1] + pads[3] - 2
    return Shape2D(N, C, H, W, M, OH, OW, (3, 3), begin=pads[:2]), pads[2:]


def made(tensor, shape: Shape2D, chosen: TileCut, epilogue: Epilogue = PLAIN, bounds=UNBOUNDED, threads=1) -> WinogradConv:
    """The convolution with everything chosen."""
    weights = winograd_weights(matrix_of(tensor, (0,), "w"), shape.C, chosen.T, chosen.V)
    return WinogradConv(shape, chosen, *weights, *epilogue.affine(shape.M, None), bounds, threads)


@settings(max_examples=60, deadline=None)
@given(
    geometry=geometries(),
    registers=st.sampled_from(list(REGISTERS.values())),
    code=st.sampled_from([np.uint8, np.uint16, np.float32]),
    order=st.sampled_from(["rows", "columns"]),
    density=st.sampled_from([0.3, 1.0]),
    threads=st.integers(1, 3),
    in_place=st.booleans(),
    whole=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_reference(share, pruned, carry_out, geometry, registers, code, order, density, threads, in_place, whole, seed):
    (shape, end), rng = geometry, np.random.default_rng(seed)
    w = pruned(rng, (shape.M, shape.C, 3, 3), density)
    tensor = DenseTensor.of(w) if code is np.float32 else share(w, (0,), order, code, sparse=density < 1)
    x = rng.standard_normal((shape.N, shape.C, shape.H, shape.W)).astype(np.float32)
    scale, shift = rng.standard_normal((2, shape.M))
    residual = rng.standard_normal((shape.N, shape.M, shape.OH, shape.OW)).astype(np.float32)
    want = conv.reference(x, w, pads=(*shape.begin, *end)) * scale[:, None, None] + shift[:, None, None] + residual
    bounds = np.array([-0.5, 1.5], np.float32)
    V, across = max(8, registers[1]), grid(shape)[1]
    chosen = cut_tiles(shape, registers, -(-across // V) * V if whole else across)
    kernel = made(tensor, shape, chosen, Epilogue(scale, shift), bounds, threads)
    y = residual.copy() if in_place else np.full(want.shape, np.nan, np.float32)
    carry_out(kernel, x, y, y if in_place else residual, threads)
    np.testing.assert_allclose(y, np.clip(want, -0.5, 1.5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("registers", REGISTERS.values(), ids=REGISTERS)
def test_neither_threads_nor_kept_kernels_change_a_bit_and_nothing_outside_is_written(share, pruned, carry_out, registers):
    rng = np.random.default_rng(0)
    shape = Shape2D(N=1, C=20, H=21, W=33, M=40, OH=21, OW=33, kernel=(3, 3), begin=(1, 1))
    tensor = share(pruned(rng, (40, 20, 3, 3), 1.0), (0,), "rows", np.uint8)
    x, results = rng.standard_normal((1, 20, 21, 33)).astype(np.float32), []
    for threads, most in product((1, 2, 3), (0, winograd.KERNEL_BYTES)):
        guarded = np.full(40 * 21 * 33 + 64, 7, np.float32)
        with patch.object(winograd, "KERNEL_BYTES", most):
            kernel = made(tensor, shape, cut_winograd(shape, registers), threads=threads)
            assert keeps_kernels(shape, kernel.cut) == (most > 0)
            carry_out(kernel, x, guarded[32:-32], None, threads)
        results.append(guarded)
    assert np.all(results[0][:32] == 7)
    assert np.all(results[0][-32:] == 7)
    assert {result.tobytes() for result in results} == {results[0].tobytes()}


def test_loses_a_digit_at_most(pruned, carry_out):
    rng, shape = np.random.default_rng(1), Shape2D(1, 128, 16, 16, 16, 16, 16, (3, 3), begin=(1, 1))
    w, x = pruned(rng, (16, 128, 3, 3), 1.0), np.maximum(rng.standard_normal((1, 128, 16, 16)), 0).astype(np.float32)
    exact = conv.reference(x.astype(np.float64), w.astype(np.float64), pads=(1, 1, 1, 1))
    kernel, y = made(DenseTensor.of(w), shape, cut_winograd(shape, (32, 16))), np.empty((1, 16, 16, 16), np.float32)
    carry_out(kernel, x, y, None)
    plain = conv.reference(x, w, pads=(1, 1, 1, 1))
    assert np.abs(y - exact).max() < 10 * np.abs(plain - exact).max()


@settings(max_examples=60, deadline=None)
@given(
    geometry=geometries(),
    registers=st.sampled_from(list(REGISTERS.values())),
    pieces=st.integers(1, 5),
    threads=st.integers(1, 3),
    whole=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_largest_of_two_by_two(share, pruned, carry_out, geometry, registers, pieces, threads, whole, seed):
    (shape, end), rng = geometry, np.random.default_rng(seed)
    assume(min(shape.OH, shape.OW) > 1)
    w, (OH, OW) = pruned(rng, (shape.M, shape.C, 3, 3), 0.5), (shape.OH // 2, shape.OW // 2)
    x = rng.standard_normal((shape.N, shape.C, shape.H, shape.W)).astype(np.float32)
    scale, shift = rng.standard_normal((2, shape.M))
    outputs = conv.reference(x, w, pads=(*shape.begin, *end)) * scale[:, None, None] + shift[:, None, None]
    of_each = np.clip(outputs[:, :, : 2 * OH, : 2 * OW], -0.5, 1.5).reshape(shape.N, shape.M, OH, 2, OW, 2)
    V, across = max(8, registers[1]), grid(shape)[1]
    chosen = cut_tiles(shape, registers, -(-across // V) * V if whole else across)
    chosen, tensor = replace(chosen, pieces=min(pieces, chosen.total)), share(w, (0,), "rows", np.uint8)
    kernel = made(tensor, shape, chosen, Epilogue(scale, shift), np.array([-0.5, 1.5], np.float32), threads)
    guarded = np.full(shape.N * shape.M * OH * OW + 64, 7, np.float32)
    carry_out(replace(kernel, halved=True), x, guarded[32:-32], None, threads)
    assert np.all(guarded[:32] == 7)
    assert np.all(guarded[-32:] == 7)
    want = of_each.max(axis=(3, 5))
    np.testing.assert_allclose(guarded[32:-32].reshape(want.shape), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("registers", REGISTERS.values(), ids=REGISTERS)
@pytest.mark.parametrize("code", [np.uint8, np.float32])
@pytest.mark.parametrize(("size", "pieces", "block", "threads"), LEFT_OVER)
def test_a_tile_that_whole_vectors_leave_over(share, pruned, carry_out, registers, code, size, pieces, block, threads):
    (H, W), rng = size, np.random.default_rng(2)
    shape = Shape2D(2, 11, H, W, 21, H, W, (3, 3), begin=(1, 1))
    assert lone.fits(prod(grid(shape)), max(8, registers[1]))
    w, x = pruned(rng, (21, 11, 3, 3), 1.0), rng.standard_normal((2, 11, H, W)).astype(np.float32)
    tensor = DenseTensor.of(w) if code is np.float32 else share(w, (0,), "rows", code)
    residual = rng.standard_normal((2, 21, H, W)).astype(np.float32)
    chosen = cut_tiles(shape, registers, grid(shape)[1])
    chosen = replace(chosen, pieces=pieces, block=-(-block // (chosen.V // chosen.T)) * (chosen.V // chosen.T))
    y = np.full(residual.shape, np.nan, np.float32)
    carry_out(made(tensor, shape, chosen, threads=threads), x, y, residual, threads)
    np.testing.assert_allclose(y, conv.reference(x, w, pads=(1, 1, 1, 1)) + residual, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("registers", REGISTERS.values(), ids=REGISTERS)
@given(C=st.integers(1, 600), M=st.integers(1, 600), size=st.integers(1, 230) | st.integers(1, 1 << 24))
def test_a_cut_covers_every_tile(registers, C, M, size):
    shape = Shape2D(1, C, size, size, M, size, size, (3, 3), begin=(1, 1))
    found, (down, across) = cut_winograd(shape, registers), grid(shape)
    assert found.across in (across, -(-across // found.V) * found.V)
    assert found.down == down
    assert found.V * found.total + found.left_over >= found.tiles > found.V * (found.total - 1)
    if found.pieces <= LOOKED_AT:
        runs = round(found.runs(found.V) * found.pieces)
        assert down - found.left_over <= runs <= down * -(-found.across // found.V) + found.pieces
    assert 1 <= found.pieces <= found.total
    assert max(found.counts) <= found.R
    assert found.chunk % found.T == 0
    wide = found.V // registers[1]
    assert wide * (found.T * found.R + found.R) + 1 <= registers[0]
    assert cost_winograd(shape, found, registers[1]) > 0


@pytest.mark.parametrize(("size", "channels", "across"), [(55, 16, 16), (56, 256, 14), (27, 32, 7), (224, 64, 56)])
def test_rows_are_filled_up_where_transforms_take_longer_than_products(size, channels, across):
    shape = Shape2D(1, channels, size, size, 4 * channels, size, size, (3, 3), begin=(1, 1))
    assert cut_winograd(shape, (32, 16)).across == across


@pytest.mark.parametrize(
    "change",
    [{"kernel": (3, 1)}, {"strides": (1, 2)}, {"dilations": (2, 1)}, {"groups": 2}],
    ids=lambda change: next(iter(change)),
)
def test_other_convolutions_do_not_fit(change):
    shape = Shape2D(1, 4, 8, 8, 4, 6, 6, (3, 3))
    assert fits_winograd(shape)
    assert not fits_winograd(replace(shape, **change))
