"""Entries in the order of visits: of the weights that they were arranged for, in memory that these account for."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tersor.format_spec.errors import FormatError
from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.conv.layout import Tiling
from tersor.runtime.kernels.conv.sparse.stream import arrange, cut_channels, list_entries, make_stream
from tersor.runtime.kernels.matrices.matrix import matrix_of


@pytest.mark.parametrize("code", [np.uint8, np.float32])
@pytest.mark.parametrize(("T", "shifts"), [(1, 1), (2, 1), (1, 2), (1, 3), (2, 2), (2, 3)])
@pytest.mark.parametrize("change", ["more", "fewer", "others", "columns"])
def test_entries_of_other_weights_are_refused(share, pruned, T, shifts, code, change):
    rng, tiling = np.random.default_rng(0), Tiling(T, 2, 16, "rows", 2, (3, 3), shifts=shifts)
    w = pruned(rng, (6, 8, 3, 3), 0.4)

    def matrix(weights):
        tensor = DenseTensor.of(weights) if code is np.float32 else share(weights, (0,), "rows", code)
        return matrix_of(tensor, (0,), "w")

    arranged = arrange(matrix(w), 8, 1, tiling, 1)
    assert np.array_equal(list_entries(matrix(w), arranged, 8, 1, tiling).words, make_stream(matrix(w), 8, 1, tiling, 1).words)
    other = {"more": np.where(w == 0, w.max(), w), "fewer": np.where(w == w.max(), 0, w), "others": np.roll(w, 2, axis=1)}
    other["columns"] = np.roll(w, 1, axis=3 if shifts > 1 else 0)  # with shifts, as many in each block
    with pytest.raises(FormatError, match="its file has been written to"):
        list_entries(matrix(other[change].astype(np.float32)), arranged, 8, 1, tiling)


@pytest.mark.parametrize("T", [1, 2])
def test_many_groups_take_memory_by_their_weights(T):
    groups = 3000
    weights = matrix_of(DenseTensor.of(np.ones((2 * groups, 1, 1, 1), np.float32)), (0,), "w")
    tiling = Tiling(T, 1, 8, "flat", 1)
    list_entries(weights, arrange(weights, groups, groups, tiling, 2), groups, groups, tiling)
    tracemalloc.start()
    try:
        list_entries(weights, arrange(weights, groups, groups, tiling, 2), groups, groups, tiling)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1000 * 2 * groups  # a number for each group and each row would be 18 million


@given(channels=st.integers(0, 40), groups=st.sampled_from([1, 2, 4, 40]), block=st.integers(1, 64))
def test_blocks_never_split_a_group_they_do_not_fill(channels, groups, block):
    channels -= channels % groups
    cuts = cut_channels(channels, groups, block)
    assert cuts[0] == 0
    assert cuts[-1] == channels
    size = channels // groups
    for first, last in pairwise(cuts):
        assert last - first <= max(block, 1) or channels == 0 or last - first == size
        if size and last > first:
            assert first // size == (last - 1) // size or (first % size == 0 and last % size == 0)
