"""The tile walker against the plain convolution, over odd geometries."""

from __future__ import annotations

import sys
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.conv.cost_model import choose
from tersor.runtime.kernels.conv.layout import Shape2D, Tiling, tiles
from tersor.runtime.kernels.conv.sparse.conv import SparseConv, cuts_of, whole_tiles
from tersor.runtime.kernels.conv.sparse.stream import make_stream
from tersor.runtime.kernels.matrices.matrix import matrix_of
from tersor.runtime.kernels.site import Epilogue
from tersor.runtime.ops.conv import conv
from tersor.runtime.orders.order import CODE, COUNTED, aligned_bytes
from tersor.runtime.orders.team import FRONT, alone

TILES = (
    (1, 1, 8, np.uint8), (1, 3, 8, np.uint16), (2, 2, 16, np.uint8), (2, 3, 8, np.float32),
)  # fmt: skip
"""Channels, heights and widths of tiles, and kinds of code: few, for each is compiled."""


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Shape2D, tuple[int, int]]:
    """A convolution of at least one output, and its padding at the end."""
    pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
    kernel, strides, dilations = draw(pair), draw(pair), draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    begin, end = draw(st.tuples(st.integers(0, 3), st.integers(0, 3))), draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    row = draw(st.booleans())  # a single one, and longer
    if row:
        kernel, begin, end = (1, kernel[1]), (0, begin[1]), (0, end[1])
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    least = [max(1, e - b - z) for e, b, z in zip(extent, begin, end, strict=True)]
    size = [draw(st.integers(n, n + draw(st.sampled_from([3, 20])))) for n in least]
    size = [1, size[1] + draw(st.integers(0, 300))] if row else size
    out = [(n + b + z - e) // s + 1 for n, b, z, e, s in zip(size, begin, end, extent, strides, strict=True)]
    groups = draw(st.integers(1, 3))
    shape = Shape2D(
        N=draw(st.integers(1, 2)), C=groups * draw(st.integers(1, 5)), H=size[0], W=size[1], M=groups * draw(st.integers(1, 4)),
        OH=out[0], OW=out[1], kernel=kernel, strides=strides, dilations=dilations, begin=begin, groups=groups,
    )  # fmt: skip
    return shape, end


@settings(max_examples=120, deadline=None)
@given(
    geometry=geometries(),
    tile=st.sampled_from(TILES),
    density=st.sampled_from([0.0, 0.2, 0.7, 1.0]),
    order=st.sampled_from(["rows", "columns"]),
    kind=st.sampled_from(["rows", "flat"]),
    shifts=st.integers(1, 4),
    block=st.integers(1, 6),
    threads=st.integers(1, 3),
    parts=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_equals_reference(share, pruned, carry_out, geometry, tile, density, order, kind, shifts, block, threads, parts, seed):
    (shape, end), (T, R, V, code), rng = geometry, tile, np.random.default_rng(seed)
    assume(shifts == 1 or (kind == "rows" and shape.strides[1] == shape.dilations[1] == 1))
    w = pruned(rng, (shape.M, shape.C // shape.groups, *shape.kernel), density)
    tensor = DenseTensor.of(w) if code is np.float32 else share(w, (0,), order, code, sparse=density < 1)
    x = rng.standard_normal((shape.N, shape.C, shape.H, shape.W)).astype(np.float32)
    attributes = {"strides": shape.strides, "dilations": shape.dilations, "pads": (*shape.begin, *end), "group": shape.groups}
    scale, shift = rng.standard_normal((2, shape.M))
    residual = rng.standard_normal((shape.N, shape.M, shape.OH, shape.OW)).astype(np.float32)
    want = conv.reference(x, w, **attributes) * scale[:, None, None] + shift[:, None, None] + residual
    flat = shape.flattened
    tiling = Tiling(T, R, V, kind, block, flat.kernel, flat.strides[0], flat.dilations[0], shifts=shifts)
    stream = make_stream(matrix_of(tensor, (0,), "w"), shape.C, shape.groups, tiling, parts)
    factors = Epilogue(scale, shift).affine(shape.M, None)
    kernel = SparseConv(flat, tiling, stream, *factors, np.array([-0.5, 1.5], np.float32), threads)
    y = np.full(want.shape, np.nan, np.float32)
    with patch("tersor.runtime.orders.shared.WORTH_SHARING", 0):
        carry_out(kernel, x, y, residual, threads)
    np.testing.assert_allclose(y, np.clip(want, -0.5, 1.5), rtol=1e-4, atol=1e-4)
    assert stream.nonzeros == np.count_nonzero(w)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 8)),
    tile=st.sampled_from([(1, 3, 16, np.uint8), (2, 3, 16, np.uint8), (2, 6, 8, np.float32)]),
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    density=st.sampled_from([0.0, 0.4, 1.0]),
    block=st.integers(1, 9),
    threads=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_means_of_channels(share, pruned, carry_out, size, tile, channels, density, block, threads, seed):
    (H, W), (C, M), (T, R, V, code), rng = size, channels, tile, np.random.default_rng(seed)
    shape = Shape2D(N=2, C=C, H=H, W=W, M=M, OH=H, OW=W, kernel=(3, 3), begin=(1, 1))
    w, x = pruned(rng, (M, C, 3, 3), density), rng.standard_normal((2, C, H, W)).astype(np.float32)
    tensor = DenseTensor.of(w) if code is np.float32 else share(w, (0,), "rows", code, sparse=density < 1)
    scale, shift = rng.standard_normal((2, M))
    outputs = np.clip(conv.reference(x, w, pads=(1, 1, 1, 1)) * scale[:, None, None] + shift[:, None, None], -0.5, 1.5)
    tiling = Tiling(T, R, V, "flat", block, (3, 3))
    stream = make_stream(matrix_of(tensor, (0,), "w"), C, 1, tiling, 2)
    factors = Epilogue(scale, shift).affine(M, None)
    kernel = SparseConv(shape, tiling, stream, *factors, np.array([-0.5, 1.5], np.float32), threads, mean=True)
    guarded = np.full(2 * M + 2, 7, np.float32)
    with patch("tersor.runtime.orders.shared.WORTH_SHARING", 0):
        carry_out(kernel, x, guarded[1:-1], None, threads)
    assert guarded[0] == guarded[-1] == 7
    np.testing.assert_allclose(guarded[1:-1].reshape(2, M), outputs.mean(axis=(2, 3)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("T", "kind", "shifts"), [(2, "rows", 1), (2, "flat", 1), (1, "rows", 2), (1, "rows", 3), (2, "rows", 3)]
)
def test_nothing_outside_the_output_is_written(share, pruned, carry_out, T, kind, shifts):
    rng = np.random.default_rng(0)
    shape = Shape2D(N=1, C=3, H=5, W=11, M=2, OH=5, OW=11, kernel=(3, 3), begin=(1, 1))
    tiling = Tiling(T, 2, 16, kind, 2, (3, 3), shifts=shifts)
    w = pruned(rng, (2, 3, 3, 3), 0.5)
    stream = make_stream(matrix_of(share(w, (0,), "rows", np.uint8), (0,), "w"), 3, 1, tiling, 1)
    kernel = SparseConv(shape, tiling, stream, *Epilogue().affine(2, None), np.array([-np.inf, np.inf], np.float32), 1)
    guarded = np.full(110 + 64, 7, np.float32)
    x = rng.standard_normal((1, 3, 5, 11)).astype(np.float32)
    carry_out(kernel, x, guarded[32:-32], None)
    assert np.all(guarded[:32] == 7)
    assert np.all(guarded[-32:] == 7)
    np.testing.assert_allclose(guarded[32:-32].reshape(1, 2, 5, 11), conv.reference(x, w, pads=(1, 1, 1, 1)), atol=1e-5)


@pytest.mark.skipif(sys.platform == "win32", reason="guard pages are made with mmap and mprotect")
@pytest.mark.parametrize("density", [0.1, 1.0])
@pytest.mark.parametrize("T", [1, 2])
@pytest.mark.parametrize("block", [3, 5])
def test_inputs_read_in_place(share, pruned, carry_out, block, T, density):
    from tests.fuzz.guard import guarded, guarded_copy

    rng = np.random.default_rng(T)
    shape = Shape2D(N=2, C=5, H=1, W=65 * 16, M=3, OH=1, OW=65 * 16)
    tiling = Tiling(T, 5, 16, "direct", block, plane=65)
    w, x = pruned(rng, (3, 5, 1, 1), density), rng.standard_normal((2, 5, 1, shape.W)).astype(np.float32)
    stream = make_stream(matrix_of(share(w, (0,), "rows", np.uint8), (0,), "w"), 5, 1, tiling, 1)
    kernel = SparseConv(shape, tiling, stream, *Epilogue().affine(3, None), np.array([-np.inf, np.inf], np.float32), 1)
    y = guarded((2, 3, 1, shape.W), np.float32)
    carry_out(kernel, guarded_copy(x), y, None)
    np.testing.assert_allclose(y, conv.reference(x, w), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("T", [1, 2])
def test_inputs_read_in_place_need_not_be_aligned(share, pruned, carry_out, T):
    rng = np.random.default_rng(T)
    shape = Shape2D(N=2, C=5, H=1, W=64, M=3, OH=1, OW=64)
    tiling = Tiling(T, 2, 16, "direct", 3, plane=4)
    w, x = pruned(rng, (3, 5, 1, 1), 0.5), aligned_bytes(4 * 640 + 4)[4:].view(np.float32).reshape(2, 5, 1, 64)
    x[:] = rng.standard_normal(x.shape)
    stream = make_stream(matrix_of(share(w, (0,), "rows", np.uint8), (0,), "w"), 5, 1, tiling, 1)
    kernel = SparseConv(shape, tiling, stream, *Epilogue().affine(3, None), np.array([-np.inf, np.inf], np.float32), 1)
    y = np.full((2, 3, 1, 64), np.nan, np.float32)
    carry_out(kernel, x, y, None)
    np.testing.assert_allclose(y, conv.reference(x, w), rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(sys.platform == "win32", reason="guard pages are made with mmap and mprotect")
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 3), (4, 4), (3, 1)])
@pytest.mark.parametrize("size", [(1, 5), (1, 301), (7, 7), (14, 33)])
@pytest.mark.parametrize("kind", ["rows", "flat"])
@pytest.mark.parametrize("taps", [1, 4])
def test_whole_vectors_are_read_and_written_within_arrays(share, pruned, carry_out, taps, strides, size, kind):
    from tests.fuzz.guard import guarded, guarded_copy

    rng, (H, W), channels = np.random.default_rng(0), size, 5
    out = [(n - 1) // s + 1 for n, s in zip(size, strides, strict=True)]
    begin, end, kernel = (0, taps // 2), (0, (taps - 1) // 2), (1, taps)
    shape = Shape2D(2, channels, H, W, 3, out[0], out[1], kernel, strides, begin=begin)
    tiling = Tiling(1, 3, 8, kind, 2, kernel, strides[0])
    w, x = pruned(rng, (3, channels, *kernel), 0.7), rng.standard_normal((2, channels, H, W)).astype(np.float32)
    stream = make_stream(matrix_of(share(w, (0,), "rows", np.uint8), (0,), "w"), channels, 1, tiling, 1)
    kernel = SparseConv(shape, tiling, stream, *Epilogue().affine(3, None), np.array([-np.inf, np.inf], np.float32), 1)
    y, residual = guarded((2, 3, *out), np.float32), rng.standard_normal((2, 3, *out)).astype(np.float32)
    carry_out(kernel, guarded_copy(x), y, guarded_copy(residual))
    want = conv.reference(x, w, strides=strides, pads=(*begin, *end)) + residual
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)


STRIDED = Shape2D(N=1, C=256, H=1, W=32, M=256, OH=1, OW=16, strides=(1, 2))
STRIDED_AND_PADDED = Shape2D(N=1, C=6, H=1, W=3, M=12, OH=1, OW=3, strides=(1, 2), begin=(0, 1), groups=6)


@pytest.mark.parametrize("shape", [STRIDED, STRIDED_AND_PADDED])
def test_a_strided_row_is_not_read_as_it_lies(carry_out, shape):
    tiling = choose(shape, shape.M * shape.C // shape.groups, (32, 16))
    assert tiling is not None
    assert tiling.shape != "direct"
    rng, tiling = np.random.default_rng(0), Tiling(1, 1, 8, "flat", 2)
    w = rng.standard_normal((shape.M, shape.C // shape.groups, 1, 1)).astype(np.float32)
    x = rng.standard_normal((1, shape.C, 1, shape.W)).astype(np.float32)
    stream = make_stream(matrix_of(DenseTensor.of(w), (0,), "w"), shape.C, shape.groups, tiling, 1)
    kernel = SparseConv(shape, tiling, stream, *Epilogue().affine(shape.M, None), np.array([-np.inf, np.inf], np.float32), 1)
    y = np.full((1, shape.M, 1, shape.OW), np.nan, np.float32)
    carry_out(kernel, x, y, None)
    pads = (*shape.begin, *shape.begin)
    want = conv.reference(x, w, strides=shape.strides, pads=pads, group=shape.groups)
    np.testing.assert_allclose(y, want[..., : shape.OW], rtol=1e-4, atol=1e-4)


def test_narrow_registers_make_work_worth_sharing():
    shape = Shape2D(N=1, C=32, H=14, W=14, M=32, OH=14, OW=14, kernel=(3, 3), begin=(1, 1))
    for registers, worth in (((32, 16), False), ((16, 8), True)):
        tiling = choose(shape, 921, registers, 2)
        assert tiling is not None
        with patch("tersor.runtime.kernels.conv.sparse.conv.host_registers", lambda given=registers: given):
            assert (whole_tiles(shape, tiling, 921, tiles(shape, tiling) + 1) == 0) == worth


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("width", [1, 7, 12, 49])
def test_threads_get_equally_many_tiles(share, pruned, parts, width):
    shape = Shape2D(N=1, C=2, H=1, W=8 * width, M=4, OH=1, OW=8 * width)
    tiling, w = Tiling(1, 1, 8, "flat", 2), pruned(np.random.default_rng(0), (4, 2, 1, 1), 1.0)
    stream = make_stream(matrix_of(share(w, (0,), "rows", np.uint8), (0,), "w"), 2, 1, tiling, parts)
    kernel = SparseConv(shape, tiling, stream, *Epilogue().affine(4, None), np.zeros(2, np.float32), parts)
    with patch("tersor.runtime.orders.shared.WORTH_SHARING", 0):
        work, whole = kernel._pieces, kernel._whole
        assert cuts_of(shape, tiling, stream.nonzeros, parts) == (1 if width % parts == 0 else parts)
    assert whole == width - (width % parts)
    assert [tile for first, last in work.tolist() for tile in range(first, last)] == list(range(whole))


@pytest.mark.parametrize(
    ("outputs", "groups", "threads", "parts"),
    [(64, 1, 2, 2), (512, 1, 2, 14), (4096, 1, 2, 16), (4096, 1, 4, 32), (512, 1, 1, 1), (4096, 4, 2, 2)],
)
def test_parts_are_not_too_small(outputs, groups, threads, parts):
    shape = Shape2D(N=1, C=512, H=1, W=112, M=outputs, OH=1, OW=112, groups=groups)
    assert cuts_of(shape, Tiling(2, 7, 16, "flat", 64), 256 * outputs // groups, threads) == parts


@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("member", [0, 1])
@pytest.mark.parametrize(("front", "back"), [(0, 0), (2, 1), (1, 0), (0, 3), (3, 2)])
def test_parts_that_others_take_are_left_to_them(share, pruned, block, member, front, back):
    rng, shape = np.random.default_rng(0), Shape2D(N=1, C=4, H=1, W=8, M=10, OH=1, OW=8)
    w, x = pruned(rng, (10, 4, 1, 1), 1.0), rng.standard_normal((1, 4, 1, 8)).astype(np.float32)
    tiling = Tiling(1, 1, 8, "flat", block)
    stream = make_stream(matrix_of(share(w, (0,), "rows", np.uint8), (0,), "w"), 4, 1, tiling, 5)
    kernel = SparseConv(shape, tiling, stream, *Epilogue().affine(10, None), np.array([-np.inf, np.inf], np.float32), 2)
    y, scratch = np.full((1, 10, 1, 8), np.nan, np.float32), aligned_bytes(kernel.scratch_bytes)
    with patch("tersor.runtime.orders.shared.WORTH_SHARING", 0):
        order = kernel.order(x, y, None, scratch)
    order[COUNTED] = front * FRONT + back
    alone(int(order[CODE]), order.ctypes.data, member)
    cuts = stream.block_visits[0]  # every channel is visited in every block
    want = conv.reference(x, w)[0, :, 0]
    mine = slice(cuts[front], cuts[5 - back])
    np.testing.assert_allclose(y[0, mine, 0], want[mine], rtol=1e-5, atol=1e-5)
    assert np.isnan(y[0, : cuts[front]]).all()
    assert np.isnan(y[0, cuts[5 - back] :]).all()
    assert order[COUNTED] // FRONT + order[COUNTED] % FRONT == 5
