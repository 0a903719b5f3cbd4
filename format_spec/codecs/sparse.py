"""Codec 6: zeros left out; gaps with an escape symbol, and codebook indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..coding import CodecId
from ..errors import FormatError
from . import _coded
from ._positions import block_offsets, from_offsets
from ._registry import codec

if TYPE_CHECKING:
    from ..limits import Limits
    from ..records import TensorRecord
    from ..tensors import SharedTensor


@codec(CodecId.SPARSE)
class Sparse:
    """A gap is the number of zeros since the previous nonzero; symbol ``gap_symbols - 1`` says: that many, and read on."""

    @staticmethod
    def encode(tensor: SharedTensor, *, block_majors: int, gap_symbols: int, form: int = 0) -> bytes:
        """Code a tensor that leaves its zeros out, with a gap alphabet of ``gap_symbols``."""
        blocks, codes = block_offsets(tensor, block_majors)
        escape = gap_symbols - 1
        gaps = []
        for offsets in blocks:
            zeros = np.diff(offsets, prepend=-1) - 1
            symbols = [s for gap in zeros.tolist() for s in (*[escape] * (gap // escape), gap % escape)]
            gaps.append(np.array(symbols, np.int64))
        nonzeros = [len(offsets) for offsets in blocks]
        coded = _coded.Coded(tensor.codebook, tensor.order, form, block_majors, gap_symbols, nonzeros, gaps, codes)
        return _coded.write(CodecId.SPARSE, coded)

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> SharedTensor:
        """Starts, minors, codes and codebook."""
        coded = _coded.read(record, payload, limits)
        escape = coded.gap_width - 1
        blocks = []
        for gaps, nonzeros in zip(coded.gaps, coded.nonzeros, strict=True):
            is_entry = gaps != escape
            if np.count_nonzero(is_entry) != nonzeros or (len(gaps) and not is_entry[-1]):
                raise FormatError(f"a block's gaps do not end in its {nonzeros} nonzeros", offset=len(payload))
            blocks.append((np.cumsum(gaps + is_entry) - 1)[is_entry])
        return from_offsets(record, coded, blocks, coded.codes)

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Head, codebook, tables, entries, gaps, codes."""
        return _coded.measure(record, payload, limits)
