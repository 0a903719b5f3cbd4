"""Recompute the P+Q rows of Tables 2 to 5 of *Deep Compression* (Han, Mao, Dally, ICLR 2016), printed beside computed.

Nonzeros are drawn independently at the printed densities and bits, listed with the paper's gaps and fillers, and counted by
``tersor.packer.accounting``. Printed totals are then held to the printed rows, each off by at most half of its last digit.

Run: python benchmarks/paper_tables.py [--seed 0]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from tersor.packer.accounting import AccountTotal, LayerAccount, stored_gaps


@dataclass(frozen=True)
class Row:
    """A printed row: density and rates in per cent, bits of a weight and of an index before and after Huffman coding."""

    layer: str
    weights: int
    density: float
    weight_bits: int
    huffman_weight_bits: float
    index_bits: int
    huffman_index_bits: float
    pq: float
    pqh: float


@dataclass(frozen=True)
class Network:
    """A printed table: its rows, the rates in per cent that its last line gives, and that line's bits of a coded weight."""

    rows: tuple[Row, ...]
    pq: float
    pqh: float
    huffman_weight_bits: float | None = None


NETWORKS = {
    "LeNet-300-100 (Table 2)": Network(
        (
            Row("ip1", 235_200, 8, 6, 4.4, 5, 3.7, 3.1, 2.32),
            Row("ip2", 30_000, 9, 6, 4.4, 5, 4.3, 3.8, 3.04),
            Row("ip3", 1_000, 26, 6, 4.3, 5, 3.2, 15.7, 12.7),
        ),
        3.1,
        2.49,
        5.1,
    ),
    "LeNet-5 (Table 3)": Network(
        (
            Row("conv1", 500, 66, 8, 7.2, 5, 1.5, 78.5, 67.45),
            Row("conv2", 25_000, 12, 8, 7.2, 5, 3.9, 6.0, 5.28),
            Row("ip1", 400_000, 8, 5, 4.5, 5, 4.5, 2.7, 2.45),
            Row("ip2", 5_000, 19, 5, 5.2, 5, 3.7, 6.9, 6.13),
        ),
        3.05,
        2.55,
    ),
    "AlexNet (Table 4)": Network(
        (
            Row("conv1", 34_848, 84, 8, 6.3, 4, 1.2, 32.6, 20.53),
            Row("conv2", 307_200, 38, 8, 5.5, 4, 2.3, 14.5, 9.43),
            Row("conv3", 884_736, 35, 8, 5.1, 4, 2.6, 13.1, 8.44),
            Row("conv4", 663_552, 37, 8, 5.2, 4, 2.5, 14.1, 9.11),
            Row("conv5", 442_368, 37, 8, 5.6, 4, 2.5, 14.0, 9.43),
            Row("fc6", 37_748_736, 9, 5, 3.9, 4, 3.2, 3.0, 2.39),
            Row("fc7", 16_777_216, 9, 5, 3.6, 4, 3.7, 3.0, 2.46),
            Row("fc8", 4_096_000, 25, 5, 4.0, 4, 3.2, 7.3, 5.85),
        ),
        3.7,
        2.88,
    ),
    "VGG-16 (Table 5)": Network(
        (
            Row("conv1_1", 1_728, 58, 8, 6.8, 5, 1.7, 40.0, 29.97),
            Row("conv1_2", 36_864, 22, 8, 6.5, 5, 2.6, 9.8, 6.99),
            Row("conv2_1", 73_728, 34, 8, 5.6, 5, 2.4, 14.3, 8.91),
            Row("conv2_2", 147_456, 36, 8, 5.9, 5, 2.3, 14.7, 9.31),
            Row("conv3_1", 294_912, 53, 8, 4.8, 5, 1.8, 21.7, 11.15),
            Row("conv3_2", 589_824, 24, 8, 4.6, 5, 2.9, 9.7, 5.67),
            Row("conv3_3", 589_824, 42, 8, 4.6, 5, 2.2, 17.0, 8.96),
            Row("conv4_1", 1_179_648, 32, 8, 4.6, 5, 2.6, 13.1, 7.29),
            Row("conv4_2", 2_359_296, 27, 8, 4.2, 5, 2.9, 10.9, 5.93),
            Row("conv4_3", 2_359_296, 34, 8, 4.4, 5, 2.5, 14.0, 7.47),
            Row("conv5_1", 2_359_296, 35, 8, 4.7, 5, 2.5, 14.3, 8.0),
            Row("conv5_2", 2_359_296, 29, 8, 4.6, 5, 2.7, 11.7, 6.52),
            Row("conv5_3", 2_359_296, 36, 8, 4.6, 5, 2.3, 14.8, 7.79),
            Row("fc6", 102_760_448, 4, 5, 3.6, 5, 3.5, 1.6, 1.1),
            Row("fc7", 16_777_216, 4, 5, 4.0, 5, 4.3, 1.5, 1.25),
            Row("fc8", 4_096_000, 23, 5, 4.0, 5, 3.4, 7.1, 5.24),
        ),
        3.2,
        2.05,
    ),
}

