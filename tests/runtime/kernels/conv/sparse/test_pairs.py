"""Pairs of output channels: which are chosen, and that their entries are all weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.tensors import DenseTensor
from tersor.runtime.kernels.conv.cost_model import PARTNERS, shared_entries
from tersor.runtime.kernels.conv.layout import Shape2D, Tiling
from tersor.runtime.kernels.conv.sparse.entries import Blocked, Blocks, Rows
from tersor.runtime.kernels.conv.sparse.pairs import pair_up
from tersor.runtime.kernels.conv.sparse.stream import cut_channels, make_stream
from tersor.runtime.kernels.conv.sparse.visits import AHEAD, FIRST, LAST, PRESENT
from tersor.runtime.kernels.matrices.matrix import matrix_of


def _rows(dense: np.ndarray) -> Rows:
    starts = np.concatenate([[0], np.cumsum(np.count_nonzero(dense, axis=1))])
    return Rows(starts, np.nonzero(dense)[1].astype(np.uint32), dense[dense != 0].view(np.uint32), False)


def _reference(dense: np.ndarray, blocks: Blocks, cuts: list[int], taps: int) -> list[tuple[int, int, int]]:
    """(block, first, second): the rows of each run by their weights, each with the one that shares the most with it."""
    found, kept = [], dense != 0
    for block in range(blocks.count):
        for group in range(blocks.groups):
            low, high = (np.clip(blocks.edges[block : block + 2] - group * blocks.inputs, 0, blocks.inputs) * taps).tolist()
            if low == high:
                continue
            inside, always = kept[:, low:high], low == 0 or high == blocks.inputs * taps
            for first, last in pairwise(cuts):
                rows = [r for r in range(first, last) if r // blocks.outputs == group and (always or inside[r].any())]
                rows.sort(key=lambda r: -inside[r].sum())
                while rows:
                    row = rows.pop(0)
                    both = [int(np.sum(inside[row] & inside[other])) for other in rows]
                    partner = rows.pop(both.index(max(both))) if rows else blocks.rows
                    found.append((block, row, partner))
    return found


@settings(max_examples=150, deadline=None)
@given(
    groups=st.integers(1, 3),
    outputs=st.integers(1, 20),
    inputs=st.integers(1, 12),
    taps=st.sampled_from([1, 4, 9]),
    block=st.integers(1, 30),
    density=st.sampled_from([0.0, 0.1, 0.4, 1.0]),
    cut=st.lists(st.integers(0, 60), max_size=3),
    seed=st.integers(0, 99),
)
def test_rows_are_paired_as_the_reference_does(groups, outputs, inputs, taps, block, density, cut, seed):
    rng, rows, channels = np.random.default_rng(seed), groups * outputs, groups * inputs
    dense = np.where(rng.random((rows, inputs * taps)) < density, rng.standard_normal((rows, inputs * taps)), 0)
    blocks = Blocks(cut_channels(channels, groups, block), channels, groups, rows)
    cuts = sorted({0, rows, *(min(c, rows) for c in cut)})
    found, pairs = pair_up(Blocked(_rows(dense.astype(np.float32)), blocks, taps), np.array(cuts))
    assert sorted(zip(found.tolist(), *pairs.T.tolist(), strict=True)) == sorted(_reference(dense, blocks, cuts, taps))


def test_partners_are_looked_for_among_so_many():
    rows = 2 * PARTNERS + 10
    dense = np.ones((rows, 3), np.float32)
    _, pairs = pair_up(Blocked(_rows(dense), Blocks(np.array([0, 3]), 3, 1, rows), 1), np.array([0, rows]))
    runs = pairs // (-(-rows // 3 // 2) * 2)
    assert np.array_equal(np.sort(pairs.reshape(-1)), np.arange(rows))
    assert np.all(runs[:, 0] == runs[:, 1])


@pytest.mark.parametrize("shifts", [1, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_entries_are_all_weights(shifts, groups):
    rng, tiling = np.random.default_rng(0), Tiling(2, 2, 16, "rows", 2, (3, 3), shifts=shifts)
    w = np.where(rng.random((14, 5, 3, 3)) < 0.4, rng.standard_normal((14, 5, 3, 3)), 0).astype(np.float32)
    stream = make_stream(matrix_of(DenseTensor.of(w), (0,), "w"), 5 * groups, groups, tiling, 3)
    block_of = np.repeat(np.arange(len(stream.block_visits)), np.diff(stream.block_visits[:, [0, -1]])[:, 0])
    seen, first, last = np.zeros_like(w), np.zeros(14, int), np.zeros(14, int)
    for visit, (block, flags) in enumerate(zip(block_of, stream.flags, strict=True)):
        channels = stream.channels[visit, : flags >> PRESENT]
        first[channels] += bool(flags & FIRST)
        last[channels] += bool(flags & LAST)
        for which in range(tiling.lists):
            begin, end = stream.start[visit * tiling.lists + which :][:2]
            mine = channels if which % 3 == 0 else channels[which % 3 - 1 : which % 3]
            for entry in stream.words[begin:end].reshape(-1, 1 + len(mine)):
                channel, vector = divmod(int(entry[0]), tiling.vectors)
                source = stream.block_channels[block] + channel - mine[0] // (14 // groups) * 5
                place = source, vector % tiling.rows, 2 - which // 3 if shifts == 3 else vector // tiling.rows
                assert np.all(seen[(mine, *place)] == 0)
                seen[(mine, *place)] = entry[1:].view(np.float32)
    assert np.array_equal(seen, w)
    assert np.all(first == 1)
    assert np.all(last == 1)
    assert np.all(stream.channels[-AHEAD:] == 0)


@pytest.mark.parametrize(("channels", "taps", "block"), [(256, 1, 64), (256, 1, 256), (64, 9, 16)])
@pytest.mark.parametrize("density", [0.1, 0.33])
@pytest.mark.parametrize(("outputs", "threads"), [(64, 1), (1024, 1), (1024, 2)])
def test_pairs_share_about_as_much_as_the_cost_model_says(channels, taps, block, density, outputs, threads):
    rng, side = np.random.default_rng(0), 1 if taps == 1 else 3
    shape = Shape2D(N=1, C=channels, H=14, W=14, M=outputs, OH=14, OW=14, kernel=(side, side), begin=(side // 2, side // 2))
    tiling = Tiling(2, 13, 16, "flat", block, (side, side))
    w = np.where(rng.random((outputs, channels, side, side)) < density, 1, 0).astype(np.float32)
    parts = 16 if threads == 2 else 1
    stream = make_stream(matrix_of(DenseTensor.of(w), (0,), "w"), channels, 1, tiling, parts)
    lists = np.diff(stream.start.astype(np.int64)).reshape(-1, 3)
    shared = lists[:, 0].sum() // 3
    assert stream.nonzeros == np.count_nonzero(w) == 2 * shared + lists[:, 1:].sum() // 2
    assert shared_entries(shape, tiling, stream.nonzeros, threads) == pytest.approx(shared, rel=0.12)
