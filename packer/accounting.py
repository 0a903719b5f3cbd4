"""The accounting of the Deep Compression paper (Han, Mao, Dally, ICLR 2016), Tables 2 to 5.

A layer is a list of entries: its nonzeros and the filler zeros that bridge gaps too long for the index. An entry is a weight
index (code) and a position index (gap). The codebook counts as ``2**weight_bits`` values of full width; biases and Huffman code
tables do not count. P is pruning, Q weight sharing, H Huffman coding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

import numpy as np

from ..format_spec.tensors import DenseTensor, SharedTensor, zero_codes


@dataclass(frozen=True)
class LayerAccount:
    """One row of the paper's tables.

    ``weights`` counts all weights of the layer, zeros included; ``fillers`` the zeros that are stored. ``weight_bits`` and
    ``index_bits`` are those of fixed-width codes and gaps, ``huffman_weight_bits`` and ``huffman_index_bits`` the averages of
    an entry after Huffman coding. ``value_bits`` is the width of an uncompressed weight; a layer whose ``weight_bits`` are as
    many has no codebook.
    """

    name: str
    weights: int
    nonzeros: int
    fillers: int
    weight_bits: int
    index_bits: int
    huffman_weight_bits: float
    huffman_index_bits: float
    value_bits: int = 32

    @property
    def density(self) -> float:
        """Nonzeros over weights."""
        return self.nonzeros / self.weights if self.weights else 0.0

    @property
    def entries(self) -> int:
        """Nonzeros and fillers."""
        return self.nonzeros + self.fillers

    @property
    def original_bits(self) -> int:
        """Size of the layer before packing, in bits."""
        return self.weights * self.value_bits

    @property
    def codebook_bits(self) -> int:
        """Size of the codebook, in bits."""
        return 0 if self.weight_bits >= self.value_bits else self.value_bits << self.weight_bits

    @property
    def pq_bits(self) -> int:
        """Size after pruning and sharing, in bits."""
        return self.entries * (self.weight_bits + self.index_bits) + self.codebook_bits

    @property
    def pqh_bits(self) -> float:
        """Size after pruning, sharing and Huffman coding, in bits."""
        return self.entries * (self.huffman_weight_bits + self.huffman_index_bits) + self.codebook_bits

    @property
    def pq_rate(self) -> float:
        """Size after pruning and sharing over the original size."""
        return self.pq_bits / self.original_bits if self.weights else 0.0

    @property
    def pqh_rate(self) -> float:
        """Size after pruning, sharing and Huffman coding over the original size."""
        return self.pqh_bits / self.original_bits if self.weights else 0.0


@dataclass(frozen=True)
class AccountTotal:
    """The sum of rows: the last line of the paper's tables. Sizes in bits."""

    weights: int
    nonzeros: int
    original_bits: int
    pq_bits: int
    pqh_bits: float

    @classmethod
    def of(cls, accounts: Iterable[LayerAccount]) -> AccountTotal:
        """Add up ``accounts``."""
        rows = list(accounts)
        return cls(
            sum(row.weights for row in rows),
            sum(row.nonzeros for row in rows),
            sum(row.original_bits for row in rows),
            sum(row.pq_bits for row in rows),
            sum(row.pqh_bits for row in rows),
        )

    @property
    def density(self) -> float:
        """Nonzeros over weights."""
        return self.nonzeros / self.weights if self.weights else 0.0

    @property
    def pq_rate(self) -> float:
        """Size after pruning and sharing over the original size."""
        return self.pq_bits / self.original_bits if self.original_bits else 0.0

    @property
    def pqh_rate(self) -> float:
        """Size after pruning, sharing and Huffman coding over the original size."""
        return self.pqh_bits / self.original_bits if self.original_bits else 0.0


