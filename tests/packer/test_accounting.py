from __future__ import annotations

from dataclasses import replace
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec.tensors import DenseTensor, SharedTensor
from tersor.packer.accounting import (
    AccountTotal,
    LayerAccount,
    account_dense,
    account_pruned,
    account_shared,
    bits_for,
    huffman_bits,
    stored_gaps,
)
from tersor.packer.quantize.find_shared import find_shared

# Deep Compression, Tables 2 to 5: weights, density %, then P+Q and P+Q+H of: weight bits, index bits, rate %.
TABLES: dict[str, dict[str, tuple[int, float, int, float, int, float, float, float]]] = {
    "LeNet-300-100": {
        "ip1": (235_200, 8, 6, 4.4, 5, 3.7, 3.1, 2.32),
        "ip2": (30_000, 9, 6, 4.4, 5, 4.3, 3.8, 3.04),
        "ip3": (1_000, 26, 6, 4.3, 5, 3.2, 15.7, 12.7),
    },
    "LeNet-5": {
        "conv1": (500, 66, 8, 7.2, 5, 1.5, 78.5, 67.45),
        "conv2": (25_000, 12, 8, 7.2, 5, 3.9, 6.0, 5.28),
        "ip1": (400_000, 8, 5, 4.5, 5, 4.5, 2.7, 2.45),
        "ip2": (5_000, 19, 5, 5.2, 5, 3.7, 6.9, 6.13),
    },
    "AlexNet": {
        "conv1": (34_848, 84, 8, 6.3, 4, 1.2, 32.6, 20.53),
        "conv2": (307_200, 38, 8, 5.5, 4, 2.3, 14.5, 9.43),
        "conv3": (884_736, 35, 8, 5.1, 4, 2.6, 13.1, 8.44),
        "conv4": (663_552, 37, 8, 5.2, 4, 2.5, 14.1, 9.11),
        "conv5": (442_368, 37, 8, 5.6, 4, 2.5, 14.0, 9.43),
        "fc6": (37_748_736, 9, 5, 3.9, 4, 3.2, 3.0, 2.39),
        "fc7": (16_777_216, 9, 5, 3.6, 4, 3.7, 3.0, 2.46),
        "fc8": (4_096_000, 25, 5, 4, 4, 3.2, 7.3, 5.85),
    },
    "VGG-16": {
        "conv1_1": (1_728, 58, 8, 6.8, 5, 1.7, 40.0, 29.97),
        "conv1_2": (36_864, 22, 8, 6.5, 5, 2.6, 9.8, 6.99),
        "conv2_1": (73_728, 34, 8, 5.6, 5, 2.4, 14.3, 8.91),
        "conv2_2": (147_456, 36, 8, 5.9, 5, 2.3, 14.7, 9.31),
        "conv3_1": (294_912, 53, 8, 4.8, 5, 1.8, 21.7, 11.15),
        "conv3_2": (589_824, 24, 8, 4.6, 5, 2.9, 9.7, 5.67),
        "conv3_3": (589_824, 42, 8, 4.6, 5, 2.2, 17.0, 8.96),
        "conv4_1": (1_179_648, 32, 8, 4.6, 5, 2.6, 13.1, 7.29),
        "conv4_2": (2_359_296, 27, 8, 4.2, 5, 2.9, 10.9, 5.93),
        "conv4_3": (2_359_296, 34, 8, 4.4, 5, 2.5, 14.0, 7.47),
        "conv5_1": (2_359_296, 35, 8, 4.7, 5, 2.5, 14.3, 8.0),
        "conv5_2": (2_359_296, 29, 8, 4.6, 5, 2.7, 11.7, 6.52),
        "conv5_3": (2_359_296, 36, 8, 4.6, 5, 2.3, 14.8, 7.79),
        "fc6": (102_760_448, 4, 5, 3.6, 5, 3.5, 1.6, 1.1),
        "fc7": (16_777_216, 4, 5, 4, 5, 4.3, 1.5, 1.25),
        "fc8": (4_096_000, 23, 5, 4, 5, 3.4, 7.1, 5.24),
    },
}

# What the rows printed in the paper add up to (%, P+Q and P+Q+H); the printed totals differ for all but AlexNet.
ROW_SUMS = {"LeNet-300-100": (None, 2.44), "LeNet-5": (None, 2.73), "AlexNet": (3.71, 2.90), "VGG-16": (3.00, 1.90)}

ROWS = [(network, layer) for network, layers in TABLES.items() for layer in layers]


