"""Convolution by polyphase components against the plain one, over odd geometries."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.jit.host import host_registers
from tersor.runtime.kernels.conv.layout import Shape2D
from tersor.runtime.kernels.conv.lower import lower_conv
from tersor.runtime.kernels.conv.polyphase.conv import (
    PACKED_BYTES,
    PolyphaseConv,
    cost_polyphase,
    cut_polyphase,
    fits_polyphase,
    packed_floats,
    polyphase_weights,
)
from tersor.runtime.kernels.matrices.matrix import matrix_of
from tersor.runtime.kernels.site import PLAIN, Epilogue, Site
from tersor.runtime.kernels.tiles.cut import Cut
from tersor.runtime.ops.conv import conv
from tersor.runtime.orders.workers import Workers

REGISTERS = {"AVX-512": (32, 16), "AVX2": (16, 8), "NEON": (32, 4)}
UNBOUNDED, CLIPPED = np.array([[-np.inf, np.inf], [-0.5, 1.5]], np.float32)
F32 = np.dtype(np.float32)


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Shape2D, tuple[int, int]]:
    """A convolution that the method can do, and its padding at the end."""
    stride = draw(st.integers(1, 4))
    kernel = draw(st.integers(1, 4)), draw(st.integers(2 * stride + 1, 3 * stride + 4))
    strides, dilations = (draw(st.integers(1, 3)), stride), (draw(st.integers(1, 3)), 1)
    out = draw(st.integers(1, 9)), 2 * draw(st.integers(1, 40))
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    begin = draw(st.integers(0, min(3, extent[0] - 1))), draw(st.integers(0, extent[1] - 1))
    inputs = [(n - 1) * s + e - b for n, s, e, b in zip(out, strides, extent, begin, strict=True)]
    end = draw(st.integers(0, min(3, inputs[0] - 1))), draw(st.integers(0, min(3, inputs[1] - 1)))
    size = [n - z for n, z in zip(inputs, end, strict=True)]
    shape = Shape2D(
        N=draw(st.integers(1, 2)), C=draw(st.integers(1, 4)), H=size[0], W=size[1], M=draw(st.integers(1, 35)),
        OH=out[0], OW=out[1], kernel=kernel, strides=strides, dilations=dilations, begin=begin,
    )  # fmt: skip
    return shape, end


def made(tensor, shape: Shape2D, cut: Cut, epilogue: Epilogue = PLAIN, bounds=UNBOUNDED, threads=1) -> PolyphaseConv:
    """The convolution with everything chosen."""
    weights = polyphase_weights(matrix_of(tensor, (0,), "w"), shape, cut.T)
    return PolyphaseConv(shape, cut, weights, None, *epilogue.affine(shape.M, None), bounds, threads)


@settings(max_examples=60, deadline=None)
@given(
    geometry=geometries(),
    registers=st.sampled_from(list(REGISTERS.values())),
    code=st.sampled_from([np.uint8, np.uint16, np.float32]),
    order=st.sampled_from(["rows", "columns"]),
    density=st.sampled_from([0.3, 1.0]),
    pieces=st.integers(1, 4),
    threads=st.integers(1, 3),
    in_place=st.booleans(),
    added=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_reference(
    share, pruned, carry_out, geometry, registers, code, order, density, pieces, threads, in_place, added, seed
):
    (shape, end), rng = geometry, np.random.default_rng(seed)
    assert fits_polyphase(shape, registers)
    w = pruned(rng, (shape.M, shape.C, *shape.kernel), density)
    tensor = DenseTensor.of(w) if code is np.float32 else share(w, (0,), order, code, sparse=density < 1)
    x = rng.standard_normal((shape.N, shape.C, shape.H, shape.W)).astype(np.float32)
    scale, shift = rng.standard_normal((2, shape.M))
    residual = rng.standard_normal((shape.N, shape.M, shape.OH, shape.OW)).astype(np.float32)
    attributes = {"strides": shape.strides, "dilations": shape.dilations, "pads": (*shape.begin, *end)}
    want = conv.reference(x, w, **attributes) * scale[:, None, None] + shift[:, None, None] + (residual if added else 0)
    cut = cut_polyphase(shape, registers, threads)
    cut = replace(cut, pieces=min(max(pieces, cut.pieces), cut.total))
    kernel = made(tensor, shape, cut, Epilogue(scale, shift), CLIPPED, threads)
    y = residual.copy() if added and in_place else np.full(want.shape, np.nan, np.float32)
    carry_out(kernel, x, y, None if not added else y if in_place else residual, threads)
    np.testing.assert_allclose(y, np.clip(want, -0.5, 1.5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("registers", REGISTERS.values(), ids=REGISTERS)
def test_threads_change_no_bit(share, pruned, carry_out, registers):
    rng = np.random.default_rng(0)
    shape = Shape2D(N=1, C=3, H=57, W=60, M=40, OH=27, OW=28, kernel=(5, 7), strides=(2, 2), begin=(1, 1))
    tensor = share(pruned(rng, (40, 3, 5, 7), 1.0), (0,), "rows", np.uint8)
    x, results = rng.standard_normal((1, 3, 57, 60)).astype(np.float32), []
    for threads in (1, 2, 3):
        y = np.full((1, 40, 27, 28), np.nan, np.float32)
        carry_out(made(tensor, shape, cut_polyphase(shape, registers, threads), threads=threads), x, y, None, threads)
        results.append(y.tobytes())
    assert results[0] == results[1] == results[2]


@pytest.mark.skipif(sys.platform == "win32", reason="guard pages are made with mmap and mprotect")
@pytest.mark.parametrize("size", [21, 64, 75])
@pytest.mark.parametrize("added", [False, True])
def test_only_arrays_are_read_and_written(share, pruned, size, added):
    from tests.fuzz.guard import guarded, guarded_copy

    rng, out = np.random.default_rng(0), (size - 7) // 2 + 1
    shape = Shape2D(N=1, C=2, H=size, W=size + (out % 2) * 2, M=5, OH=out, OW=out + out % 2, kernel=(7, 7), strides=(2, 2))
    w = pruned(rng, (5, 2, 7, 7), 1.0)
    kernel = made(share(w, (0,), "rows", np.uint8), shape, cut_polyphase(shape, host_registers()))
    x, y = rng.standard_normal((1, 2, size, shape.W)).astype(np.float32), guarded((1, 5, out, shape.OW), np.float32)
    residual = guarded_copy(rng.standard_normal(y.shape).astype(np.float32)) if added else None
    inputs, scratch = guarded_copy(x), guarded(kernel.scratch_bytes, np.uint8)
    Workers(1).carry_out(kernel.order(inputs, y, residual, scratch)[None])
    want = conv.reference(x, w, strides=(2, 2)) + (0 if residual is None else residual)
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("registers", REGISTERS.values(), ids=REGISTERS)
@given(
    C=st.integers(1, 6000),
    M=st.integers(1, 6000),
    size=st.integers(1, 5000),
    kernel=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    stride=st.integers(1, 5),
    parts=st.integers(1, 9),
)
def test_any_shape_that_fits_is_cut_at_once(registers, C, M, size, kernel, stride, parts):
    shape = Shape2D(1, C, stride * size + 10, stride * size + 10, M, size, size, kernel, (stride, stride))
    if not fits_polyphase(shape, registers):
        return
    found = cut_polyphase(shape, registers, parts)
    assert 1 <= found.pieces <= found.total
    assert max(found.counts) <= found.R
    assert 4 * packed_floats(shape, found.most * found.V, found.V) <= PACKED_BYTES
    alone = cost_polyphase(shape, found, registers[1])
    assert 0 < alone / parts <= 1.001 * cost_polyphase(shape, found, registers[1], parts) <= 1.002 * alone


@pytest.mark.parametrize(
    "change",
    [{"OW": 27}, {"groups": 3}, {"kernel": (7, 4)}, {"dilations": (1, 2)}, {"C": 300}, {"M": 3000}, {"kernel": (1, 10**9)}],
    ids=["odd", "groups", "narrow", "dilated", "deep", "many", "endless"],
)
def test_what_the_method_cannot_do(change):
    shape = Shape2D(1, 3, 60, 60, 64, 28, 28, (7, 7), (2, 2))
    assert fits_polyphase(shape, REGISTERS["AVX-512"])
    assert not fits_polyphase(replace(shape, **change), REGISTERS["AVX-512"])


@pytest.mark.parametrize(("taps", "stride", "size"), [(11, 4, 224), (7, 2, 225)], ids=["AlexNet", "ResNet"])
def test_first_layers_run_by_it(pruned, taps, stride, size):
    w = pruned(np.random.default_rng(0), (64, 3, taps, taps), 1.0)
    out = (size - taps) // stride + 1
    node = Node("Conv", "c", ("x", "w"), ("y",), {"strides": (stride, stride)})
    types = (F32, (1, 3, size, size)), (F32, w.shape)
    kernel = lower_conv(Site(node, types, ((F32, (1, 64, out, out)),), {1: DenseTensor.of(w)}))
    assert kernel is not None
    assert kernel.name.startswith("conv polyphase")
