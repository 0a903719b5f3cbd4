"""Convolutions from encoded weights against the plain convolution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.coding import CodecId
from tersor.format_spec.errors import FormatError
from tersor.packer.encode._forms import normalise
from tersor.runtime.kernels.conv.layout import Shape2D, Tiling
from tersor.runtime.kernels.conv.sparse.conv import SparseConv
from tersor.runtime.kernels.conv.sparse.stream import arrange
from tersor.runtime.kernels.conv.sparse.streamed import StreamedConv, lists_rows
from tersor.runtime.kernels.matrices.matrix import matrix_of
from tersor.runtime.ops.conv import conv
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers

SIZE = (9, 20)


def streamed(tensor, coded, groups, block, kind, threads) -> StreamedConv:
    rows, channels, *kernel = tensor.shape
    shape = Shape2D(
        2, channels * groups, *SIZE, rows, *SIZE, (kernel[0], kernel[1]), begin=(kernel[0] // 2, kernel[1] // 2), groups=groups
    )
    shifts = kernel[1] if kind == "shifted" else 1
    tiling = Tiling(1, 3, 8, "rows" if kind == "shifted" else kind, block, shape.kernel, shifts=shifts)
    made = arrange(matrix_of(tensor, (0,), "w"), shape.C, groups, tiling, threads)
    bounds, ones = np.array([-np.inf, np.inf], np.float32), np.ones(rows, np.float32)
    entries = made.stream(np.empty(0, np.uint32), tensor.codebook, int(coded.entries.ends[-1]))
    return StreamedConv(coded, made, SparseConv(shape, tiling, entries, ones, 0 * ones, bounds, threads))


def run(kernel: StreamedConv, x, residual=None, threads=1) -> np.ndarray:
    y = np.full((2, kernel.conv.shape.M, *SIZE), np.nan, np.float32)
    kernel(x, y, residual, aligned_bytes(kernel.scratch), Workers(threads))
    return y


@settings(max_examples=60, deadline=None)
@given(
    outputs=st.integers(1, 20),
    channels=st.integers(1, 9),
    groups=st.integers(1, 3),
    taps=st.sampled_from([(1, 1), (3, 3), (1, 3)]),
    density=st.sampled_from([0.02, 0.4, 1.0]),
    codec=st.sampled_from([CodecId.SPARSE, CodecId.PAPER, CodecId.GROUPED]),
    block_majors=st.sampled_from([1, 3, 40]),
    block=st.integers(1, 20),
    kind=st.sampled_from(["rows", "flat", "shifted"]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_equals_reference(
    share, pruned, opened, outputs, channels, groups, taps, density, codec, block_majors, block, kind, threads, seed
):
    rng = np.random.default_rng(seed)
    w = pruned(rng, (outputs * groups, channels, *taps), density, 20)
    w[0, 0, 0, 0] = 1
    tensor = normalise(share(w, (0,), "rows", np.uint8))
    coded = opened(tensor, codec, block_majors)
    assert lists_rows(coded)
    kernel = streamed(tensor, coded, groups, block, kind, threads)
    x, residual = (rng.standard_normal((2, n, *SIZE)).astype(np.float32) for n in (channels * groups, outputs * groups))
    pads = (taps[0] // 2, taps[1] // 2) * 2
    want = conv.reference(x, w, pads=pads, group=groups) + residual
    np.testing.assert_allclose(run(kernel, x, residual, threads), want, rtol=1e-4, atol=1e-4)
    columns = channels * taps[0] * taps[1]
    assert kernel.bytes == coded.bytes + kernel.made.bytes + 8 * groups + (4 + 1) * columns


@pytest.mark.parametrize(("order", "code", "sparse"), [("columns", np.uint8, True), ("rows", np.uint8, False)])
def test_other_listings_are_told_apart(share, pruned, opened, order, code, sparse):
    w = pruned(np.random.default_rng(0), (8, 4, 3, 3), 0.5)
    tensor = normalise(share(w, (0,), order, code, sparse=sparse))
    assert not lists_rows(opened(tensor, CodecId.SPARSE if sparse else CodecId.SHARED, 4))


@pytest.mark.parametrize("kind", ["rows", "shifted"])
@pytest.mark.parametrize("change", ["more", "fewer", "others"])
def test_other_weights_than_were_arranged_are_refused(share, pruned, opened, change, kind):
    w = pruned(np.random.default_rng(0), (6, 8, 3, 3), 0.4)
    other = {"more": np.where(w == 0, w.max(), w), "fewer": np.where(w == w.max(), 0, w), "others": np.roll(w, 2, axis=1)}[
        change
    ]
    tensors = [normalise(share(array.astype(np.float32), (0,), "rows", np.uint8)) for array in (w, other)]
    first, second = (opened(tensor, CodecId.SPARSE, 2) for tensor in tensors)
    kernel, x = streamed(tensors[0], first, 1, 2, kind, 1), np.ones((2, 8, *SIZE), np.float32)
    assert np.isfinite(run(kernel, x)).all()
    with pytest.raises(FormatError, match="its file has been written to"):
        run(replace(kernel, coded=second), x)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_damaged_block_is_an_error(share, pruned, opened, threads):
    tensor = normalise(share(pruned(np.random.default_rng(0), (40, 5, 3, 3), 0.5), (0,), "rows", np.uint8))
    coded = opened(tensor, CodecId.SPARSE, 10)
    kernel = streamed(tensor, coded, 1, 3, "flat", threads)
    coded.entries.counts[2, 0] -= 1
    with pytest.raises(FormatError, match="block 2"):
        run(kernel, np.ones((2, 5, *SIZE), np.float32), threads=threads)
