"""The compact profile for shared tensors: sparse or with a code for zero, in whichever scan order is smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import CodecId
from ...format_spec.tensors import zero_codes
from ...runtime.decode.reorder import reorder
from ._assemble import Encoded, Sequence8, assemble, choose_block_majors, code_sequences
from ._estimate import GAP_BINS, best_gap_alphabet, wide_coded_bits
from ._forms import keep_zeros, leave_zeros_out, normalise
from ._kernels import crossed_gap_histogram, gap_histogram, histogram, write_gap_symbols
from ._sample import Sample, sample_of
from .grouped import encode_grouped, plan_grouped

if TYPE_CHECKING:
    from ...format_spec.tensors import SharedTensor

REORDER_GAIN = 64
"""The other scan order is taken when it saves more than one part in so many of the gaps and codes: kernels have a favourite."""


GROUPED_GAIN = 16
"""Groups are taken when they save more than one bit for so many of them: gaps decode faster where most groups are zero."""


@dataclass(frozen=True)
class CompactPlan:
    """What to encode: in the other scan order? The gap alphabet (``None``: zeros get a code); about how many bits."""

    is_crossed: bool
    gap_symbols: int | None
    bits: int


def encode_compact(tensor: SharedTensor) -> Encoded:
    """The smallest of the candidates by estimate, encoded once. The tensor has nonzeros and both axes fit a block."""
    tensor = normalise(tensor)
    if tensor.starts is None and not len(zero_codes(tensor.codebook)):
        return encode_shared(tensor)
    sparse = leave_zeros_out(tensor)
    sample = sample_of(sparse)
    plan = choose(sample)
    grouped = plan_grouped(sparse, sample)
    if grouped and grouped.bits + tensor.size // grouped.group // GROUPED_GAIN < plan.bits:
        return encode_grouped(sparse, grouped)
    if plan.gap_symbols is None:
        whole = keep_zeros(tensor)
        if whole is not None:
            return encode_shared(whole)
    if plan.is_crossed:
        sparse = normalise(reorder(sparse, "columns" if sparse.order == "rows" else "rows"))
    return encode_sparse(sparse, plan.gap_symbols or 256)


def choose(sample: Sample) -> CompactPlan:
    """Estimate every candidate for what a sample stands for."""
    sparse = sample.tensor
    counts = np.zeros(len(sparse.codebook), np.int64)
    histogram(sparse.codes, counts)
    counts, zeros = sample.scaled(counts), sample.scaled(np.array([sparse.size - len(sparse.codes)]))
    if not zeros.any():
        return CompactPlan(False, None, wide_coded_bits(counts))
    codes = wide_coded_bits(counts)
    with_zero = wide_coded_bits(np.concatenate([zeros, counts])) - codes
    own = best_gap_alphabet(sample.scaled(_own_gaps(sparse)), with_zero)
    rest = min(with_zero, own.bits if own else with_zero)
    crossed = best_gap_alphabet(sample.scaled(_crossed_gaps(sparse)), rest - (codes + rest) / REORDER_GAIN)
    if crossed and crossed.bits < rest - (codes + rest) / REORDER_GAIN:
        return CompactPlan(True, crossed.alphabet, codes + crossed.bits)
    return CompactPlan(False, own.alphabet if own and own.bits < with_zero else None, codes + rest)


def _own_gaps(sparse: SharedTensor) -> np.ndarray:
    gaps = np.zeros(min(sparse.size, GAP_BINS) + 1, np.int64)
    block_majors = choose_block_majors(sparse.majors, sparse.minor_length, len(sparse.codes))
    gap_histogram(sparse.starts, sparse.minors, sparse.minor_length, block_majors, gaps)
    return gaps


def _crossed_gaps(sparse: SharedTensor) -> np.ndarray:
    gaps = np.zeros(min(sparse.size, GAP_BINS) + 1, np.int64)
    crossed_gap_histogram(sparse.starts, sparse.minors, sparse.minor_length, gaps)
    return gaps


def encode_shared(tensor: SharedTensor) -> Encoded:
    """Codec 5, for a tensor that leaves nothing out."""
    block_majors = choose_block_majors(tensor.majors, tensor.minor_length, tensor.size)
    cuts = np.minimum(np.arange(0, tensor.majors + block_majors, block_majors), tensor.majors) * tensor.minor_length
    sequences = code_sequences(tensor.codes, cuts, len(tensor.codebook))
    return assemble(CodecId.SHARED, tensor, block_majors, 0, sequences, None)


def encode_sparse(tensor: SharedTensor, gap_symbols: int) -> Encoded:
    """Codec 6, for a tensor that leaves its zeros out."""
    gaps, codes_cuts, block_majors = gap_sequence(tensor, gap_symbols - 1, gap_symbols - 1, gap_symbols)
    sequences = [gaps, *code_sequences(tensor.codes, codes_cuts, len(tensor.codebook))]
    return assemble(CodecId.SPARSE, tensor, block_majors, gap_symbols, sequences, np.diff(codes_cuts))


def gap_sequence(tensor: SharedTensor, reach: int, symbol: int, alphabet: int) -> tuple[Sequence8, np.ndarray, int]:
    """Gap symbols, ``symbol`` standing for ``reach`` positions; where blocks begin in the codes; majors per block."""
    if tensor.starts is None:
        raise ValueError("the tensor leaves nothing out")
    block_majors = choose_block_majors(tensor.majors, tensor.minor_length, len(tensor.codes))
    majors = np.minimum(np.arange(0, tensor.majors + block_majors, block_majors), tensor.majors)
    cuts = np.zeros(len(majors), np.int64)
    symbols = np.empty(len(tensor.codes) + tensor.size // reach, np.uint8)
    write_gap_symbols(tensor.starts, tensor.minors, tensor.minor_length, block_majors, reach, symbol, symbols, cuts)
    symbols = symbols[: cuts[-1]]
    return Sequence8(symbols, cuts, alphabet), tensor.starts[majors], block_majors