def account_shared(name: str, tensor: SharedTensor, index_bits: int = 5) -> LayerAccount:
    """The paper's row for a shared tensor, its entries listed in the tensor's own scan order.

    A tensor without zeros needs no gaps: its index bits are 0. A filler is one more symbol for the Huffman code of weights,
    and the longest gap.
    """
    gaps, fillers = _gaps(tensor, index_bits)
    codes = np.bincount(tensor.codes, minlength=len(tensor.codebook)).astype(np.int64)
    codes[zero_codes(tensor.codebook)] = 0
    return account_histograms(name, tensor.size, codes, gaps, fillers, value_bits=8 * tensor.dtype.itemsize)


def account_dense(name: str, tensor: DenseTensor, nonzeros: int) -> LayerAccount:
    """The row of a tensor that is kept whole: every weight is an entry of full width."""
    bits = 8 * tensor.dtype.itemsize
    return LayerAccount(name, tensor.size, nonzeros, tensor.size - nonzeros, bits, 0, bits, 0, bits)


def account_pruned(name: str, array: np.ndarray, index_bits: int = 5) -> LayerAccount:
    """The row of a tensor that is pruned but not shared: nonzeros, and fillers, of full width, listed in C order."""
    bits, positions = 8 * array.dtype.itemsize, np.flatnonzero(array)
    gaps, fillers = stored_gaps(positions, index_bits)
    return LayerAccount(name, array.size, len(positions), fillers, bits, index_bits, bits, huffman_bits(gaps), bits)


def account_histograms(
    name: str, weights: int, codes: np.ndarray, gaps: np.ndarray, fillers: int, *, value_bits: int = 32
) -> LayerAccount:
    """The row of a layer whose nonzeros use codes ``codes`` (k,) times each and whose entries have gaps ``gaps`` (2^b,).

    ``gaps`` counts the stored gaps of nonzeros and fillers; a single bin stands for positions that need no index.
    """
    return LayerAccount(
        name,
        weights,
        nonzeros=int(codes.sum()),
        fillers=fillers,
        weight_bits=bits_for(int(np.count_nonzero(codes))),
        index_bits=bits_for(len(gaps)),
        huffman_weight_bits=huffman_bits(np.append(codes, fillers)),
        huffman_index_bits=huffman_bits(gaps),
        value_bits=value_bits,
    )


def stored_gaps(positions: np.ndarray, bits: int) -> tuple[np.ndarray, int]:
    """Stored gaps (2^bits,) int64 of ascending ``positions`` (nonzeros,) in a flat layer, fillers included; and the fillers.

    A gap of ``1..2**bits`` is stored minus one and the first counts from position -1; a longer one is bridged by filler zeros
    ``2**bits`` apart.
    """
    from ._passes import count_gaps

    flat = np.array([0, len(positions)], np.int64)
    counts = np.zeros(1 << bits, np.int64)
    fillers = count_gaps(flat, positions, 0, counts)
    return counts, int(fillers)


def huffman_bits(histogram: np.ndarray) -> float:
    """Average length of a Huffman code of symbols that occur ``histogram`` (k,) times: bits a symbol; 0 for one symbol."""
    heap = [int(count) for count in histogram if count]
    heapify(heap)
    total, bits = sum(heap), 0
    while len(heap) > 1:
        merged = heappop(heap) + heap[0]
        heapreplace(heap, merged)
        bits += merged
    return bits / total if total else 0.0


def bits_for(count: int) -> int:
    """Bits of a fixed-width code that tells ``count`` things apart."""
    return max(count - 1, 0).bit_length()


def _gaps(tensor: SharedTensor, index_bits: int) -> tuple[np.ndarray, int]:
    from ._passes import count_gaps

    if tensor.starts is not None and tensor.minors is not None and len(tensor.codes) < tensor.size:
        counts = np.zeros(1 << index_bits, np.int64)
        return counts, int(count_gaps(tensor.starts, tensor.minors, tensor.minor_length, counts))
    valued = ~np.isin(tensor.codes, zero_codes(tensor.codebook))
    if valued.all():
        return np.array([tensor.size], np.int64), 0
    return stored_gaps(np.flatnonzero(valued), index_bits)
