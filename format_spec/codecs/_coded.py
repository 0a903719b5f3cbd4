"""The payload skeleton of the shared, sparse and paper codecs: head, codebook, tables, entry table, data.

The grouped codec shares head and codebook.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..codebooks import codebook_bytes, read_codebook
from ..coded_head import CodedHead, alphabets, check_decoded, read_head, write_entry, write_head
from ..coding import CodecId, substream_counts
from ..errors import FormatError
from ..huffman import code_lengths, read_table, write_table
from ..limits import Limits
from ..records import TensorRecord, check_size
from ..tensors import Order
from ..varint import read_varint
from ._substreams import decode_substream, encode_sequence


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


def block_positions(majors: int, minor_length: int, block_majors: int) -> list[int]:
    """Positions in each block; the last one may be shorter."""
    starts = range(0, majors, block_majors)
    return [min(block_majors, majors - start) * minor_length for start in starts]


def _sequences(
    codec: int, sizes: Sequence[int], gaps: Sequence[np.ndarray], codes: Sequence[np.ndarray]
) -> list[list[np.ndarray]]:
    """For each alphabet of so many ``sizes``, its sequence in every block."""
    streams = [] if codec == CodecId.SHARED else [list(gaps)]
    if len(sizes) - len(streams) == 1:
        return [*streams, list(codes)]
    return [*streams, [c & 255 for c in codes], [c >> 8 for c in codes]]


def write(codec: int, coded: Coded) -> bytes:
    """The payload of what :func:`read` returns (whose ``items`` are not needed)."""
    sizes = alphabets(codec, len(coded.codebook), coded.gap_width)
    sequences = _sequences(codec, sizes, coded.gaps, coded.codes)
    lengths = []
    for alphabet, blocks in zip(sizes, sequences, strict=True):
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
    """Head and codebook of a payload; ``after``: the offset of what follows them."""

    head: CodedHead
    codebook: np.ndarray
    majors: int
    minor_length: int
    after: int

    @property
    def positions(self) -> list[int]:
        """Positions in each block."""
        return block_positions(self.majors, self.minor_length, self.head.block_majors)

    def check_blocks(self, payload: bytes, at: int) -> None:
        """Raise :class:`FormatError` when the entry table at ``at`` cannot fit the payload."""
        check_block_count(-(-self.majors // self.head.block_majors), payload, at)


def check_block_count(blocks: int, payload: bytes, at: int) -> None:
    """Raise :class:`FormatError` when the entries of so many blocks cannot lie behind ``at``."""
    if blocks > len(payload) - at:
        raise FormatError(f"the data is too short for the entries of {blocks} blocks", offset=at)


def open_payload(record: TensorRecord, payload: bytes, limits: Limits) -> Opened:
    """Read head and codebook.

    Raises:
        FormatError: with the offset in the payload.
        LimitError: the tensor would be too large.
    """
    check_size(record, limits)
    head = read_head(record, payload)
    codebook, after = read_codebook(record, payload, head.size, head.k, head.form)
    return Opened(head, codebook, *record.matrix(head.order), after)


def _read_structure(record: TensorRecord, payload: bytes, limits: Limits) -> tuple[Coded, list, list[np.ndarray], int]:
    """All but the data: (without gaps and codes, entries, tables, offset of the data)."""
    codec, opened = record.codec, open_payload(record, payload, limits)
    head, at = opened.head, opened.after
    lengths = []
    for alphabet in alphabets(codec, head.k, head.width):
        table, at = read_table(payload, at, alphabet)
        lengths.append(table)
    items = {"head": head.size, "codebook": opened.after - head.size, "tables": at - opened.after}
    opened.check_blocks(payload, at)
    start, entries = at, []
    for positions in opened.positions:
        entry, at = read_entry(codec, payload, at, positions, len(lengths))
        entries.append(entry)
    items["entries"] = at - start
    if codec != CodecId.SHARED:
        items["gaps"] = sum(sum(parts[0]) for _, _, parts in entries)
    items["codes"] = sum(sum(map(sum, parts[codec != CodecId.SHARED :])) for _, _, parts in entries)
    if sum(items.values()) != len(payload):
        raise FormatError(f"the entry table promises a payload of {sum(items.values())} bytes, not {len(payload)}", offset=at)
    nonzeros = [entry[0] for entry in entries]
    check_decoded(record, head, limits, sum(nonzeros))
    coded = Coded(opened.codebook, head.order, head.form, head.block_majors, head.width, nonzeros, [], [], items)
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


def read_entry(
    codec: int, payload: bytes, at: int, positions: int, sequences: int, *, signed: bool = False
) -> tuple[tuple, int]:
    """((nonzeros, symbols of each sequence, byte lengths of each sequence's substreams), offset after the entry)."""
    start, nonzeros, symbols = at, positions, [positions] * sequences
    if codec != CodecId.SHARED:
        nonzeros, at = read_varint(payload, at)
        gaps, at = read_varint(payload, at)
        if not nonzeros <= gaps <= positions or (gaps and not nonzeros):
            raise FormatError(f"a block of {positions} positions with {nonzeros} nonzeros and {gaps} gaps", offset=start)
        symbols = [gaps] + [gaps if codec == CodecId.PAPER else nonzeros] * (sequences - 1)
        if signed:  # the second sequence has eight zeros' signs to a symbol
            symbols[1] = (positions - nonzeros + 7) // 8
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
        decoded, at = read_sequences(payload, at, symbols, lengths, tables)
        gaps = [] if codec == CodecId.SHARED else [decoded.pop(0)]
        codes = decoded[0] if len(decoded) == 1 else decoded[0] | decoded[1] << 8
        alphabet = len(coded.codebook) + (codec == CodecId.PAPER)
        if len(codes) and codes.max() >= alphabet:
            raise FormatError(f"a code of {codes.max()} in an alphabet of {alphabet}", offset=at)
        coded.gaps.extend(gaps)
        coded.codes.append(codes)


def read_sequences(
    payload: bytes, at: int, symbols: Sequence[int], lengths: Sequence[Sequence[int]], tables: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], int]:
    """A block's sequences, whose substreams begin at ``at``, and the offset after them."""
    decoded = []
    for count, parts, table in zip(symbols, lengths, tables, strict=True):
        pieces = [np.zeros(0, np.int64)]
        for part, share in zip(parts, substream_counts(count), strict=True):
            pieces.append(_decode(payload, at, part, table, share))
            at += part
        decoded.append(np.concatenate(pieces))
    return decoded, at


def _decode(payload: bytes, at: int, length: int, table: np.ndarray, count: int) -> np.ndarray:
    try:
        return decode_substream(payload[at : at + length], table, count)
    except FormatError as error:
        raise FormatError(str(error), offset=at) from error


def measure(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
    """Bytes of a valid payload by category; no symbol is decoded."""
    return _read_structure(record, payload, limits)[0].items
