"""Codec 4: the gaps of Han, Mao and Dally (ICLR 2016): b bits each, a filler zero where a gap does not fit."""

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


@codec(CodecId.PAPER)
class Paper:
    """A gap symbol is the distance to the previous entry minus 1; an entry whose code is ``k`` is a filler."""

    @staticmethod
    def encode(tensor: SharedTensor, *, block_majors: int, index_bits: int, form: int = 0) -> bytes:
        """Code a tensor that leaves its zeros out, with gaps of ``index_bits`` bits."""
        reach, filler = 1 << index_bits, len(tensor.codebook)
        blocks, codes = block_offsets(tensor, block_majors)
        gaps, entries = [], []
        for offsets, block_codes in zip(blocks, codes, strict=True):
            fillers = (np.diff(offsets, prepend=-1) - 1) // reach
            distance = np.diff(offsets, prepend=-1) - 1 - fillers * reach
            gaps.append(np.insert(distance, np.repeat(np.arange(len(offsets)), fillers), reach - 1))
            entries.append(np.insert(block_codes, np.repeat(np.arange(len(offsets)), fillers), filler))
        nonzeros = [len(offsets) for offsets in blocks]
        coded = _coded.Coded(tensor.codebook, tensor.order, form, block_majors, index_bits, nonzeros, gaps, entries)
        return _coded.write(CodecId.PAPER, coded)

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> SharedTensor:
        """Starts, minors, codes and codebook; fillers are dropped."""
        coded = _coded.read(record, payload, limits)
        filler = len(coded.codebook)
        blocks, codes = [], []
        for gaps, entries, nonzeros in zip(coded.gaps, coded.codes, coded.nonzeros, strict=True):
            is_value = entries != filler
            if np.count_nonzero(is_value) != nonzeros or (len(gaps) and not is_value[-1]):
                raise FormatError(f"a block's entries do not end in its {nonzeros} nonzeros", offset=len(payload))
            blocks.append((np.cumsum(gaps + 1) - 1)[is_value])
            codes.append(entries[is_value])
        return from_offsets(record, coded, blocks, codes)

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Head, codebook, tables, entries, gaps, codes."""
        return _coded.measure(record, payload, limits)
