"""Pairs of frequent codes as one symbol each: where ideal lengths are far from whole bits, those of pairs are nearer.

A pair that is not taken costs nothing, because contexts know of it: the second code of a pair has an entry of its own in the
codebook, a copy, so that the last code of a word tells whether a pair has just ended (anything may follow), or a code that
begins pairs stands alone (then none of the codes that end them follows).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...format_spec.coding import MAX_GROUPED_CODEBOOK, SPLIT_FROM
from ._contexts import Choice, Symbols, counts_of, merged_choice
from ._word_kernels import mark_seconds

PAIRED = ((6, 6), (10, 7), (12, 10))
"""How many codes, the most frequent, begin and end pairs: what is tried."""

PAIR_GAIN = 512
"""Pairs have to save one part in so many of the codes: their words take longer to decode."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """The order of a codebook with copies: ``entries`` int64, the code that each stands for.

    First come the copies of ``seconds`` codes, then codes that begin no pair, then ``firsts`` codes that do.
    """

    entries: np.ndarray
    firsts: int
    seconds: int
    phrases: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, counts: np.ndarray, firsts: int, seconds: int) -> Pairs:
        """Pairs of the most frequent codes.

        Each part of the codebook keeps its order, which linear ones are shorter for. Every pair is a phrase, frequent ones
        first, after those whose first code ends no pair: so the lengths of codes change seldom, and tables are short.
        """
        frequent = np.argsort(-counts, kind="stable")
        parts = frequent[:seconds], frequent[firsts:], frequent[:firsts]
        entries = np.concatenate([np.sort(part) for part in parts])
        begin = len(entries) - firsts
        ends = np.isin(entries[begin:], entries[:seconds])
        often = np.where(ends, 1, counts.sum()) * counts[entries[begin:]]
        order = np.argsort(-np.outer(often, counts[entries[:seconds]]).reshape(-1), kind="stable")
        phrases = tuple((begin + int(pair) // seconds, int(pair) % seconds) for pair in order)
        return cls(entries, firsts, seconds, phrases)

    @property
    def begin(self) -> int:
        """The first entry that begins pairs."""
        return len(self.entries) - self.firsts

    def mark(self, codes: Symbols) -> Symbols:
        """The codes, in the order of ``entries``, with the second codes of pairs marked; the class tells what may follow."""
        numbers, copies = np.empty(codes.base, np.uint16), np.full(codes.base, -1, np.int16)
        numbers[self.entries[self.seconds :]] = np.arange(self.seconds, len(self.entries))
        copies[self.entries[: self.seconds]] = np.arange(self.seconds)
        marked = np.empty_like(codes.symbols)
        mark_seconds(codes.symbols, codes.cuts, SPLIT_FROM, numbers, copies, self.begin, marked)
        return Symbols(marked, codes.cuts, len(self.entries), (self.begin,), np.zeros(0, np.uint8))


def choose_pairs(codes: Symbols, scale: int) -> tuple[Pairs, Choice] | None:
    """The pairs with the fewest bits by estimate; ``scale``: see :func:`._contexts.choose_structure`."""
    counts = np.bincount(codes.symbols, minlength=codes.base)
    tried = []
    for firsts, seconds in PAIRED:
        if max(firsts, seconds) <= codes.base <= MAX_GROUPED_CODEBOOK - seconds:
            pairs = Pairs.of(counts, firsts, seconds)
            marked = pairs.mark(codes)
            by_class = counts_of(marked, pairs.phrases, marked.class_cuts).sum(axis=1)[:, None]
            tried.append((pairs, merged_choice(pairs.phrases, marked.class_cuts, False, by_class, scale)))
    return min(tried, key=lambda found: found[1].bits, default=None)
