"""Sizes of candidates from histograms, before anything is encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import MAX_ALPHABET
from ...format_spec.huffman import code_lengths, write_table
from ._kernels import prefix_code_bits

if TYPE_CHECKING:
    from collections.abc import Iterable

GAP_ALPHABETS = tuple(1 << width for width in range(1, 9))
"""Gap alphabet sizes that are tried."""

GAP_BINS = 1 << 13
"""Gaps from here on count as one: they are rare, and cost any alphabet many escapes."""

SLACK = 1 / 256
"""Share of the gaps' bits given for fewer symbols: a decoder's time goes with their number."""


def coded_bits(counts: np.ndarray) -> int:
    """Bits of a sequence with these symbol ``counts`` (alphabet,), its table included."""
    if not counts.any():
        return 0
    lengths = code_lengths(counts)
    return int(counts @ np.maximum(lengths, 0)) + 8 * len(write_table(lengths))


def fewest_bits(counts: np.ndarray) -> int:
    """A lower bound of :func:`coded_bits` that costs little: no limit to the lengths, and a bit a symbol for the table."""
    used = np.sort(counts[counts > 0])
    return int(prefix_code_bits(used)) + len(used)


def wide_coded_bits(counts: np.ndarray) -> int:
    """As :func:`coded_bits`, with low and high bytes apart when the alphabet is too large for one table."""
    if len(counts) <= MAX_ALPHABET:
        return coded_bits(counts)
    padded = np.zeros(-(-len(counts) // MAX_ALPHABET) * MAX_ALPHABET, np.int64)
    padded[: len(counts)] = counts
    table = padded.reshape(-1, MAX_ALPHABET)
    return coded_bits(table.sum(axis=0)) + coded_bits(table.sum(axis=1))


def gap_symbol_counts(gaps: np.ndarray, alphabet: int) -> np.ndarray:
    """Counts (alphabet,) int64 of the symbols that gaps with this histogram, (bins,) int64, take."""
    sizes, escape = np.arange(len(gaps)), alphabet - 1
    counts = np.zeros(alphabet, np.int64)
    np.add.at(counts, sizes % escape, gaps)
    counts[escape] = int(gaps @ (sizes // escape))
    return counts


@dataclass(frozen=True, order=True)
class GapChoice:
    """A gap alphabet and what it costs."""

    alphabet: int
    bits: int


def best_gap_alphabet(gaps: np.ndarray, worth: float, alphabets: Iterable[int] = GAP_ALPHABETS) -> GapChoice | None:
    """Of the alphabets within :data:`SLACK` of the fewest bits for gaps with this histogram, the one with the fewest symbols.

    ``None`` when every one surely takes ``worth`` bits or more.
    """
    trimmed = gaps[: int(np.flatnonzero(gaps)[-1]) + 1]
    candidates = [(fewest_bits(counts), a, counts) for a in alphabets for counts in [gap_symbol_counts(trimmed, a)]]
    fewest, tried = worth, []
    for bound, alphabet, counts in sorted(candidates, key=lambda candidate: candidate[:2]):
        if bound >= fewest * (1 + SLACK):
            break
        tried.append((int(counts.sum()), GapChoice(alphabet, coded_bits(counts))))
        fewest = min(fewest, tried[-1][1].bits)
    return min((t for t in tried if t[1].bits <= fewest * (1 + SLACK)), default=(0, None))[1]
