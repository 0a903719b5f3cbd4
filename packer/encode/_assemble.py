"""Payloads from sequences of symbols: Huffman tables, entry table, data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.codebooks import codebook_bytes, codebook_form
from ...format_spec.coded_head import write_entry, write_head
from ...format_spec.coding import MAX_BLOCK_POSITIONS, SPLIT_FROM, SUBSTREAMS, CodecId, substream_counts
from ...format_spec.huffman import canonical_codes, code_lengths, write_table
from ._kernels import encode_blocks, histogram

if TYPE_CHECKING:
    from ...format_spec.tensors import Order, SharedTensor

BLOCK_ENTRIES = 3 << 15
"""Entries that a block should have: some 64 Ki to 128 Ki, so that substreams' ends cost little and caches hold a block."""


@dataclass(frozen=True)
class Encoded:
    """A payload, the id of the codec that decodes it, and its bytes by category (their sum is its length)."""

    codec: int
    payload: bytes
    items: Mapping[str, int]

    @classmethod
    def of(cls, codec: CodecId, parts: Mapping[str, bytes], data: bytes | memoryview, shares: Mapping[str, int]) -> Encoded:
        """The payload that is ``parts`` by their categories, then ``data``, of which categories have ``shares``."""
        items = {name: len(part) for name, part in parts.items()}
        return cls(codec, b"".join((*parts.values(), data)), {**items, **shares})


@dataclass(frozen=True, eq=False)
class Sequence8:
    """One kind of symbols of a tensor: ``symbols`` uint8, ``cuts`` (blocks + 1,) where blocks begin, ``alphabet`` size."""

    symbols: np.ndarray
    cuts: np.ndarray
    alphabet: int


@dataclass(frozen=True, eq=False)
class PrefixCodes:
    """A Huffman code for each kind of symbols.

    ``tables`` as the file has them; ``words`` (sequences, 256) uint64: code << 4 | length; ``coded`` (sequences,) bool: false
    where the only symbol takes no bits; ``bits`` of all symbols.
    """

    tables: bytes
    words: np.ndarray
    coded: np.ndarray
    bits: int

    def room(self, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Zeros, uint8 and int64: as many as the substreams' bytes and 8 more at most, and as many as substreams at most."""
        substreams = np.zeros(cuts.size * SUBSTREAMS, np.int64)
        return np.zeros(8 + self.bits // 8 + len(substreams), np.uint8), substreams


def prefix_codes(histograms: Sequence[np.ndarray]) -> PrefixCodes:
    """The codes of symbols with these counts, (alphabet,) int64 each."""
    tables, words, coded, total = b"", np.zeros((len(histograms), 256), np.uint64), np.zeros(len(histograms), bool), 0
    for index, counts in enumerate(histograms):
        lengths = code_lengths(counts if counts.any() else np.arange(len(counts)) == 0)
        tables += write_table(lengths)
        bits = np.maximum(lengths, 0)
        words[index, : len(counts)] = canonical_codes(lengths) << 4 | bits
        coded[index] = bits.any()
        total += int(counts @ bits)
    return PrefixCodes(tables, words, coded, total)


def count_symbols(sequence: Sequence8) -> np.ndarray:
    """(alphabet,) int64: how often each symbol occurs."""
    counts = np.zeros(sequence.alphabet, np.int64)
    histogram(sequence.symbols, counts)
    return counts


def choose_block_majors(majors: int, minor_length: int, entries: int) -> int:
    """Majors per block such that a block has about :data:`BLOCK_ENTRIES` entries, or one major when that has more."""
    wanted = round(majors * BLOCK_ENTRIES / max(entries, 1))
    return max(1, min(wanted, majors, MAX_BLOCK_POSITIONS // minor_length))


def code_sequences(codes: np.ndarray, cuts: np.ndarray, alphabet: int) -> list[Sequence8]:
    """Codes as one sequence, or as low and high bytes when the alphabet is too large for one table."""
    if alphabet <= 256:
        return [Sequence8(codes.astype(np.uint8, copy=False), cuts, alphabet)]
    low, high = (codes & 255).astype(np.uint8), (codes >> 8).astype(np.uint8)
    return [Sequence8(low, cuts, 256), Sequence8(high, cuts, (alphabet - 1 >> 8) + 1)]


def assemble(
    codec: CodecId,
    tensor: SharedTensor,
    block_majors: int,
    gap_width: int,
    sequences: Sequence[Sequence8],
    nonzeros: np.ndarray | None,
) -> Encoded:
    """The payload of ``sequences``: gaps, when there are any, then codes. ``nonzeros`` (blocks,): ``None`` without gaps."""
    prefix = prefix_codes([count_symbols(sequence) for sequence in sequences])
    cuts = np.stack([sequence.cuts for sequence in sequences])
    data, substreams = prefix.room(cuts)
    arrays = [sequence.symbols for sequence in sequences]
    padding = [np.zeros(0, np.uint8)] * (3 - len(arrays))
    size = encode_blocks(*_read_only(arrays + padding), cuts, prefix.words, prefix.coded, SPLIT_FROM, data, substreams)
    entries, sizes = entry_table(cuts, substreams, stated_counts(cuts, nonzeros))
    shares = {"gaps": sizes.pop(0)} if codec != CodecId.SHARED else {}
    parts = opening(codec, tensor.codebook, tensor.order, block_majors, gap_width)
    parts |= {"tables": prefix.tables, "entries": entries}
    return Encoded.of(codec, parts, data[:size].data, {**shares, "codes": sum(sizes)})


def _read_only(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    views = [array.view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views


def stated_counts(cuts: np.ndarray, nonzeros: np.ndarray | None) -> Iterable[tuple[int, ...]]:
    """The counts that the entry of each block has: of nonzeros (blocks,) and of symbols of the first sequence, the gaps, or
    none where there are no gaps."""
    if nonzeros is None:
        return [()] * (cuts.shape[1] - 1)
    return zip(nonzeros.tolist(), np.diff(cuts[0]).tolist(), strict=True)


def opening(codec: CodecId, codebook: np.ndarray, order: Order, block_majors: int, width: int) -> dict[str, bytes]:
    """What a coded payload begins with, by category; ``width``: see :func:`~tersor.format_spec.coded_head.write_head`."""
    form = codebook_form(codebook)
    return {
        "head": write_head(codec, len(codebook), order, form, block_majors, width),
        "codebook": codebook_bytes(codebook, form),
    }


def entry_table(cuts: np.ndarray, substreams: np.ndarray, stated: Iterable[tuple[int, ...]]) -> tuple[bytes, list[int]]:
    """The entry table, and the data bytes of each sequence in all blocks.

    ``cuts`` (sequences, blocks + 1): where blocks begin in the sequences. ``substreams``: their bytes, block after block.
    ``stated``: the counts that the entry of each block has.
    """
    table, sizes, left = bytearray(), [0] * len(cuts), iter(substreams.tolist())
    for symbols, counts in zip(np.diff(cuts).T.tolist(), stated, strict=True):
        lengths = [[*islice(left, len(substream_counts(count)))] for count in symbols]
        sizes = [size + sum(own) for size, own in zip(sizes, lengths, strict=True)]
        table += write_entry(counts, [*chain.from_iterable(lengths)])
    return bytes(table), sizes
