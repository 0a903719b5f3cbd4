"""The head of a coded payload (shared, sparse, paper or grouped): what the reference and the jitted decoders both read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .coding import (
    COLUMNS_FLAG,
    HALF_FLAG,
    LINEAR_FLAG,
    MAX_ALPHABET,
    MAX_BLOCK_POSITIONS,
    MAX_CODEBOOK,
    MAX_GROUP,
    MAX_GROUPED_CODEBOOK,
    CodecId,
)
from .errors import FormatError
from .varint import read_varint, write_varint

if TYPE_CHECKING:
    from .limits import Limits
    from .records import TensorRecord
    from .tensors import Order
    from .varint import Bytes


@dataclass(frozen=True)
class CodedHead:
    """The ``size`` bytes before the codebook of ``k`` entries.

    ``form``: the codebook's flag bits. ``width``: gap symbols (sparse), bits of a gap (paper), size of a group (grouped), or 0.
    """

    k: int
    order: Order
    form: int
    block_majors: int
    width: int
    size: int


def read_head(record: TensorRecord, data: Bytes) -> CodedHead:
    """Read and check the head.

    Raises:
        FormatError: a field is out of range, or the data ends.
    """
    k, at = read_varint(data, 0)
    most = MAX_GROUPED_CODEBOOK if record.codec == CodecId.GROUPED else MAX_CODEBOOK - (record.codec == CodecId.PAPER)
    if not 1 <= k <= most:
        raise FormatError(f"a codebook of {k} entries; from 1 to {most} are allowed", offset=0)
    flags, at = _read_byte(data, at)
    form = flags & ~COLUMNS_FLAG
    if form not in (0, HALF_FLAG, LINEAR_FLAG):
        raise FormatError(f"reserved flag bits, or two forms of a codebook, are set: {flags:#04x}", offset=at - 1)
    order: Order = "columns" if flags & COLUMNS_FLAG else "rows"
    majors, minor_length = record.matrix(order)
    block_majors, after = read_varint(data, at)
    if not 1 <= block_majors <= majors or block_majors * minor_length > MAX_BLOCK_POSITIONS:
        raise FormatError(f"a block of {block_majors} majors of {minor_length} positions, of {majors} majors", offset=at)
    width, size = _read_width(record.codec, data, after)
    return CodedHead(k, order, form, block_majors, width, size)


def _read_byte(data: Bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise FormatError("the data ends inside the head", offset=at)
    return int(data[at]), at + 1


def _read_width(codec: int, data: Bytes, at: int) -> tuple[int, int]:
    if codec == CodecId.SHARED:
        return 0, at
    width, after = read_varint(data, at) if codec == CodecId.SPARSE else _read_byte(data, at)
    low, high = {CodecId.PAPER: (1, 8), CodecId.GROUPED: (1, MAX_GROUP)}.get(CodecId(codec), (2, MAX_ALPHABET))
    if not low <= width <= high:
        raise FormatError(f"a gap width or group size of {width}; from {low} to {high} are allowed", offset=at)
    return width, after


def write_head(codec: int, k: int, order: Order, form: int, block_majors: int, width: int) -> bytes:
    """The bytes before the codebook; the arguments are the fields of :class:`CodedHead`."""
    out = bytearray()
    write_varint(out, k)
    out.append((COLUMNS_FLAG if order == "columns" else 0) | form)
    write_varint(out, block_majors)
    if codec in (CodecId.PAPER, CodecId.GROUPED):
        out.append(width)
    elif codec == CodecId.SPARSE:
        write_varint(out, width)
    return bytes(out)


def write_entry(counts: Iterable[int], substreams: Iterable[int]) -> bytes:
    """One block's entry: counts (nonzeros, gap symbols: what the codec has), then the substreams' lengths in bytes."""
    out = bytearray()
    for value in (*counts, *substreams):
        write_varint(out, value)
    return bytes(out)


def alphabets(codec: int, k: int, width: int) -> tuple[int, ...]:
    """Alphabet sizes of a block's sequences: gaps (not when shared), codes (or their low and high bytes).

    Of the shared, sparse and paper codecs; ``k`` and ``width`` are those of the head.
    """
    codes = k + (codec == CodecId.PAPER)
    sizes = (codes,) if codes <= MAX_ALPHABET else (MAX_ALPHABET, (codes - 1 >> 8) + 1)
    if codec == CodecId.SHARED:
        return sizes
    return (1 << width if codec == CodecId.PAPER else width, *sizes)


def check_decoded(record: TensorRecord, head: CodedHead, limits: Limits, entries: int) -> None:
    """Raise :class:`LimitError` when the shared tensor, of so many ``entries``, would be too large."""
    entry_bytes = (1 if head.k <= 256 else 2) + (0 if record.codec == CodecId.SHARED else 4)
    limits.check("tensor_bytes", entries * entry_bytes + 8 * (record.matrix(head.order)[0] + 1))
