"""Dense convolution against the plain one, over odd geometries."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.conv.dense import conv as dense
from tersor.runtime.kernels.conv.dense.conv import DenseConv, cost_dense, cut_dense, dense_weights, with_lone
from tersor.runtime.kernels.conv.layout import Shape2D
from tersor.runtime.kernels.conv.pieces import kept
from tersor.runtime.kernels.matrices.matrix import matrix_of
from tersor.runtime.kernels.site import PLAIN, Epilogue
from tersor.runtime.kernels.tiles.cut import Cut
from tersor.runtime.ops.conv import conv
from tersor.runtime.plan.fusion.activation import STEEP

REGISTERS = {"AVX-512": (32, 16), "AVX2": (16, 8), "NEON": (32, 4)}
UNBOUNDED = np.array([-np.inf, np.inf], np.float32)


@st.composite
def geometries(draw: st.DrawFn, rows_apart: int = 3, lines: bool = False) -> tuple[Shape2D, tuple[int, int]]:
    """A convolution of at least one output, whose kernel's rows are at most so far apart, and its padding at the end; with
    ``lines`` half of them over a long row."""
    pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
    kernel, strides, dilations = draw(pair), draw(pair), draw(st.tuples(st.integers(1, rows_apart), st.integers(1, 3)))
    begin, end = draw(st.tuples(st.integers(0, 3), st.integers(0, 3))), draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    line = lines and draw(st.booleans())
    if line:
        kernel, begin, end = (1, kernel[1]), (0, begin[1]), (0, end[1])
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    least = [max(1, e - b - z) for e, b, z in zip(extent, begin, end, strict=True)]
    size = [draw(st.integers(n, n + draw(st.sampled_from([3, 20])))) for n in least]
    size = [1, size[1] + draw(st.integers(0, 300))] if line else size
    out = [(n + b + z - e) // s + 1 for n, b, z, e, s in zip(size, begin, end, extent, strides, strict=True)]
    shape = Shape2D(
        N=draw(st.integers(1, 2)), C=draw(st.integers(1, 9)), H=size[0], W=size[1], M=draw(st.integers(1, 35)),
        OH=out[0], OW=out[1], kernel=kernel, strides=strides, dilations=dilations, begin=begin,
    )  # fmt: skip
    return shape, end


def made(tensor, shape: Shape2D, chosen: Cut, epilogue: Epilogue = PLAIN, bounds=UNBOUNDED, threads=1) -> DenseConv:
    """The convolution with everything chosen."""
    weights = dense_weights(matrix_of(tensor, (0,), "w"), chosen.T)
    return DenseConv(shape.flattened, chosen, *weights, *epilogue.affine(shape.M, None), bounds, threads)


@settings(max_examples=60, deadline=None)
@given(
    geometry=geometries(lines=True),
    registers=st.sampled_from(list(REGISTERS.values())),
    code=st.sampled_from([np.uint8, np.uint16, np.float32]),
    order=st.sampled_from(["rows", "columns"]),
    density=st.sampled_from([0.3, 1.0]),
    pieces=st.integers(1, 4),
    block=st.integers(1, 9),
    threads=st.integers(1, 3),
    in_place=st.booleans(),
    looked_up=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_reference(
    share, pruned, carry_out, geometry, registers, code, order, density, pieces, block, threads, in_place, looked_up, seed
):
    (shape, end), rng = geometry, np.random.default_rng(seed)
    w = pruned(rng, (shape.M, shape.C, *shape.kernel), density)
    tensor = DenseTensor.of(w) if code is np.float32 else share(w, (0,), order, code, sparse=density < 1)
    x = rng.standard_normal((shape.N, shape.C, shape.H, shape.W)).astype(np.float32)
    scale, shift = rng.standard_normal((2, shape.M))
    residual = rng.standard_normal((shape.N, shape.M, shape.OH, shape.OW)).astype(np.float32)
    attributes = {"strides": shape.strides, "dilations": shape.dilations, "pads": (*shape.begin, *end)}
    want = conv.reference(x, w, **attributes) * scale[:, None, None] + shift[:, None, None] + residual
    chosen = cut_dense(shape.flattened, registers)
    chosen = replace(chosen, pieces=min(pieces, chosen.total), block=min(block, shape.C))
    with patch.object(dense, "FEW_BYTES", dense.FEW_BYTES if looked_up else 0):
        kernel = made(tensor, shape, chosen, Epilogue(scale, shift), np.array([-0.5, 1.5], np.float32), threads)
    assert (kernel.codebook is not None) == (code is np.uint8 and not looked_up)
    y = residual.copy() if in_place else np.full(want.shape, np.nan, np.float32)
    carry_out(kernel, x, y, y if in_place else residual, threads)
    np.testing.assert_allclose(y, np.clip(want, -0.5, 1.5), rtol=1e-4, atol=1e-4)


GATES = {"hard": [0, 1, 1 / 6, 0.5, 0], "leaky": [0.1, 1, STEEP, 0, 0], "bounds": [-0.5, 1.5]}


@pytest.mark.parametrize("registers", [(32, 16), (32, 8), (32, 4)])
@pytest.mark.parametrize(("size", "pieces"), [((7, 7), 1), ((5, 5), 1), ((9, 9), 1), ((9, 9), 3), ((1, 50), 2), ((2, 9), 1)])
@pytest.mark.parametrize(("threads", "added", "gate"), [(1, False, "hard"), (2, True, "leaky"), (3, True, "bounds")])
def test_elements_behind_the_vectors_are_computed_as_in_one(carry_out, registers, size, pieces, threads, added, gate):
    rng, positions = np.random.default_rng(0), size[0] * size[1]
    shape = Shape2D(N=2, C=6, H=size[0], W=size[1], M=24, OH=size[0], OW=size[1], kernel=(1, 3), begin=(0, 1))
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((2, 6, *size), (24, 6, 1, 3)))
    residual = rng.standard_normal((2, 24, *size)).astype(np.float32) if added else None
    plain = cut_dense(shape.flattened, registers)
    plain = replace(plain, pieces=min(pieces, plain.total))
    alone, results = with_lone(shape.flattened, plain, registers), []
    epilogue, bounds = Epilogue(*rng.standard_normal((2, 24))), np.array(GATES[gate], np.float32)
    assert alone.lone in (0, positions % plain.V)
    assert alone.lone == 1 or size != (7, 7) or registers != (32, 16)
    for cut in (plain, alone):
        y = np.full((2, 24, *size), np.nan, np.float32)
        carry_out(made(DenseTensor.of(w), shape, cut, epilogue, bounds, threads), x, y, residual, threads)
        results.append(y)
    np.testing.assert_array_equal(*results)


def test_elements_behind_the_vectors_need_registers_and_all_inputs_at_once():
    shape = Shape2D(N=1, C=64, H=7, W=7, M=64, OH=7, OW=7).flattened
    cut = cut_dense(shape, (32, 16))
    assert with_lone(shape, cut, (32, 16)).lone == 1
    assert with_lone(shape, cut, (32, 16)).total == cut.total - 1
    for other in (replace(cut, block=32), replace(cut, T=5), replace(cut, V=20)):
        assert with_lone(shape, other, (32, 16)) is other
    assert with_lone(replace(shape, OW=17 * 17), (wide := cut_dense(replace(shape, OW=17 * 17), (32, 16))), (32, 16)) is wide
    assert with_lone(shape, (narrow := cut_dense(shape, (16, 8))), (16, 8)) is narrow


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 30), st.integers(1, 20)),
    kernel=st.integers(1, 7),
    dilation=st.integers(1, 3),
    top=st.integers(0, 9),
    bottom=st.integers(0, 9),
    registers=st.sampled_from(list(REGISTERS.values())),
    threads=st.integers(1, 2),
)
def test_columns_of_rows_are_one_line(carry_out, size, kernel, dilation, top, bottom, registers, threads):
    rng, rows = np.random.default_rng(0), size[0] + top + bottom - (kernel - 1) * dilation
    assume(rows > 0)
    shape = Shape2D(
        N=2, C=3, H=size[0], W=size[1], M=9, OH=rows, OW=size[1], kernel=(kernel, 1), dilations=(dilation, 1), begin=(top, 0)
    )
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((2, 3, *size), (9, 3, kernel, 1)))
    want, line = conv.reference(x, w, dilations=(dilation, 1), pads=(top, 0, bottom, 0)), shape.lined
    y = np.full(want.shape, np.nan, np.float32)
    assert line.lines
    carry_out(made(DenseTensor.of(w), line, cut_dense(line, registers, threads), threads=threads), x, y, None, threads)
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("change", [{"kernel": (3, 2)}, {"OW": 8}, {"begin": (1, 1)}, {"strides": (2, 1)}, {"strides": (1, 2)}])
def test_other_shapes_are_no_line(change):
    shape = Shape2D(N=1, C=3, H=9, W=9, M=9, OH=9, OW=9, kernel=(3, 1), begin=(1, 0))
    assert shape.lined.H == 1
    assert replace(shape, **change).lined == replace(shape, **change)


@pytest.mark.parametrize("registers", REGISTERS.values(), ids=REGISTERS)
def test_threads_change_no_bit_and_nothing_outside_is_written(share, pruned, carry_out, registers):
    rng = np.random.default_rng(0)
    shape = Shape2D(N=1, C=20, H=21, W=33, M=40, OH=11, OW=17, kernel=(3, 3), strides=(2, 2), begin=(1, 1))
    tensor = share(pruned(rng, (40, 20, 3, 3), 1.0), (0,), "rows", np.uint8)
    x, results = rng.standard_normal((1, 20, 21, 33)).astype(np.float32), []
    for threads in (1, 2, 3):
        kernel = made(tensor, shape, cut_dense(shape, registers, threads), threads=threads)
        guarded = np.full(40 * 11 * 17 + 64, 7, np.float32)
        carry_out(kernel, x, guarded[32:-32], None, threads)
        results.append(guarded)
    assert np.all(results[0][:32] == 7)
    assert np.all(results[0][-32:] == 7)
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


@pytest.mark.parametrize("registers", REGISTERS.values(), ids=REGISTERS)
@given(
    C=st.integers(1, 6000),
    M=st.integers(1, 6000),
    size=st.integers(1, 5000),
    kernel=st.integers(1, 11),
    parts=st.integers(1, 9),
)
def test_any_shape_is_cut_at_once(registers, C, M, size, kernel, parts):
    shape = Shape2D(1, C, size, size, M, size, size, (kernel, kernel), begin=(kernel // 2, kernel // 2))
    found = cut_dense(shape, registers, parts)
    assert 1 <= found.pieces <= found.total
    assert 1 <= found.block <= C
    assert kept(shape, found) >= min(M, found.chunk)
    assert max(found.counts) <= found.R
    alone = cost_dense(shape, found, registers[1])
    assert 0 < alone / parts <= 1.001 * cost_dense(shape, found, registers[1], parts) <= 1.002 * alone


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize(("size", "M"), [(13, 16), (13, 48), (27, 32), (55, 64)])
def test_every_output_is_in_one_piece_and_threads_get_equally_many(share, pruned, parts, size, M):
    shape = Shape2D(N=1, C=8, H=size, W=size, M=M, OH=size, OW=size)
    tensor = share(pruned(np.random.default_rng(0), (M, 8, 1, 1), 1.0), (0,), "rows", np.uint8)
    kernel = made(tensor, shape, cut_dense(shape.flattened, REGISTERS["AVX-512"], parts), threads=parts)
    seen, chunks = np.zeros((size * size, -(-M // kernel.cut.chunk)), int), -(-M // kernel.cut.chunk)
    for image, first, last, low, high in kernel._work.tolist():
        assert image == 0
        seen[first:last, low:high] += 1
    assert np.all(seen == 1)
    assert sum(high - low == chunks for *_, low, high in kernel._work.tolist()) % parts == 0 or chunks == 1
