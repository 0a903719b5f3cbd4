"""Depthwise convolution against the plain one, over odd geometries."""

from __future__ import annotations

import sys
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.jit.host import host_registers
from tersor.runtime.kernels.conv.depthwise.conv import (
    DepthwiseConv,
    cost_depthwise,
    cut_depthwise,
    depthwise_weights,
    fits_depthwise,
)
from tersor.runtime.kernels.conv.layout import Shape2D
from tersor.runtime.kernels.conv.lower import lower_conv
from tersor.runtime.kernels.matrices.matrix import matrix_of
from tersor.runtime.kernels.site import PLAIN, Epilogue, Kernel, Site
from tersor.runtime.ops.conv import conv
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers
from tersor.runtime.plan.fusion.activation import STEEP

REGISTERS = {"AVX-512": (32, 16), "AVX2": (16, 8), "NEON": (32, 4)}
UNBOUNDED, CLIPPED = np.array([[-np.inf, np.inf], [-0.5, 1.5]], np.float32)
F32 = np.dtype(np.float32)


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Shape2D, tuple[int, ...]]:
    """A convolution that the kernel can do, and its paddings."""
    kernel = draw(st.sampled_from([1, 2, 3, 5, 7])), draw(st.integers(1, 9))
    strides = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    pads = [draw(st.integers(0, k + 1)) for k in (*kernel, *kernel)]
    padded = [sum(pads[axis::2]) for axis in range(2)]
    size = [max(1, k - p) + draw(st.integers(0, 9 + 60 * axis)) for axis, (k, p) in enumerate(zip(kernel, padded, strict=True))]
    out = [(n + p - k) // s + 1 for n, p, k, s in zip(size, padded, kernel, strides, strict=True)]
    C, each = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    shape = Shape2D(
        N=draw(st.integers(1, 2)), C=C, H=size[0], W=size[1], M=each * C, OH=out[0], OW=out[1], kernel=kernel,
        strides=strides, begin=(pads[0], pads[1]), groups=C,
    )  # fmt: skip
    return shape, tuple(pads)


def made(tensor, shape: Shape2D, registers, epilogue: Epilogue = PLAIN, bounds=UNBOUNDED, threads=1, *, added=False):
    """The convolution with everything chosen."""
    weights, tile = depthwise_weights(matrix_of(tensor, (0,), "w"), shape), cut_depthwise(shape, registers)
    return DepthwiseConv(shape, tile, weights, *epilogue.affine(shape.M, None), bounds, threads, added)


@settings(max_examples=60, deadline=None)
@given(
    geometry=geometries(),
    registers=st.sampled_from(list(REGISTERS.values())),
    code=st.sampled_from([np.uint8, np.uint16, np.float32]),
    density=st.sampled_from([0.3, 1.0]),
    threads=st.integers(1, 3),
    in_place=st.booleans(),
    added=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_reference(share, pruned, carry_out, geometry, registers, code, density, threads, in_place, added, seed):
    (shape, pads), rng = geometry, np.random.default_rng(seed)
    assert fits_depthwise(shape)
    w = pruned(rng, (shape.M, 1, *shape.kernel), density)
    tensor = DenseTensor.of(w) if code is np.float32 else share(w, (0,), "rows", code, sparse=density < 1)
    x = rng.standard_normal((shape.N, shape.C, shape.H, shape.W)).astype(np.float32)
    scale, shift = rng.standard_normal((2, shape.M))
    residual = rng.standard_normal((shape.N, shape.M, shape.OH, shape.OW)).astype(np.float32)
    want = conv.reference(x, w, strides=shape.strides, pads=pads, group=shape.C)
    want = want * scale[:, None, None] + shift[:, None, None] + (residual if added else 0)
    kernel = made(tensor, shape, registers, Epilogue(scale, shift), CLIPPED, threads, added=added)
    y = residual.copy() if added and in_place else np.full(want.shape, np.nan, np.float32)
    carry_out(kernel, x, y, None if not added else y if in_place else residual, threads)
    np.testing.assert_allclose(y, np.clip(want, -0.5, 1.5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("registers", REGISTERS.values(), ids=REGISTERS)
@pytest.mark.parametrize("stride", [1, 2])
def test_sums_are_added_column_by_column(carry_out, registers, stride):
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(size).astype(np.float32) for size in ((1, 2, 11, 37), (2, 1, 3, 3)))
    shape = Shape2D(1, 2, 11, 37, 2, (10 // stride) + 1, (36 // stride) + 1, (3, 3), (stride, stride), begin=(1, 1), groups=2)
    y = np.full((1, 2, shape.OH, shape.OW), np.nan, np.float32)
    carry_out(made(DenseTensor.of(w), shape, registers), x, y, None)
    padded, want = np.pad(x, np.array([(0, 0), (0, 0), (1, 1), (1, 1)])).astype(np.float64), np.zeros(y.shape, np.float32)
    for columns in [(0,), (1,), (2,)] if stride == 1 else [(0, 1), (2,)]:  # those that are read together
        for row, column in product(range(3), columns):
            met = padded[..., row : row + 11 : stride, column : column + 37 : stride]
            want = (met * w[:, 0, row, column].reshape(1, 2, 1, 1) + want).astype(np.float32)  # rounded once, almost always
    np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("added", [False, True])
def test_sums_pass_a_gate(carry_out, added):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 3, 9, 20)).astype(np.float32), rng.standard_normal((3, 1, 3, 3)).astype(np.float32)
    shape, y = Shape2D(1, 3, 9, 20, 3, 9, 20, (3, 3), begin=(1, 1), groups=3), np.full(x.shape, 7, np.float32)
    hard, leaky = np.array([0, 1, 1 / 6, 0.5, 0], np.float32), np.array([0.1, 1, STEEP, 0, 0], np.float32)
    value = conv.reference(x, w, pads=(1, 1, 1, 1), group=3) + (x if added else 0)
    for numbers, want in ((hard, value * np.clip(value / 6 + 0.5, 0, 1)), (leaky, np.maximum(value, value / 10))):
        work = made(DenseTensor.of(w), shape, host_registers(), bounds=numbers, added=added)
        carry_out(work, x, y, x if added else None)
        np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_stays_where_it_is_met(carry_out, strange):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 3, 9, 20)).astype(np.float32), rng.standard_normal((3, 1, 3, 3)).astype(np.float32)
    x[0, 1, 4, 19] = x[0, 1, 5, 0] = strange
    shape = Shape2D(1, 3, 9, 20, 3, 9, 20, (3, 3), begin=(1, 1), groups=3)
    y = np.full(x.shape, 7, np.float32)
    carry_out(made(DenseTensor.of(w), shape, host_registers()), x, y, None)
    np.testing.assert_allclose(y, conv.reference(x, w, pads=(1, 1, 1, 1), group=3), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(sys.platform == "win32", reason="guard pages are made with mmap and mprotect")
@pytest.mark.parametrize("registers", REGISTERS.values(), ids=REGISTERS)
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (14, 14), (5, 33), (1, 70)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("added", [False, True])
def test_only_arrays_are_read_and_written(registers, size, stride, added):
    from tests.fuzz.guard import guarded, guarded_copy

    rng, kernel = np.random.default_rng(0), (min(3, size[0] + 2), 5)
    x, w = rng.standard_normal((1, 3, *size)).astype(np.float32), rng.standard_normal((3, 1, *kernel)).astype(np.float32)
    want = conv.reference(x, w, strides=(stride, stride), pads=(1, 2, 1, 2), group=3)
    (height, width), (OH, OW) = size, want.shape[2:]
    shape = Shape2D(1, 3, height, width, 3, OH, OW, kernel, (stride, stride), begin=(1, 2), groups=3)
    inputs, y = guarded_copy(x), guarded(want.shape, np.float32)
    residual = guarded_copy(rng.standard_normal(y.shape).astype(np.float32)) if added else None
    work = made(DenseTensor.of(w), shape, registers, added=added)
    Workers(1).carry_out(work.order(inputs, y, residual, np.zeros(0, np.uint8))[None])
    np.testing.assert_allclose(y, want + (0 if residual is None else residual), rtol=1e-4, atol=1e-4)


def lowered(w, shape: tuple[int, ...], threads=1, **attributes) -> Kernel:
    x = np.zeros(shape, np.float32)
    want = conv.reference(x, w, **attributes)
    node = Node("Conv", "c", ("x", "w"), ("y",), attributes)
    kernel = lower_conv(
        Site(node, ((F32, shape), (F32, w.shape)), ((F32, want.shape),), {1: DenseTensor.of(w)}, threads=threads)
    )
    assert kernel is not None
    return kernel


@pytest.mark.parametrize(
    ("size", "kernel", "attributes"),
    [
        ((2, 96), (5, 5), {"pads": (2, 2, 2, 2)}),
        ((112, 112), (3, 3), {"pads": (1, 1, 1, 1), "strides": (2, 2)}),
        ((7, 7), (3, 3), {"pads": (1, 1, 1, 1)}),
        ((512,), (5,), {"pads": (2, 2)}),
        ((512, 1), (5, 1), {"pads": (2, 0, 2, 0), "dilations": (1, 3)}),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_chosen_where_channels_do_not_mix(size, kernel, attributes, threads):
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((1, 32, *size), (32, 1, *kernel)))
    found = lowered(w, x.shape, threads, group=32, **attributes)
    assert found.name.startswith("conv depthwise")
    want = conv.reference(x, w, group=32, **attributes)
    y = np.full(want.shape, np.nan, np.float32)
    found.run([x], [y], aligned_bytes(found.scratch), Workers(threads))
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "change", [{"dilations": (2, 1)}, {"dilations": (1, 2)}, {"kernel": (8, 1)}, {"groups": 2}, {"strides": (1, 3)}]
)
def test_what_it_cannot_do_is_left_to_others(change):
    given = {"N": 1, "C": 4, "H": 30, "W": 30, "M": 4, "OH": 10, "OW": 10, "kernel": (3, 3), "groups": 4}
    assert fits_depthwise(Shape2D(**given))
    assert not fits_depthwise(Shape2D(**given | change))


def test_a_column_has_any_dilation_across():
    given: dict[str, Any] = {"N": 1, "C": 4, "H": 30, "W": 30, "M": 4, "OH": 10, "OW": 10, "dilations": (1, 2), "groups": 4}
    assert fits_depthwise(Shape2D(**given, kernel=(3, 1)))
    assert not fits_depthwise(Shape2D(**given, kernel=(3, 2)))


def test_rows_too_long_to_be_counted_are_left_to_others():
    given: dict[str, Any] = {"N": 1, "C": 1, "H": 1, "M": 1, "OH": 1, "kernel": (1, 1), "groups": 1}
    assert fits_depthwise(Shape2D(**given, W=(1 << 28) - 1, OW=9))
    assert not fits_depthwise(Shape2D(**given, W=1 << 28, OW=9))
    assert not fits_depthwise(Shape2D(**given, W=9, OW=1 << 28))


def plane(size: tuple[int, int], kernel: tuple[int, int], stride: int, **others: Any) -> Shape2D:
    """A convolution whose padding leaves its size as it is, but for the stride."""
    OH, OW = (-(-n // stride) for n in size)
    begin = (kernel[0] - 1) // 2, (kernel[1] - 1) // 2
    given: dict[str, Any] = {"N": 1, "C": 32, "H": size[0], "W": size[1], "M": 32, "OH": OH, "OW": OW, "groups": 32, **others}
    return Shape2D(**given, kernel=kernel, strides=(stride, stride), begin=begin)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "tiles"),
    [
        ((112, 112), 3, 1, [(4, 2, 16), (4, 2, 8), (4, 2, 4)]),
        ((112, 112), 3, 2, [(4, 2, 16), (3, 2, 8), (4, 2, 4)]),
        ((28, 28), 5, 1, [(4, 2, 16), (4, 2, 8), (4, 2, 4)]),
        ((14, 14), 3, 1, [(7, 1, 16), (4, 2, 8), (4, 2, 4)]),
        ((7, 7), 3, 1, [(7, 1, 8), (7, 1, 8), (4, 2, 4)]),
        ((4, 4), 3, 1, [(4, 1, 4), (4, 1, 4), (4, 1, 4)]),
        ((1, 40), 1, 1, [(1, 3, 16), (1, 4, 8), (1, 4, 4)]),
        ((2, 100), 1, 1, [(2, 2, 16), (2, 2, 8), (2, 2, 4)]),
    ],
)
def test_tiles_are_those_that_were_the_fastest(size, kernel, stride, tiles):
    found = [cut_depthwise(plane(size, (kernel, kernel), stride), registers) for registers in REGISTERS.values()]
    assert [(tile.rows, tile.vectors, tile.lanes) for tile in found] == tiles


def test_padding_is_left_out_where_a_tile_has_all_rows():
    tile = cut_depthwise(plane((7, 7), (7, 7), 1), (32, 16))
    assert (tile.first, tile.last) == (3, 10)


@pytest.mark.parametrize(
    "larger", [plane((14, 14), (5, 3), 1), plane((14, 14), (3, 5), 1), plane((15, 14), (3, 3), 1), plane((14, 33), (3, 3), 1),
               plane((14, 14), (3, 3), 1, N=2)]
)  # fmt: skip
def test_more_work_costs_more(larger):
    costs = [cost_depthwise(shape, cut_depthwise(shape, (32, 16))) for shape in (plane((14, 14), (3, 3), 1), larger)]
    assert 0 < costs[0] < costs[1] < 5 * costs[0]


@pytest.mark.parametrize("registers", REGISTERS.values(), ids=REGISTERS)
@given(geometry=geometries(), threads=st.integers(1, 9))
def test_tiles_have_registers(registers, geometry, threads):
    (count, width), (shape, _) = registers, geometry
    tile = cut_depthwise(shape, registers)
    assert tile.rows * tile.vectors == 1 or tile.rows * tile.vectors + tile.across * tile.height < count
    assert 4 <= tile.lanes <= width
    alone = cost_depthwise(shape, tile)
    assert 0 < alone / threads <= 1.001 * cost_depthwise(shape, tile, threads) <= 1.002 * alone
