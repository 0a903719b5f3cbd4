"""Codec 11: byte planes of floating-point elements, zeros left out or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..coded_head import write_entry
from ..coding import CodecId
from ..errors import FormatError
from ..huffman import code_lengths, read_table, write_table
from ..planes_head import PlanesHead, read_planes_head, restored, rotated, write_planes_head
from ..records import check_size
from ..tensors import DenseTensor
from ._coded import block_positions, check_block_count, read_entry, read_sequences
from ._positions import gap_symbols_of, offsets_of
from ._registry import codec
from ._substreams import encode_sequence

if TYPE_CHECKING:
    from ..graph import Tensor
    from ..limits import Limits
    from ..records import TensorRecord


@codec(CodecId.PLANES)
class Planes:
    """Of every element the sign moves behind the mantissa; then the first byte of each, the second of each, ..."""

    @staticmethod
    def encode(tensor: Tensor, *, block: int, gap_symbols: int = 0, signed: bool = False) -> bytes:
        """Code ``block`` positions at a time; with ``gap_symbols`` zeros are left out, if ``signed`` those below zero, too."""
        words, sequences, counts = rotated(tensor.dense()), [], []
        for start in range(0, len(words), block):
            part = words[start : start + block]
            listed = part > signed if gap_symbols else np.ones(len(part), bool)
            before = [gap_symbols_of(np.flatnonzero(listed), gap_symbols)] if gap_symbols else []
            counts.append((np.count_nonzero(listed), len(before[0])) if before else ())
            before += [np.packbits(part[~listed].astype(bool))] * signed
            sequences.append([*before, *_planes(part[listed])])
        alphabets = PlanesHead(block, gap_symbols, signed, 0).alphabets(words.dtype.itemsize)
        lengths = [_lengths(parts, size) for parts, size in zip(zip(*sequences, strict=True), alphabets, strict=True)]
        entries, data = b"", b""
        for held, symbols in zip(counts, sequences, strict=True):
            substreams = [s for part, table in zip(symbols, lengths, strict=True) for s in encode_sequence(part, table)]
            entries += write_entry(held, map(len, substreams))
            data += b"".join(substreams)
        return write_planes_head(block, gap_symbols, signed=signed) + b"".join(map(write_table, lengths)) + entries + data

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> DenseTensor:
        """Put the planes together, and the elements where they belong."""
        check_size(record, limits)
        head, tables, entries, at, _ = _read_structure(record, payload)
        words = np.zeros(record.size, f"u{record.dtype.itemsize}")
        for block, (nonzeros, symbols, lengths) in enumerate(entries):
            sequences, at = read_sequences(payload, at, symbols, lengths, tables)
            part = words[block * head.block : (block + 1) * head.block]
            offsets = np.arange(nonzeros)
            if head.gap_symbols:
                offsets = offsets_of(sequences.pop(0), nonzeros, head.gap_symbols, len(payload))
            if len(offsets) and offsets[-1] >= len(part):
                raise FormatError(f"a nonzero lies outside its block of {len(part)} positions", tensor=record.name)
            if head.signed:
                part[np.delete(np.arange(len(part)), offsets)] = _signs(sequences.pop(0), len(part) - nonzeros, len(payload))
            for plane in sequences:
                part[offsets] = part[offsets] << 8 | plane.astype(part.dtype)
        return DenseTensor.of(restored(words).view(record.dtype).reshape(record.shape))

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Head, tables, entries, gaps, values."""
        check_size(record, limits)
        return _read_structure(record, payload)[4]


def _planes(words: np.ndarray) -> list[np.ndarray]:
    width = words.dtype.itemsize
    return [(words >> 8 * (width - 1 - j)).astype(np.uint8) for j in range(width)]


def _signs(symbols: np.ndarray, count: int, at: int) -> np.ndarray:
    """So many bits; ``at`` is where a defect is reported."""
    bits = np.unpackbits(symbols.astype(np.uint8))
    if bits[count:].any():
        raise FormatError("bits after the signs of a block's zeros are not zero", offset=at)
    return bits[:count]


def _lengths(parts: tuple[np.ndarray, ...], alphabet: int) -> np.ndarray:
    counts = np.bincount(np.concatenate(parts), minlength=alphabet)
    counts[0] += not counts.any()
    return code_lengths(counts)


def _read_structure(record: TensorRecord, payload: bytes) -> tuple[PlanesHead, list[np.ndarray], list, int, dict[str, int]]:
    """Head, tables, entries, offset of the data, and bytes by category.

    Raises:
        FormatError: with the offset in the payload.
    """
    head = read_planes_head(record, payload)
    kind = CodecId.SPARSE if head.gap_symbols else CodecId.SHARED
    tables, at = [], head.size
    for alphabet in head.alphabets(record.dtype.itemsize):
        table, at = read_table(payload, at, alphabet)
        tables.append(table)
    items = {"head": head.size, "tables": at - head.size}
    positions = block_positions(record.size, 1, head.block)
    check_block_count(len(positions), payload, at)
    start, entries = at, []
    for count in positions:
        entry, at = read_entry(kind, payload, at, count, len(tables), signed=head.signed)
        entries.append(entry)
    items["entries"] = at - start
    if head.gap_symbols:
        items["gaps"] = sum(sum(parts[0]) for _, _, parts in entries)
    items["values"] = sum(sum(map(sum, parts[head.gap_symbols > 0 :])) for _, _, parts in entries)
    if sum(items.values()) != len(payload):
        raise FormatError(f"the entry table promises a payload of {sum(items.values())} bytes, not {len(payload)}", offset=at)
    return head, tables, entries, at, items
