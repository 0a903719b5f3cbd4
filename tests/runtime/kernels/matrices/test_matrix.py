"""Weights as matrices, and the checks that keep kernels inside their arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tersor.format_spec.codecs import find_codec
from tersor.format_spec.coding import CodecId
from tersor.format_spec.errors import FormatError
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.decode import decode
from tersor.runtime.kernels.matrices.lines import make_lines
from tersor.runtime.kernels.matrices.matrix import matrix_of
from tersor.runtime.kernels.matrices.whole import whole_rows


def rebuilt(matrix):
    weights = matrix.codes if matrix.codes.dtype == np.float32 else matrix.codebook[matrix.codes]
    grid = np.zeros((matrix.majors, matrix.minor_length), np.float32)
    if matrix.starts is None:
        grid[:] = weights.reshape(grid.shape)
    else:
        grid[np.repeat(np.arange(matrix.majors), np.diff(matrix.starts)), matrix.minors] = weights
    return grid if matrix.by_rows else grid.T


@pytest.mark.parametrize("order", ["rows", "columns"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("stored", [(0,), (1,)])
@pytest.mark.parametrize("wanted", [(0,), (1,)])
def test_rows_run_over_the_axes_asked_for(share, pruned, order, sparse, stored, wanted):
    w = pruned(np.random.default_rng(0), (5, 7), 0.5)
    matrix = matrix_of(share(w, stored, order, np.uint8, sparse=sparse), wanted, "w")
    np.testing.assert_array_equal(rebuilt(matrix), w if wanted == (0,) else w.T)
    assert matrix.codes.dtype == np.uint8
    assert matrix.nonzeros == np.count_nonzero(w)


def test_axes_that_cross_are_read_densely(share, pruned):
    w = pruned(np.random.default_rng(0), (2, 3, 4), 0.5)
    matrix = matrix_of(share(w, (0, 1), "rows", np.uint8), (0,), "w")
    np.testing.assert_array_equal(rebuilt(matrix), w.reshape(2, 12))


def test_unshared_weights_keep_their_values(pruned):
    w = pruned(np.random.default_rng(0), (3, 4), 0.5)
    matrix = matrix_of(DenseTensor.of(w), (1,), "w")
    np.testing.assert_array_equal(rebuilt(matrix), w.T)
    assert matrix.nonzeros == np.count_nonzero(w)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("block", [1, 7, 1000])
@pytest.mark.parametrize(
    ("shape", "row_axes"),
    [
        ((5, 40), (0,)),
        ((5, 40), (1,)),
        ((4, 3, 5, 2), (0,)),
        ((4, 3, 5), (1, 2)),
        ((30,), (0,)),
        ((30,), ()),
        ((4, 5, 6), (0, 1)),
    ],
)
def test_weights_that_are_listed_stay_listed(shape, row_axes, block, masked):
    rng = np.random.default_rng(0)
    w = (rng.normal(size=shape) * (rng.random(shape) < 0.3)).astype(np.float32)
    w = w if masked else w + np.float32(0)
    record = TensorRecord("w", w.dtype, w.shape, (), CodecId.PLANES)
    size = min(block, w.size)
    payload = find_codec(CodecId.PLANES).encode(DenseTensor.of(w), block=size, gap_symbols=4, signed=masked)
    tensor = decode(record, payload, DEFAULT_LIMITS)
    assert tensor.dense().tobytes() == w.tobytes()
    matrix, dense = matrix_of(tensor, row_axes, "w"), matrix_of(DenseTensor.of(w), row_axes, "w")
    np.testing.assert_array_equal(rebuilt(matrix), rebuilt(dense))
    assert (matrix.starts is None) == (row_axes == (0, 1))
    assert matrix.nonzeros == dense.nonzeros
    for ours, theirs in zip(whole_rows(matrix), whole_rows(dense), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for by_rows in (False, True):
        ours, theirs = (make_lines(each, by_rows) for each in (matrix, dense))
        for one, other in zip(*((each.start, each.minor, each.code) for each in (ours, theirs)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_zero_without_axes_is_a_matrix_of_one_element():
    payload = find_codec(CodecId.PLANES).encode(DenseTensor.of(np.zeros((), np.float32)), block=1, gap_symbols=2)
    tensor = decode(TensorRecord("w", np.dtype(np.float32), (), (), CodecId.PLANES), payload, DEFAULT_LIMITS)
    np.testing.assert_array_equal(rebuilt(matrix_of(tensor, (), "w")), [[0]])


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("codes", lambda a: a + 200),
        ("minors", lambda a: a + 7),
        ("minors", lambda a: a[:-1]),
        ("starts", lambda a: a[::-1].copy()),
        ("starts", lambda a: a[:-1]),
        ("starts", lambda a: a + 1),
        ("starts", lambda a: np.where(np.arange(len(a)) == 1, -1, a)),
    ],
)
def test_contradictions_are_found(share, pruned, part, change):
    tensor = share(pruned(np.random.default_rng(0), (5, 7), 0.5), (0,), "rows", np.uint8)
    with pytest.raises(FormatError, match="'w'"):
        matrix_of(replace(tensor, **{part: change(getattr(tensor, part))}), (0,), "w")


def test_too_few_codes_are_found(share, pruned):
    tensor = share(pruned(np.random.default_rng(0), (5, 7), 0.5), (0,), "rows", np.uint8, sparse=False)
    with pytest.raises(FormatError, match="codes for"):
        matrix_of(replace(tensor, codes=tensor.codes[:-1]), (0,), "w")


@pytest.mark.parametrize("axes", [(0,), (1,)])
def test_memory_of_others_is_copied(axes):
    w = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    for theirs in (np.frombuffer(bytearray(w), np.float32).reshape(5, 7), w.view()):
        matrix = matrix_of(DenseTensor.of(theirs), axes, "w")
        assert np.may_share_memory(matrix.codes, theirs) == (theirs.base is w)
        np.testing.assert_array_equal(rebuilt(matrix), w if axes == (0,) else w.T)
