"""Choosing how a sequence is coded: phrases, contexts, and which contexts share a Huffman code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...format_spec.coding import MAX_CLASSES, MAX_PHRASES, MAX_TABLES, POSITION_CLASSES, SPLIT_FROM
from ...format_spec.huffman import code_lengths
from ...format_spec.word_models import Model, longest_word
from ._word_kernels import count_pairs, count_words, merge_contexts

PHRASE_SHARE = 1 / 40
"""A pair becomes a phrase when it is at least this share of the words: rarer ones gain nothing over two codes."""

ROUND_PHRASES = 16
"""Phrases found in one pass at most."""

CONTEXT_GAIN = 256
"""Contexts or phrases have to save one part in so many: plain sequences decode fastest."""


@dataclass(frozen=True, eq=False)
class Symbols:
    """A sequence kind: base ``symbols`` uint16, ``cuts`` (blocks + 1,) where blocks begin, ``base`` alphabet size.

    ``class_cuts``: see :class:`~tersor.format_spec.word_models.Model`; ``positions``: position classes uint8, empty without.
    """

    symbols: np.ndarray
    cuts: np.ndarray
    base: int
    class_cuts: tuple[int, ...]
    positions: np.ndarray

    def class_of(self, class_cuts: tuple[int, ...]) -> np.ndarray:
        """The class of each base symbol, (base,) int64."""
        return np.searchsorted(np.array(class_cuts, np.int64), np.arange(self.base), side="right")


@dataclass(frozen=True, eq=False)
class Structure:
    """A model but for its code lengths; ``contexts`` (8, 4) int64: the table of each context."""

    phrases: tuple[tuple[int, int], ...]
    class_cuts: tuple[int, ...]
    positional: bool
    contexts: np.ndarray

    @property
    def tables(self) -> int:
        """Number of Huffman codes."""
        return int(self.contexts.max()) + 1


@dataclass(frozen=True, eq=False)
class Choice:
    """A structure and about how many bits the sequence takes with it, tables included."""

    structure: Structure
    bits: int


def growth(base: int, phrases: tuple[tuple[int, int], ...]) -> np.ndarray:
    """The phrase that a word and a further symbol make, (base + phrases, base) int16, -1 where there is none."""
    grown = np.full((base + len(phrases), base) if phrases else (0, base), -1, np.int16)
    for index, pair in enumerate(phrases):
        grown[pair] = base + index
    return grown


def counts_of(sequence: Symbols, phrases: tuple[tuple[int, int], ...], class_cuts: tuple[int, ...]) -> np.ndarray:
    """Counts (8, 4, alphabet) int64 of words by context."""
    counts = np.zeros((MAX_CLASSES, POSITION_CLASSES, sequence.base + len(phrases)), np.int64)
    grown, class_of = growth(sequence.base, phrases), sequence.class_of(class_cuts)
    count_words(sequence.symbols, sequence.cuts, SPLIT_FROM, grown, class_of, sequence.positions, counts)
    return counts


def plain_bits(sequence: Symbols, scale: int = 1) -> int:
    """About how many bits the sequence takes with one table and no phrases; see :func:`choose_structure`."""
    counts = np.bincount(sequence.symbols, minlength=sequence.base)
    return merged_choice((), (), False, counts[None, None], scale).bits


def choose_structure(sequence: Symbols, scale: int = 1) -> Choice:
    """The structure with the fewest bits by estimate; the plain one unless another gains.

    The sequence is a sample, one part in ``scale`` of what it stands for: tables cost it so much less.
    """
    phrases = find_phrases(sequence.symbols, sequence.base)
    best = None
    for tried in ((), phrases) if phrases else ((),):
        counts = counts_of(sequence, tried, sequence.class_cuts)
        for choice in _choices(sequence, tried, counts, scale):
            best = better(best, choice)
    assert best is not None
    return best


def better(best: Choice | None, choice: Choice, gain: int = CONTEXT_GAIN) -> Choice:
    """The second one if it saves one part in ``gain``."""
    return choice if best is None or choice.bits + choice.bits // gain < best.bits else best


def _choices(sequence: Symbols, phrases: tuple[tuple[int, int], ...], counts: np.ndarray, scale: int) -> list[Choice]:
    """One table; tables by the class before; by that and the position class."""
    choices = [merged_choice(phrases, (), False, counts.sum(axis=(0, 1))[None, None], scale)]
    if sequence.class_cuts:
        choices.append(merged_choice(phrases, sequence.class_cuts, False, counts.sum(axis=1)[:, None], scale))
    if len(sequence.positions):
        choices.append(merged_choice(phrases, sequence.class_cuts, True, counts, scale))
    return choices


def merged_choice(
    phrases: tuple[tuple[int, int], ...], class_cuts: tuple[int, ...], positional: bool, counts: np.ndarray, scale: int
) -> Choice:
    """Merge contexts, (classes, position classes, alphabet) ``counts``; contexts that do not occur take the first table."""
    owner = np.zeros(counts.shape[0] * counts.shape[1], np.int64)
    bits = int(merge_contexts(np.ascontiguousarray(counts.reshape(len(owner), -1)), MAX_TABLES, scale, owner))
    kept = np.unique(owner[owner >= 0])
    tables = np.where(owner >= 0, np.searchsorted(kept, owner), 0).reshape(counts.shape[:2])
    contexts = np.zeros((MAX_CLASSES, POSITION_CLASSES), np.int64)
    contexts[: counts.shape[0]] = tables
    map_bits = (len(class_cuts) + 1) * (POSITION_CLASSES if positional else 1) * (max(len(kept), 1) - 1).bit_length()
    return Choice(Structure(phrases, class_cuts, positional, contexts), bits + (16 * len(phrases) + map_bits) // scale)


def _most_frequent(counts: np.ndarray, least: float, most: int) -> tuple[tuple[int, int], ...]:
    """Places of the largest ``counts``, none below ``least`` or 2, at most ``most`` of them."""
    flat = counts.reshape(-1)
    often = np.flatnonzero(flat >= max(least, 2))
    often = often[np.argsort(-flat[often], kind="stable")][:most]
    return tuple(divmod(int(pair), counts.shape[1]) for pair in often)


def find_phrases(symbols: np.ndarray, base: int) -> tuple[tuple[int, int], ...]:
    """Pairs of a word and a symbol that occur often, words growing from pass to pass."""
    phrases: list[tuple[int, int]] = []
    sizes = [1] * base
    for _ in range(longest_word(base) - 1):
        found = [pair for pair in _frequent_pairs(symbols, base, tuple(phrases)) if sizes[pair[0]] < longest_word(base)]
        found = found[: MAX_PHRASES - len(phrases)]
        if not found:
            break
        phrases += found
        sizes += [sizes[word] + 1 for word, _ in found]
    return tuple(phrases)


def _frequent_pairs(symbols: np.ndarray, base: int, phrases: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    counts = np.zeros((base + len(phrases), base), np.int32)
    words = count_pairs(symbols, growth(base, phrases), counts)
    return _most_frequent(counts, words * PHRASE_SHARE, ROUND_PHRASES)


def finish(sequence: Symbols, structure: Structure) -> tuple[Model, int]:
    """The model with the code lengths of the whole sequence, and the bits of its words."""
    counts = counts_of(sequence, structure.phrases, structure.class_cuts)
    if not structure.positional:
        counts = counts.sum(axis=1, keepdims=True)
    totals = np.zeros((structure.tables, counts.shape[2]), np.int64)
    for before, position in np.ndindex(counts.shape[:2]):
        totals[structure.contexts[before, position]] += counts[before, position]
    totals[:, 0] += ~totals.any(axis=1)
    tables = tuple(code_lengths(total) for total in totals)
    bits = sum(int(total @ np.maximum(lengths, 0)) for total, lengths in zip(totals, tables, strict=True))
    classes = len(structure.class_cuts) + 1
    used = structure.contexts[:classes] if structure.positional else structure.contexts[:classes, :1]
    contexts = tuple(used.reshape(-1).tolist())
    return Model(sequence.base, structure.phrases, structure.class_cuts, structure.positional, contexts, tables), bits
