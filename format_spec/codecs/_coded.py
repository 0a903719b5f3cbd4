"""The payload skeleton of the shared, sparse and paper codecs: head, codebook, tables, entry table, data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..coding import (
    COLUMNS_FLAG,
    HALF_FLAG,
    MAX_ALPHABET,
    MAX_BLOCK_POSITIONS,
    MAX_CODEBOOK,
    CodecId,
    substream_counts,
)
from ..errors import FormatError
from ..limits import DEFAULT_LIMITS, Limits
from ..records import TensorRecord
from ..tensors import Order
from ..varint import read_varint, write_varint
from ._dense import check_size, elements
from ._huffman import code_lengths, decode_substream, encode_sequence, read_table, write_table


@dataclass(frozen=True, eq=False)
class Coded:
    """A payload taken apart. ``blocks`` hold one list of symbol arrays each: gaps (not when shared), codes.

    ``gap_width`` is the gap alphabet's size (sparse) or the bits of a gap (paper), 0 when shared.
    """

    codebook: np.ndarray
    order: Order
    half: bool
    block_majors: int
    gap_width: int
    nonzeros: list[int]
    gaps: list[np.ndarray]
    codes: list[np.ndarray]
    items: dict[str, int] = field(default_factory=dict)


def gap_alphabet(codec: int, gap_width: int) -> int:
    """Symbols of the gap alphabet; 0 when the codec has no gaps."""
    return 1 << gap_width if codec == CodecId.PAPER else gap_width


def code_alphabets(codec: int, k: int) -> tuple[int, ...]:
    """Alphabet sizes of the code sequences: one, or those of the low and the high bytes."""
    codes = k + 1 if codec == CodecId.PAPER else k
    return (codes,) if codes <= MAX_ALPHABET else (MAX_ALPHABET, (codes - 1 >> 8) + 1)


def block_positions(majors: int, minor_length: int, block_majors: int) -> list[int]:
    """Positions in each block; the last one may be shorter."""
    starts = range(0, majors, block_majors)
    return [min(block_majors, majors - start) * minor_length for start in starts]


def is_exact_in_half(codebook: np.ndarray) -> bool:
    """Whether every fp32 entry comes back with the same bits from fp16. A NaN counts as not exact: processors differ."""
    if codebook.dtype != np.float32 or np.isnan(codebook).any():
        return False
    with np.errstate(over="ignore"):
        return np.array_equal(codebook.astype(np.float16).astype(np.float32).view(np.uint32), codebook.view(np.uint32))


def write_head(codec: int, codebook: np.ndarray, order: Order, half: bool, block_majors: int, gap_width: int) -> bytes:
    """Head and codebook."""
    out = bytearray()
    write_varint(out, len(codebook))
    out.append((COLUMNS_FLAG if order == "columns" else 0) | (HALF_FLAG if half else 0))
    write_varint(out, block_majors)
    if codec == CodecId.PAPER:
        out.append(gap_width)
    elif codec == CodecId.SPARSE:
        write_varint(out, gap_width)
    return bytes(out)


def codebook_bytes(codebook: np.ndarray, half: bool) -> bytes:
    """The entries as stored."""
    stored = codebook.astype(np.float16) if half else codebook
    return stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()


def write_entry(nonzeros: int | None, gap_symbols: int, substreams: Iterable[int]) -> bytes:
    """One block's entry: counts (not when shared: ``None``), then the substreams' lengths in bytes."""
    out = bytearray()
    for value in (*(() if nonzeros is None else (nonzeros, gap_symbols)), *substreams):
        write_varint(out, value)
    return bytes(out)


def _sequences(
    codec: int, alphabets: Sequence[int], gaps: Sequence[np.ndarray], codes: Sequence[np.ndarray]
) -> list[list[np.ndarray]]:
    """For each alphabet, its sequence in every block."""
    streams = [] if codec == CodecId.SHARED else [list(gaps)]
    if len(alphabets) - len(streams) == 1:
        return [*streams, list(codes)]
    return [*streams, [c & 255 for c in codes], [c >> 8 for c in codes]]


def write(codec: int, coded: Coded) -> bytes:
    """The payload of what :func:`read` returns (whose ``items`` are not needed)."""
    alphabets = (
        *([] if codec == CodecId.SHARED else [gap_alphabet(codec, coded.gap_width)]),
        *code_alphabets(codec, len(coded.codebook)),
    )
    sequences = _sequences(codec, alphabets, coded.gaps, coded.codes)
    lengths = []
    for alphabet, blocks in zip(alphabets, sequences, strict=True):
        counts = np.bincount(np.concatenate(blocks).astype(np.int64), minlength=alphabet)
        counts[0] += not counts.any()
        lengths.append(code_lengths(counts))
    entries, data = b"", b""
    for block, symbols in enumerate(zip(*sequences, strict=True)):
        substreams = [s for part, table in zip(symbols, lengths, strict=True) for s in encode_sequence(part, table)]
        counts = (None, 0) if codec == CodecId.SHARED else (coded.nonzeros[block], len(coded.gaps[block]))
        entries += write_entry(*counts, map(len, substreams))
        data += b"".join(substreams)
    head = write_head(codec, coded.codebook, coded.order, coded.half, coded.block_majors, coded.gap_width)
    return head + codebook_bytes(coded.codebook, coded.half) + b"".join(map(write_table, lengths)) + entries + data


def read(record: TensorRecord, payload: bytes, limits: Limits) -> Coded:
    """Take a payload apart and decode its sequences.

    Raises:
        FormatError: with the offset in the payload.
        LimitError: the tensor would be too large.
    """
    check_size(record, limits)
    codec = record.codec
    k, at = read_varint(payload, 0)
    most = MAX_CODEBOOK - (codec == CodecId.PAPER)
    if not 1 <= k <= most:
        raise FormatError(f"a codebook of {k} entries; from 1 to {most} are allowed", offset=0)
    flags, at = _read_byte(payload, at)
    if flags & ~(COLUMNS_FLAG | HALF_FLAG):
        raise FormatError(f"reserved flag bits are set: {flags:#04x}", offset=at - 1)
    order: Order = "columns" if flags & COLUMNS_FLAG else "rows"
    majors, minor_length = (record.rows, record.columns) if order == "rows" else (record.columns, record.rows)
    start = at
    block_majors, at = read_varint(payload, at)
    if not 1 <= block_majors <= majors or block_majors * minor_length > MAX_BLOCK_POSITIONS:
        raise FormatError(f"a block of {block_majors} majors of {minor_length} positions, of {majors} majors", offset=start)
    gap_width, at = _read_gap_width(codec, payload, at)
    head = at
    codebook, at = _read_codebook(record, payload, at, k, bool(flags & HALF_FLAG))
    codebook_size = at - head
    lengths = []
    start = at
    if codec != CodecId.SHARED:
        table, at = read_table(payload, at, gap_alphabet(codec, gap_width))
        lengths.append(table)
    for alphabet in code_alphabets(codec, k):
        table, at = read_table(payload, at, alphabet)
        lengths.append(table)
    items = {"head": head, "codebook": codebook_size, "tables": at - start}
    start, blocks = at, -(-majors // block_majors)
    if blocks > len(payload) - at:
        raise FormatError(f"the data is too short for the entries of {blocks} blocks", offset=at)
    entries = []
    for positions in block_positions(majors, minor_length, block_majors):
        entry, at = _read_entry(codec, payload, at, positions, len(lengths))
        entries.append(entry)
    items["entries"] = at - start
    nonzeros = [entry[0] for entry in entries]
    coded = Coded(codebook, order, bool(flags & HALF_FLAG), block_majors, gap_width, nonzeros, [], [], items)
    limits.check("tensor_bytes", sum(nonzeros) * (4 + (1 if k <= 256 else 2)) + 8 * (majors + 1))
    _read_data(codec, payload, at, coded, entries, lengths)
    return coded


def _read_byte(payload: bytes, at: int) -> tuple[int, int]:
    if at >= len(payload):
        raise FormatError("the data ends inside the head", offset=at)
    return payload[at], at + 1


def _read_gap_width(codec: int, payload: bytes, at: int) -> tuple[int, int]:
    if codec == CodecId.SHARED:
        return 0, at
    value, after = _read_byte(payload, at) if codec == CodecId.PAPER else read_varint(payload, at)
    low, high = (1, 8) if codec == CodecId.PAPER else (2, MAX_ALPHABET)
    if not low <= value <= high:
        raise FormatError(f"a gap width of {value}; from {low} to {high} are allowed", offset=at)
    return value, after


def _read_codebook(record: TensorRecord, payload: bytes, at: int, k: int, half: bool) -> tuple[np.ndarray, int]:
    if half and record.dtype != np.float32:
        raise FormatError(f"an fp16 codebook for a tensor of {record.dtype}; only float32 may have one", offset=at)
    end = at + k * (2 if half else record.dtype.itemsize)
    if end > len(payload):
        raise FormatError("the data ends inside the codebook", offset=at)
    if half:
        stored = np.frombuffer(payload[at:end], "<f2")
        if np.isnan(stored).any():
            raise FormatError("an fp16 codebook has a NaN", offset=at)
        codebook = stored.astype(np.float32)
    else:
        codebook = elements(record, payload[at:end], k)
    if record.codec != CodecId.SHARED and not codebook.view(np.uint8).reshape(k, -1).any(axis=1).all():
        raise FormatError("the codebook has a zero, which this codec leaves out", offset=at)
    return codebook, end


def _read_entry(codec: int, payload: bytes, at: int, positions: int, sequences: int) -> tuple[tuple, int]:
    """((nonzeros, symbols of each sequence, byte lengths of each sequence's substreams), offset after the entry)."""
    start, nonzeros, symbols = at, positions, [positions] * sequences
    if codec != CodecId.SHARED:
        nonzeros, at = read_varint(payload, at)
        gaps, at = read_varint(payload, at)
        if not nonzeros <= gaps <= positions or (gaps and not nonzeros):
            raise FormatError(f"a block of {positions} positions with {nonzeros} nonzeros and {gaps} gaps", offset=start)
        symbols = [gaps] + [gaps if codec == CodecId.PAPER else nonzeros] * (sequences - 1)
    lengths = []
    for count in symbols:
        parts = []
        for _ in substream_counts(count):
            length, at = read_varint(payload, at)
            parts.append(length)
        lengths.append(parts)
    return (nonzeros, symbols, lengths), at


def _read_data(codec: int, payload: bytes, at: int, coded: Coded, entries: list, tables: list[np.ndarray]) -> None:
    total = sum(sum(map(sum, lengths)) for _, _, lengths in entries)
    if at + total != len(payload):
        raise FormatError(f"the entry table promises {total} bytes of data; there are {len(payload) - at}", offset=at)
    bytes_of = [0] * len(tables)
    for _, symbols, lengths in entries:
        decoded = []
        for index, (count, parts, table) in enumerate(zip(symbols, lengths, tables, strict=True)):
            pieces = [np.zeros(0, np.int64)]
            for part, share in zip(parts, substream_counts(count), strict=True):
                pieces.append(_decode(payload, at, part, table, share))
                at += part
            decoded.append(np.concatenate(pieces))
            bytes_of[index] += sum(parts)
        gaps = [] if codec == CodecId.SHARED else [decoded.pop(0)]
        codes = decoded[0] if len(decoded) == 1 else decoded[0] | decoded[1] << 8
        alphabet = len(coded.codebook) + (codec == CodecId.PAPER)
        if len(codes) and codes.max() >= alphabet:
            raise FormatError(f"a code of {codes.max()} in an alphabet of {alphabet}", offset=at)
        coded.gaps.extend(gaps)
        coded.codes.append(codes)
    if codec != CodecId.SHARED:
        coded.items["gaps"] = bytes_of.pop(0)
    coded.items["codes"] = sum(bytes_of)


def _decode(payload: bytes, at: int, length: int, table: np.ndarray, count: int) -> np.ndarray:
    try:
        return decode_substream(payload[at : at + length], table, count)
    except FormatError as error:
        raise FormatError(str(error), offset=at) from error


def measure(record: TensorRecord, payload: bytes) -> dict[str, int]:
    """Bytes of a valid payload by category."""
    return read(record, payload, DEFAULT_LIMITS).items