def plain_gaps(positions: list[int], bits: int) -> tuple[list[int], int]:
    """The paper's relative index, entry by entry."""
    counts, fillers, previous = [0] * (1 << bits), 0, -1
    for position in positions:
        while position - previous > 1 << bits:
            previous += 1 << bits
            counts[-1] += 1
            fillers += 1
        counts[position - previous - 1] += 1
        previous = position
    return counts, fillers


def simulated(network: str, layer: str) -> LayerAccount:
    """A row from its printed density and bits, its nonzeros drawn independently; long layers from a sample of 2,000,000."""
    weights, density, bits, coded_bits, index_bits, coded_index_bits, _, _ = TABLES[network][layer]
    sample = min(weights, 2_000_000)
    positions = np.flatnonzero(np.random.default_rng(1).random(sample) < density / 100)
    _, fillers = stored_gaps(positions, index_bits)
    nonzeros, scaled = round(len(positions) * weights / sample), round(fillers * weights / sample)
    return LayerAccount(layer, weights, nonzeros, scaled, bits, index_bits, coded_bits, coded_index_bits)


@pytest.mark.parametrize(("network", "layer"), ROWS)
def test_rows_follow_from_the_printed_densities(network: str, layer: str):
    printed_pq, printed_pqh = TABLES[network][layer][6:]
    account = simulated(network, layer)
    # Densities are printed as whole per cents: half a per cent of 4 is an eighth. Real nonzeros cluster, so that fully
    # connected layers need up to a tenth fewer fillers than independent ones.
    tolerance = 0.05 + 0.5 / TABLES[network][layer][1]
    assert 100 * account.pq_rate == pytest.approx(printed_pq, rel=tolerance)
    assert 100 * account.pqh_rate == pytest.approx(printed_pqh, rel=tolerance)


@pytest.mark.parametrize("network", TABLES)
def test_printed_rows_add_up(network: str):
    rows = TABLES[network].values()
    weights = sum(row[0] for row in rows)
    for column, expected in zip((6, 7), ROW_SUMS[network], strict=True):
        if expected is not None:
            assert sum(row[0] * row[column] for row in rows) / weights == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize("network", TABLES)
def test_the_total_weighs_rows_by_size(network: str):
    accounts = [simulated(network, layer) for layer in TABLES[network]]
    total = AccountTotal.of(accounts)
    assert total.weights == sum(a.weights for a in accounts)
    assert total.pq_rate == pytest.approx(sum(a.pq_rate * a.weights for a in accounts) / total.weights)
    assert total.pqh_rate == pytest.approx(sum(a.pqh_rate * a.weights for a in accounts) / total.weights)


def test_the_rate_is_the_papers_formula():
    account = LayerAccount(
        "w", weights=1000, nonzeros=80, fillers=4, weight_bits=5, index_bits=4, huffman_weight_bits=3.5, huffman_index_bits=3
    )
    assert account.density == 0.08
    assert account.pq_rate == (84 * 9 + 32 * 32) / 32_000
    assert account.pqh_rate == (84 * 6.5 + 32 * 32) / 32_000


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 5000), max_size=60), st.integers(1, 8))
def test_gaps_equal_the_plain_walk(positions: set[int], bits: int):
    ordered = sorted(positions)
    counts, fillers = stored_gaps(np.array(ordered, np.int64), bits)
    assert (counts.tolist(), fillers) == plain_gaps(ordered, bits)
    assert counts.sum() == len(ordered) + fillers


@pytest.mark.parametrize("order", ["rows", "columns"])
def test_a_tensor_counts_like_its_flat_positions(order: str):
    generator = np.random.default_rng(4)
    levels = np.array([-2, -1, 1, 2], np.float32)[generator.integers(0, 4, (60, 70))]
    levels[generator.random((60, 70)) > 0.05] = 0
    shared = find_shared(levels, (0,), "rows" if order == "rows" else "columns")
    assert shared is not None
    flat = (levels if order == "rows" else levels.T).reshape(-1)
    gaps, fillers = stored_gaps(np.flatnonzero(flat), 3)
    account = account_shared("w", shared, 3)
    assert (account.weights, account.nonzeros, account.fillers) == (4200, np.count_nonzero(flat), fillers)
    assert (account.weight_bits, account.index_bits) == (2, 3)
    assert account.huffman_index_bits == huffman_bits(gaps)


