"""The paper profile for shared tensors: gaps of a fixed number of bits and filler zeros (Han, Mao and Dally, ICLR 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import CodecId
from ._assemble import Encoded, assemble, code_sequences
from ._forms import leave_zeros_out, normalise
from ._kernels import write_filled_codes
from .compact import gap_sequence

if TYPE_CHECKING:
    from ...format_spec.tensors import SharedTensor


def encode_paper(tensor: SharedTensor, index_bits: int) -> Encoded:
    """Codec 4 with gaps of ``index_bits`` bits, in the tensor's own scan order. The tensor has nonzeros."""
    sparse = leave_zeros_out(normalise(tensor))
    reach, filler = 1 << index_bits, len(sparse.codebook)
    gaps, codes_cuts, block_majors = gap_sequence(sparse, reach, reach - 1, reach)
    entries = np.empty(len(gaps.symbols), np.uint32)
    write_filled_codes(sparse.starts, sparse.minors, sparse.codes, sparse.minor_length, block_majors, reach, filler, entries)
    sequences = [gaps, *code_sequences(entries, gaps.cuts, filler + 1)]
    return assemble(CodecId.PAPER, sparse, block_majors, index_bits, sequences, np.diff(codes_cuts))