HALF_DIGIT = {"P+Q": 0.05, "P+Q+H": 0.005}
"""Half of the last digit of a printed rate, in points; a few rows have a digit less, in the reader's disfavour."""


def draw(row: Row, rng: np.random.Generator) -> LayerAccount:
    """The row from independent nonzeros: distances between them are geometric."""
    expected = row.weights * row.density / 100
    count = int(expected + 6 * expected**0.5) + 16
    positions = np.cumsum(rng.geometric(row.density / 100, count)) - 1
    positions = positions[positions < row.weights]
    _, fillers = stored_gaps(positions, row.index_bits)
    return LayerAccount(
        row.layer,
        row.weights,
        len(positions),
        fillers,
        row.weight_bits,
        row.index_bits,
        row.huffman_weight_bits,
        row.huffman_index_bits,
    )


def rows_total(network: Network, column: str) -> tuple[float, float]:
    """What the printed rows add up to in per cent, and by how much their rounding may shift it (points)."""
    weights = np.array([row.weights for row in network.rows], np.float64)
    rates = np.array([row.pq if column == "P+Q" else row.pqh for row in network.rows])
    return float(weights @ rates / weights.sum()), HALF_DIGIT[column]


def verdicts(network: Network) -> list[str]:
    """What the printed table cannot be right about, and why."""
    found = []
    for column, printed in (("P+Q", network.pq), ("P+Q+H", network.pqh)):
        total, slack = rows_total(network, column)
        apart = abs(total - printed) - slack - HALF_DIGIT["P+Q+H"]
        text = f"{column}: the printed rows add up to {total:.2f} % (+-{slack}), {100 / total:.1f}x; printed {printed} %"
        if apart <= 0:
            found.append(f"  {text}: consistent")
        elif apart < 0.01:
            found.append(f"  {text}: {apart:.3f} points more than rounding explains")
        else:
            found.append(f"  {text}: CANNOT BE RIGHT, {abs(total - printed):.2f} points apart")
    found.extend(
        f"  {row.layer}: {row.huffman_weight_bits} bits a coded weight CANNOT BE RIGHT: a Huffman code of 2^{row.weight_bits} "
        f"values takes {row.weight_bits} at most"
        for row in network.rows
        if row.huffman_weight_bits > row.weight_bits
    )
    most = max(row.huffman_weight_bits for row in network.rows)
    if network.huffman_weight_bits is not None and network.huffman_weight_bits > most:
        found.append(
            f"  total: {network.huffman_weight_bits} bits a coded weight CANNOT BE RIGHT: a mean of rows of at most {most} bits"
        )
    return found


def compare(name: str, network: Network, rng: np.random.Generator) -> float:
    """Print one table; return the largest relative difference of a P+Q row beyond what the density's rounding allows."""
    print(f"\n{name}\n  layer        weights  density  fillers   P+Q printed  computed   P+Q+H printed  computed")
    accounts, worst = [], 0.0
    for row in network.rows:
        account = draw(row, rng)
        accounts.append(account)
        pq, pqh = 100 * account.pq_rate, 100 * account.pqh_rate
        extra = account.fillers / max(account.nonzeros, 1)
        print(f"  {row.layer:8}{row.weights:12,}{row.density:7g} %{extra:8.1%}{row.pq:13g}{pq:10.2f}{row.pqh:16g}{pqh:10.2f}")
        worst = max(worst, abs(pq - row.pq) / row.pq - 0.5 / row.density)
    total = AccountTotal.of(accounts)
    print(
        f"  {'total':8}{total.weights:12,}{100 * total.density:7.1f} %{'':8}{network.pq:13g}{100 * total.pq_rate:10.2f}"
        f"{network.pqh:16g}{100 * total.pqh_rate:10.2f}"
    )
    print("\n".join(verdicts(network)))
    return worst


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    rng = np.random.default_rng(parser.parse_args().seed)
    worst = max(compare(name, network, rng) for name, network in NETWORKS.items())
    print(f"\nlargest difference of a computed P+Q row beyond the rounding of its density: {worst:.1%}")
    print("(densities are printed as whole per cents; real nonzeros cluster: fewer fillers)")


if __name__ == "__main__":
    main()
