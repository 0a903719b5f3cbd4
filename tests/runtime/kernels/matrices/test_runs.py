"""Weights in the order of batches and of single vectors: all of them, and short ones first."""

from __future__ import annotations

import numpy as np
import pytest

from tersor.runtime.kernels.matrices.lines import make_lines, make_sorted_lines
from tersor.runtime.kernels.matrices.matrix import matrix_of
from tersor.runtime.kernels.matrices.runs import block_width, make_runs


@pytest.fixture
def matrix(share, pruned):
    return matrix_of(share(pruned(np.random.default_rng(0), (50, 70), 0.2), (0,), "rows", np.uint8), (0,), "w")


@pytest.mark.parametrize("by_rows", [True, False])
def test_sorted_lines_are_the_lines_short_ones_first(matrix, by_rows):
    lines, ordered = make_lines(matrix, by_rows), make_sorted_lines(matrix, by_rows)
    assert sorted(ordered.place) == list(range(50 if by_rows else 70))
    assert np.all(np.diff(np.diff(ordered.start)) >= 0)
    for i, place in enumerate(ordered.place):
        here, there = slice(*ordered.start[i : i + 2]), slice(*lines.start[place : place + 2])
        assert ordered.minor[here].tolist() == lines.minor[there].tolist()
        assert ordered.code[here].tolist() == lines.code[there].tolist()


@pytest.mark.parametrize("panels", [1, 3])
def test_runs_hold_every_weight_once_short_ones_first(matrix, panels):
    lines = make_lines(matrix, by_rows=True)
    runs, dense, at = make_runs(lines, 16, panels), np.zeros((50, 70), np.float32), 0
    blocks = -(-70 // 16)
    for group in range(panels * blocks):
        here = slice(*runs.first[group : group + 2])
        panel, block = divmod(group, blocks)
        if block == 0:
            assert at == runs.entry[panel]
            assert sorted(runs.row[here]) == list(range(runs.panels[panel + 1] - runs.panels[panel]))
        assert np.all(np.diff(runs.length[here].astype(int)) >= 0)
        for row, length in zip(runs.row[here], runs.length[here], strict=True):
            columns = block * 16 + runs.offset[at : at + length]
            dense[runs.panels[panel] + row, columns] = runs.codebook[runs.code[at : at + length]]
            at += length
    expected = np.zeros((50, 70), np.float32)
    expected[np.repeat(np.arange(50), np.diff(lines.start)), lines.minor] = lines.codebook[lines.code]
    np.testing.assert_array_equal(dense, expected)


def test_sparse_matrices_get_wide_blocks():
    assert block_width(64, 0.5) < block_width(64, 0.1) < block_width(64, 0.01) == block_width(64, 0.0)
    assert block_width(64, 0.1) < block_width(16, 0.05)
