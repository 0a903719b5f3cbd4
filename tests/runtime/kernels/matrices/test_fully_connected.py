"""Products by codebook indices against the plain product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.graph import Node
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.matrices.fully_connected import lower_gemm, lower_matmul
from tersor.runtime.kernels.matrices.lines import make_lines, make_sorted_lines
from tersor.runtime.kernels.matrices.matrix import matrix_of
from tersor.runtime.kernels.matrices.panels import ByPanels, make_panels
from tersor.runtime.kernels.matrices.products import ByLines, ByRuns, ByWhole, Finish
from tersor.runtime.kernels.matrices.runs import make_runs
from tersor.runtime.kernels.matrices.whole import make_whole
from tersor.runtime.kernels.site import Epilogue, Site
from tersor.runtime.orders.order import aligned_bytes
from tersor.runtime.orders.workers import Workers

F32 = np.dtype(np.float32)


def multiply(product, x, y, residual, workers):
    scratch = aligned_bytes(product.scratch)  # an order does not keep it
    workers.carry_out(product.orders(x, y, residual, scratch))


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    density=st.sampled_from([0.0, 0.1, 0.4, 0.9, 1.0]),
    code=st.sampled_from([np.uint8, np.uint16, np.float32]),
    order=st.sampled_from(["rows", "columns"]),
    listed=st.booleans(),
    kind=st.sampled_from(["rows", "columns", "whole", "batch", "panels"]),
    batch=st.sampled_from([1, 2, 19]),
    parts=st.integers(1, 3),
    levels=st.sampled_from([1, 3, 40]),
    seed=st.integers(0, 99),
)
def test_products(share, pruned, rows, columns, density, code, order, listed, kind, batch, parts, levels, seed):
    rng = np.random.default_rng(seed)
    w = pruned(rng, (rows, columns), density, levels)
    sparse = listed and density < 1
    tensor = DenseTensor.of(w) if code is np.float32 else share(w, (0,), order, code, sparse=sparse)
    x = rng.standard_normal((batch, columns)).astype(np.float32) * (rng.random((batch, columns)) < 0.6)
    scale, shift = rng.standard_normal((2, rows)).astype(np.float32)
    residual = rng.standard_normal((batch, rows)).astype(np.float32)
    finish = Finish(scale, shift, np.array([-1, 2], np.float32))
    matrix = matrix_of(tensor, (0,), "w")
    product = {
        "rows": lambda: ByLines(make_sorted_lines(matrix, by_rows=True), finish, parts),
        "columns": lambda: ByLines(make_sorted_lines(matrix, by_rows=False), finish, parts),
        "whole": lambda: ByWhole(make_whole(matrix), w.T.shape, finish, parts),
        "batch": lambda: ByRuns(make_runs(make_lines(matrix, by_rows=True), 16, parts), 2, finish, (batch, *w.T.shape), parts),
        "panels": lambda: ByPanels(make_panels(matrix), (batch, *w.T.shape), finish, parts),
    }[kind]()
    y = np.full((batch, rows), np.nan, np.float32)
    multiply(product, x, y, residual, Workers(parts))
    np.testing.assert_allclose(y, np.clip(x @ w.T * scale + shift + residual, -1, 2), rtol=1e-4, atol=1e-4)


def test_large_codebook_of_a_sparse_matrix(share):
    rng = np.random.default_rng(1)
    w = rng.permutation(70_000).astype(np.float32).reshape(350, 200)
    w[w >= 65_537] = 0
    tensor = share(w, (0,), "rows", np.uint16)
    assert len(tensor.codebook) == 65_536
    ones = np.ones(350, np.float32)
    x, y = rng.standard_normal((1, 200)).astype(np.float32), np.empty((1, 350), np.float32)
    finish = Finish(ones, 0 * ones, np.array([-np.inf, np.inf], np.float32))
    multiply(ByWhole(make_whole(matrix_of(tensor, (0,), "w")), (200, 350), finish, 1), x, y, None, Workers(1))
    np.testing.assert_allclose(y, x @ w.T, rtol=1e-3, atol=1)


@pytest.mark.parametrize("active", [3, 8, 13])
def test_an_infinite_weight_stays_infinite(share, active):
    w = np.ones((5, 20), np.float32)
    w[1, :active] = np.inf
    x, y = np.zeros((1, 20), np.float32), np.empty((1, 5), np.float32)
    x[0, :active] = 2
    ones = np.ones(5, np.float32)
    product = ByWhole(
        make_whole(matrix_of(share(w, (0,), "rows", np.uint8, sparse=False), (0,), "w")), w.T.shape,
        Finish(ones, 0 * ones, np.array([-np.inf, np.inf], np.float32)), 1,
    )  # fmt: skip
    multiply(product, x, y, None, Workers(1))
    assert y[0].tolist() == [2 * active, np.inf, *[2 * active] * 3]


def test_rows_over_several_panels(monkeypatch, share, pruned):
    monkeypatch.setattr("tersor.runtime.kernels.matrices.runs.PANEL_ROWS", 7)
    rng = np.random.default_rng(4)
    w = pruned(rng, (50, 70), 0.2)
    runs = make_runs(make_lines(matrix_of(share(w, (0,), "rows", np.uint8), (0,), "w"), by_rows=True), 16, 2)
    assert len(runs.panels) == 9
    ones = np.ones(50, np.float32)
    product = ByRuns(runs, 4, Finish(ones, 0 * ones, np.array([-np.inf, np.inf], np.float32)), (70, 70, 50), 2)
    x, y = rng.standard_normal((70, 70)).astype(np.float32), np.empty((70, 50), np.float32)
    multiply(product, x, y, None, Workers(2))
    np.testing.assert_allclose(y, x @ w.T, rtol=1e-4, atol=1e-4)


def test_small_batches_stay_within_the_scratch_of_one_thread(share, pruned):
    rng = np.random.default_rng(6)
    w = pruned(rng, (32, 64), 0.05)
    runs = make_runs(make_lines(matrix_of(share(w, (0,), "rows", np.uint8), (0,), "w"), by_rows=True), 16, 1)
    ones = np.ones(32, np.float32)
    product = ByRuns(runs, 4, Finish(ones, 0 * ones, np.array([-np.inf, np.inf], np.float32)), (128, 64, 32), 1)
    x, y, workers = rng.standard_normal((128, 64)).astype(np.float32), np.empty((128, 32), np.float32), Workers(3)
    room, after = aligned_bytes(4 * product.scratch), 0
    for _ in range(200):
        room[product.scratch :] = 7
        workers.carry_out(product.orders(x, y, None, room[: product.scratch]))
        after += np.count_nonzero(room[product.scratch :] != 7)
    np.testing.assert_allclose(y, x @ w.T, rtol=1e-4, atol=1e-4)
    assert after == 0


@pytest.mark.parametrize(("batch", "kind"), [(1, "rows"), (1, "columns"), (64, "batch")])
def test_who_takes_which_piece_does_not_matter(share, pruned, batch, kind):
    rng = np.random.default_rng(5)
    w = pruned(rng, (300, 900), 0.3)
    matrix = matrix_of(share(w, (0,), "rows", np.uint8), (0,), "w")
    scale, shift = rng.standard_normal((2, 300)).astype(np.float32)
    finish = Finish(scale, shift, np.array([-1, 2], np.float32))
    if kind == "batch":
        product = ByRuns(make_runs(make_lines(matrix, by_rows=True), 64, 6), 4, finish, (batch, 900, 300), 2)
    else:
        product = ByLines(make_sorted_lines(matrix, by_rows=kind == "rows"), finish, 2)
        assert len(product.cuts) - 1 == 8
    x, workers = rng.standard_normal((batch, 900)).astype(np.float32), Workers(2)
    results = []
    for _ in range(50):
        results.append(np.empty((batch, 300), np.float32))
        multiply(product, x, results[-1], None, workers)
    np.testing.assert_allclose(results[0], np.clip(x @ w.T * scale + shift, -1, 2), rtol=1e-4, atol=1e-4)
    assert all(np.array_equal(results[0], other) for other in results)


def gemm_site(tensor, batch, columns, rows, threads, bias=None, **attributes):
    inputs = ("x", "w", "b") if bias is not None else ("x", "w")
    types = [(F32, (batch, columns)), (F32, tensor.shape)] + ([(F32, bias.shape)] if bias is not None else [])
    constants = {1: tensor} | ({2: DenseTensor.of(bias)} if bias is not None else {})
    node = Node("Gemm", "fc", inputs, ("y",), attributes)
    return Site(node, tuple(types), ((F32, (batch, rows)),), constants, threads=threads)


def execute(kernel, inputs, output, threads):
    kernel.run(inputs, [output], aligned_bytes(kernel.scratch), Workers(threads))
    return output


@pytest.mark.parametrize("batch", [1, 2, 9, 33])
@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(share, pruned, batch, transposed):
    rng = np.random.default_rng(batch)
    w = pruned(rng, (31, 45), 0.3)
    stored = np.ascontiguousarray(w if transposed else w.T)
    tensor = share(stored, (0,) if transposed else (1,), "rows", np.uint8)
    bias = rng.standard_normal((1, 31)).astype(np.float32)
    kernel = lower_gemm(gemm_site(tensor, batch, 45, 31, 2, bias, transB=transposed, alpha=0.5, beta=2.0))
    assert kernel is not None
    x = rng.standard_normal((batch, 45)).astype(np.float32)
    y = execute(kernel, [x], np.empty((batch, 31), np.float32), 2)
    np.testing.assert_allclose(y, 0.5 * x @ w.T + 2 * bias, rtol=1e-4, atol=1e-4)
    assert kernel.density == np.count_nonzero(w) / w.size
    assert kernel.macs == batch * 31 * 45


@pytest.mark.parametrize(("batch", "kind"), [(1, "rows"), (64, "batch")])
def test_many_vectors_go_into_lanes_and_few_do_not(share, pruned, batch, kind):
    w = pruned(np.random.default_rng(0), (64, 64), 0.3)
    kernel = lower_gemm(gemm_site(share(w, (0,), "rows", np.uint8), batch, 64, 64, 1, transB=1))
    assert kernel is not None
    assert kernel.name.startswith(kind)


@pytest.mark.parametrize(("batch", "kind"), [(1, "rows float32 whole"), (2, "panels float32"), (33, "panels float32")])
def test_several_vectors_meet_a_whole_matrix_in_panels(batch, kind):
    w = np.random.default_rng(0).standard_normal((60, 70)).astype(np.float32)
    kernel = lower_gemm(gemm_site(DenseTensor.of(w), batch, 70, 60, 1, transB=1))
    assert kernel is not None
    assert kernel.name == kind


def test_gemm_declines_what_it_cannot_do(share, pruned):
    tensor = share(pruned(np.random.default_rng(0), (8, 8), 0.5), (0,), "rows", np.uint8)
    assert lower_gemm(gemm_site(tensor, 2, 8, 8, 1, np.ones((2, 8), np.float32), transB=1)) is None
    assert lower_gemm(gemm_site(tensor, 8, 8, 8, 1, transA=1)) is None


@pytest.mark.parametrize("lead", [(), (1,), (2, 7), (40,)])
def test_matmul_of_a_stack_by_one_matrix(share, pruned, lead):
    rng = np.random.default_rng(2)
    w = pruned(rng, (20, 33), 0.5)
    node = Node("MatMul", "mm", ("x", "w"), ("y",))
    shape = (*lead, 33)
    residual = rng.standard_normal(shape).astype(np.float32)
    site = Site(
        node, ((F32, (*lead, 20)), (F32, (20, 33))), ((F32, shape),), {1: share(w, (1,), "columns", np.uint8)},
        Epilogue(shift=np.arange(33.0), residual="r", low=0.0), threads=2,
    )  # fmt: skip
    kernel = lower_matmul(site)
    assert kernel is not None
    x = rng.standard_normal((*lead, 20)).astype(np.float32)
    y = execute(kernel, [x, residual], np.empty(shape, np.float32), 2)
    np.testing.assert_allclose(y, np.maximum(x @ w + np.arange(33) + residual, 0), rtol=1e-4, atol=1e-4)


def test_product_of_two_values_is_numpys():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 3, 4)).astype(np.float32), rng.standard_normal((2, 4, 5)).astype(np.float32)
    node = Node("MatMul", "mm", ("a", "b"), ("y",))
    kernel = lower_matmul(Site(node, ((F32, a.shape), (F32, b.shape)), ((F32, (2, 3, 5)),)))
    assert kernel is not None
    np.testing.assert_allclose(execute(kernel, [a, b], np.empty((2, 3, 5), np.float32), 1), a @ b, rtol=1e-5)
