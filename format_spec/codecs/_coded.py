"""The payload skeleton of the shared, sparse and paper codecs: head, codebook, tables, entry table, data.

The grouped codec shares head and codebook.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..codebooks import codebook_bytes, read_codebook
from ..coding import (
    COLUMNS_FLAG,
    HALF_FLAG,
    LINEAR_FLAG,
    MAX_ALPHABET,
    MAX_BLOCK_POSITIONS,
    MAX_CODEBOOK,
    MAX_GROUP,
    MAX_GROUPED_CODEBOOK,
    CodecId,
    substream_counts,
)
from ..errors import FormatError
from ..limits import Limits
from ..records import TensorRecord
from ..tensors import Order
from ..varint import read_varint, write_varint
from ._dense import check_size
from ._huffman import code_lengths, decode_substream, encode_sequence, read_table, write_table


@dataclass(frozen=True, eq=False)
class Coded:
    """A payload taken apart. ``blocks`` hold one list of symbol arrays each: gaps (not when shared), codes.

    ``form`` is the codebook's flag bits. ``gap_width`` is the gap alphabet's size (sparse) or the bits of a gap (paper),
    0 when shared.
    """

    codebook: np.ndarray
    order: Order
    form: int
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


def write_head(codec: int, k: int, order: Order, form: int, block_majors: int, width: int) -> bytes:
    """The head; ``width`` is the size of the gap alphabet (sparse), the bits of a gap (paper) or a group's size (grouped)."""
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
        counts = () if codec == CodecId.SHARED else (coded.nonzeros[block], len(coded.gaps[block]))
        entries += write_entry(counts, map(len, substreams))
        data += b"".join(substreams)
    head = write_head(codec, len(coded.codebook), coded.order, coded.form, coded.block_majors, coded.gap_width)
    return head + codebook_bytes(coded.codebook, coded.form) + b"".join(map(write_table, lengths)) + entries + data