def test_a_tensor_without_zeros_has_no_index():
    shared = find_shared(np.tile(np.arange(1, 33, dtype=np.float32), (100, 1)), (0,))
    assert shared is not None
    account = account_shared("w", shared)
    assert (account.density, account.index_bits, account.fillers, account.weight_bits) == (1, 0, 0, 5)
    assert 1 / account.pq_rate == pytest.approx(3200 * 32 / (3200 * 5 + 32 * 32))  # Equation 1
    assert account.pqh_rate == account.pq_rate


def test_a_tensor_without_zeros_has_no_index_with_positions_either():
    codebook = np.arange(1, 33, dtype=np.float32)
    codes = np.tile(np.arange(32, dtype=np.uint8), 100)
    starts, minors = np.arange(0, 3201, 32), np.tile(np.arange(32, dtype=np.uint32), 100)
    listed = SharedTensor(codebook.dtype, (100, 32), (0,), "rows", starts, minors, codes, codebook)
    plain = replace(listed, starts=None, minors=None)
    assert account_shared("w", listed, 8) == account_shared("w", plain, 8)


def test_zeros_inside_a_codebook_are_not_entries():
    array = np.zeros((50, 50), np.float32)
    array[::5] = 1
    shared = find_shared(array, (0,))
    assert shared is not None
    sparse = account_shared("w", shared)
    dense_codes = (array.reshape(-1) != 0).astype(np.uint8)
    dense = type(shared)(shared.dtype, shared.shape, (0,), "rows", None, None, dense_codes, np.array([0, 1], np.float32))
    assert account_shared("w", dense) == sparse


def test_a_tensor_kept_whole_has_rate_one():
    account = account_dense("w", DenseTensor.of(np.eye(10, dtype=np.float32)), 10)
    assert (account.pq_rate, account.pqh_rate, account.density) == (1, 1, 0.1)


def test_a_tensor_that_is_pruned_but_not_shared_has_entries_of_full_width():
    array = np.zeros((10, 100), np.float32)
    array[:, ::10] = np.arange(1, 101).reshape(10, 10)
    array[0, 1] = -0.0
    account = account_pruned("w", array, 3)
    assert (account.nonzeros, account.fillers, account.codebook_bits) == (100, 99, 0)  # gaps of 10 take a filler at 8
    assert account.pq_bits == 199 * (32 + 3)
    wide = account_pruned("w", array, 4)
    assert (wide.fillers, wide.pq_bits) == (0, 100 * (32 + 4))
    assert wide.pqh_bits == 100 * (32 + wide.huffman_index_bits) < wide.pq_bits


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_weights_of_other_types_count_by_their_own_width(dtype: type):
    array = np.zeros((50, 50), dtype)
    array[::5] = 1
    shared, bits = find_shared(array, (0,)), 8 * array.itemsize
    assert shared is not None
    account = account_shared("w", shared)
    assert (account.original_bits, account.codebook_bits) == (2500 * bits, bits)
    whole = account_dense("w", DenseTensor.of(array), 500)
    assert (whole.original_bits, whole.pq_rate, whole.pqh_rate) == (2500 * bits, 1, 1)


def test_nothing_has_rates_of_zero():
    account = LayerAccount("w", 0, 0, 0, 0, 0, 0, 0)
    total = AccountTotal.of([])
    assert (account.density, account.pq_rate, account.pqh_rate) == (0, 0, 0)
    assert (total.density, total.pq_rate, total.pqh_rate) == (0, 0, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 1000), max_size=40))
def test_huffman_bits_are_between_the_entropy_and_one_more(counts: list[int]):
    found = huffman_bits(np.array(counts, np.int64))
    used = [count for count in counts if count]
    total = sum(used)
    entropy = -sum(count / total * log2(count / total) for count in used)
    assert entropy - 1e-9 <= found <= (entropy + 1 if len(used) > 1 else 0) + 1e-9


def test_huffman_bits_of_known_codes():
    assert huffman_bits(np.array([1, 1, 2, 4])) == (3 + 3 + 4 + 4) / 8
    assert huffman_bits(np.array([4, 1, 2, 1])) == (3 + 3 + 4 + 4) / 8
    assert huffman_bits(np.array([7])) == 0
    assert huffman_bits(np.array([], np.int64)) == 0


@pytest.mark.parametrize(("count", "bits"), [(0, 0), (1, 0), (2, 1), (3, 2), (256, 8), (257, 9)])
def test_fixed_width(count: int, bits: int):
    assert bits_for(count) == bits
