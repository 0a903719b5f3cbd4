"""Codec 6: zeros left out; gaps with an escape symbol, and codebook indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..coding import CodecId
from . import _coded
from ._positions import block_offsets, from_offsets, gap_symbols_of, offsets_of
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
        gaps = [gap_symbols_of(offsets, gap_symbols) for offsets in blocks]
        nonzeros = [len(offsets) for offsets in blocks]
        coded = _coded.Coded(tensor.codebook, tensor.order, form, block_majors, gap_symbols, nonzeros, gaps, codes)
        return _coded.write(CodecId.SPARSE, coded)

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> SharedTensor:
        """Starts, minors, codes and codebook."""
        coded = _coded.read(record, payload, limits)
        listed = zip(coded.gaps, coded.nonzeros, strict=True)
        blocks = [offsets_of(gaps, nonzeros, coded.gap_width, len(payload)) for gaps, nonzeros in listed]
        return from_offsets(record, coded, blocks, coded.codes)

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Head, codebook, tables, entries, gaps, codes."""
        return _coded.measure(record, payload, limits)