@dataclass(frozen=True, eq=False)
class Opened:
    """Head and codebook of a payload. ``width``: see :func:`write_head`; ``codebook_at`` and ``after``: where it lies."""

    codebook: np.ndarray
    order: Order
    form: int
    majors: int
    minor_length: int
    block_majors: int
    width: int
    codebook_at: int
    after: int

    @property
    def positions(self) -> list[int]:
        """Positions in each block."""
        return block_positions(self.majors, self.minor_length, self.block_majors)

    def check_blocks(self, payload: bytes, at: int) -> None:
        """Raise :class:`FormatError` when the entry table at ``at`` cannot fit the payload."""
        blocks = -(-self.majors // self.block_majors)
        if blocks > len(payload) - at:
            raise FormatError(f"the data is too short for the entries of {blocks} blocks", offset=at)

    def check_decoded(self, limits: Limits, entries: int, *, leaves_zeros_out: bool) -> None:
        """Raise :class:`LimitError` when the shared tensor, of so many ``entries``, would be too large."""
        entry_bytes = (1 if len(self.codebook) <= 256 else 2) + (4 if leaves_zeros_out else 0)
        limits.check("tensor_bytes", entries * entry_bytes + 8 * (self.majors + 1))


def open_payload(record: TensorRecord, payload: bytes, limits: Limits) -> Opened:
    """Read head and codebook.

    Raises:
        FormatError: with the offset in the payload.
        LimitError: the tensor would be too large.
    """
    check_size(record, limits)
    codec = record.codec
    k, at = read_varint(payload, 0)
    most = MAX_GROUPED_CODEBOOK if codec == CodecId.GROUPED else MAX_CODEBOOK - (codec == CodecId.PAPER)
    if not 1 <= k <= most:
        raise FormatError(f"a codebook of {k} entries; from 1 to {most} are allowed", offset=0)
    flags, at = _read_byte(payload, at)
    form = flags & ~COLUMNS_FLAG
    if form not in (0, HALF_FLAG, LINEAR_FLAG):
        raise FormatError(f"reserved flag bits, or two forms of a codebook, are set: {flags:#04x}", offset=at - 1)
    order: Order = "columns" if flags & COLUMNS_FLAG else "rows"
    majors, minor_length = record.matrix(order)
    start = at
    block_majors, at = read_varint(payload, at)
    if not 1 <= block_majors <= majors or block_majors * minor_length > MAX_BLOCK_POSITIONS:
        raise FormatError(f"a block of {block_majors} majors of {minor_length} positions, of {majors} majors", offset=start)
    width, at = _read_width(codec, payload, at)
    codebook, after = read_codebook(record, payload, at, k, form)
    return Opened(codebook, order, form, majors, minor_length, block_majors, width, at, after)


def _read_structure(record: TensorRecord, payload: bytes, limits: Limits) -> tuple[Coded, list, list[np.ndarray], int]:
    """All but the data: (without gaps and codes, entries, tables, offset of the data)."""
    codec, opened = record.codec, open_payload(record, payload, limits)
    at, k = opened.after, len(opened.codebook)
    lengths = []
    if codec != CodecId.SHARED:
        table, at = read_table(payload, at, gap_alphabet(codec, opened.width))
        lengths.append(table)
    for alphabet in code_alphabets(codec, k):
        table, at = read_table(payload, at, alphabet)
        lengths.append(table)
    head = opened.codebook_at
    items = {"head": head, "codebook": opened.after - head, "tables": at - opened.after}
    opened.check_blocks(payload, at)
    start, entries = at, []
    for positions in opened.positions:
        entry, at = _read_entry(codec, payload, at, positions, len(lengths))
        entries.append(entry)
    items["entries"] = at - start
    if codec != CodecId.SHARED:
        items["gaps"] = sum(sum(parts[0]) for _, _, parts in entries)
    items["codes"] = sum(sum(map(sum, parts[codec != CodecId.SHARED :])) for _, _, parts in entries)
    if sum(items.values()) != len(payload):
        raise FormatError(f"the entry table promises a payload of {sum(items.values())} bytes, not {len(payload)}", offset=at)
    nonzeros = [entry[0] for entry in entries]
    opened.check_decoded(limits, sum(nonzeros), leaves_zeros_out=codec != CodecId.SHARED)
    coded = Coded(opened.codebook, opened.order, opened.form, opened.block_majors, opened.width, nonzeros, [], [], items)
    return coded, entries, lengths, at


def read(record: TensorRecord, payload: bytes, limits: Limits) -> Coded:
    """Take a payload apart and decode its sequences.

    Raises:
        FormatError: with the offset in the payload.
        LimitError: the tensor would be too large.
    """
    coded, entries, lengths, at = _read_structure(record, payload, limits)
    _read_data(record.codec, payload, at, coded, entries, lengths)
    return coded


def _read_byte(payload: bytes, at: int) -> tuple[int, int]:
    if at >= len(payload):
        raise FormatError("the data ends inside the head", offset=at)
    return payload[at], at + 1


def _read_width(codec: int, payload: bytes, at: int) -> tuple[int, int]:
    if codec == CodecId.SHARED:
        return 0, at
    value, after = read_varint(payload, at) if codec == CodecId.SPARSE else _read_byte(payload, at)
    low, high = {CodecId.PAPER: (1, 8), CodecId.GROUPED: (1, MAX_GROUP)}.get(CodecId(codec), (2, MAX_ALPHABET))
    if not low <= value <= high:
        raise FormatError(f"a gap width or group size of {value}; from {low} to {high} are allowed", offset=at)
    return value, after


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
    for _, symbols, lengths in entries:
        decoded = []
        for count, parts, table in zip(symbols, lengths, tables, strict=True):
            pieces = [np.zeros(0, np.int64)]
            for part, share in zip(parts, substream_counts(count), strict=True):
                pieces.append(_decode(payload, at, part, table, share))
                at += part
            decoded.append(np.concatenate(pieces))
        gaps = [] if codec == CodecId.SHARED else [decoded.pop(0)]
        codes = decoded[0] if len(decoded) == 1 else decoded[0] | decoded[1] << 8
        alphabet = len(coded.codebook) + (codec == CodecId.PAPER)
        if len(codes) and codes.max() >= alphabet:
            raise FormatError(f"a code of {codes.max()} in an alphabet of {alphabet}", offset=at)
        coded.gaps.extend(gaps)
        coded.codes.append(codes)


def _decode(payload: bytes, at: int, length: int, table: np.ndarray, count: int) -> np.ndarray:
    try:
        return decode_substream(payload[at : at + length], table, count)
    except FormatError as error:
        raise FormatError(str(error), offset=at) from error


def measure(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
    """Bytes of a valid payload by category; no symbol is decoded."""
    return _read_structure(record, payload, limits)[0].items
