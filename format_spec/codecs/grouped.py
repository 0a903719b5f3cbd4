"""Codec 8: a mask for every group of positions, then the codes of the nonzeros; both with contexts and phrases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..codebooks import codebook_bytes
from ..coded_head import check_decoded, write_entry, write_head
from ..coding import CodecId, substream_counts
from ..errors import FormatError
from ..huffman import read_table, write_table
from ..tensors import SharedTensor
from ..varint import read_varint
from ..word_models import Model, masks_by_symbol, read_model, sizes_by_symbol, write_model
from . import _coded
from ._positions import block_offsets, from_offsets
from ._registry import codec
from ._words import decode_words, encode_words

if TYPE_CHECKING:
    from ..limits import Limits
    from ..records import TensorRecord

Entry = tuple[int, list[int], list[int]]
"""A block's nonzeros, and the bytes of each substream of its masks and of its codes."""


def position_classes(sizes: np.ndarray) -> np.ndarray:
    """The class of every nonzero of groups with ``sizes`` nonzeros: 0 for the first of a group, then by the group's size."""
    later = np.digitize(sizes, (4, 7)) + 1
    classes = np.repeat(later, sizes)
    starts = np.cumsum(sizes) - sizes
    classes[starts[sizes > 0]] = 0
    return classes


def group_symbols(offsets: np.ndarray, positions: int, group: int) -> np.ndarray:
    """The mask symbol of every group of a block, from the ``offsets`` of its nonzeros."""
    occupied = np.zeros(-(-positions // group) * group, np.int64)
    occupied[offsets] = 1
    masks = occupied.reshape(-1, group) @ (1 << np.arange(group))
    return np.argsort(masks_by_symbol(group))[masks]


@codec(CodecId.GROUPED)
class Grouped:
    """Groups of consecutive positions (a kernel, where its size fits), one mask symbol each."""

    @staticmethod
    def encode(tensor: SharedTensor, *, block_majors: int, group: int, masks: Model, codes: Model, form: int = 0) -> bytes:
        """Code a tensor that leaves its zeros out, in groups of ``group`` positions, with a model for masks and for codes."""
        blocks, block_codes = block_offsets(tensor, block_majors)
        positions = _coded.block_positions(tensor.majors, tensor.minor_length, block_majors)
        entries, data = b"", b""
        for offsets, values, count in zip(blocks, block_codes, positions, strict=True):
            symbols = group_symbols(offsets, count, group)
            sizes = sizes_by_symbol(group)[symbols]
            substreams = encode_words(masks, symbols, np.zeros(len(symbols), np.int64))
            substreams += encode_words(codes, values, position_classes(sizes))
            entries += write_entry((len(values),), map(len, substreams))
            data += b"".join(substreams)
        head = write_head(CodecId.GROUPED, len(tensor.codebook), tensor.order, form, block_majors, group)
        models = write_model(masks, write_table) + write_model(codes, write_table)
        return head + codebook_bytes(tensor.codebook, form) + models + entries + data

    @staticmethod
    def decode(record: TensorRecord, payload: bytes, limits: Limits) -> SharedTensor:
        """Starts, minors, codes and codebook."""
        opened, models, entries, _, at = _read_structure(record, payload, limits)
        head, blocks, codes = opened.head, [], []
        for positions, (nonzeros, *lengths) in zip(opened.positions, entries, strict=True):
            substreams = []
            for part in lengths:
                substreams.append([payload[at + begin : at + begin + size] for begin, size in _spans(part)])
                at += sum(part)
            groups = -(-positions // head.width)
            symbols = decode_words(models[0], substreams[0], groups, np.zeros(groups, np.int64))
            masks = masks_by_symbol(head.width)[symbols]
            occupied = (masks[:, None] >> np.arange(head.width) & 1).astype(bool)
            offsets = np.flatnonzero(occupied)
            if len(offsets) != nonzeros:
                raise FormatError(f"a block's masks do not have its {nonzeros} nonzeros", offset=at)
            classes = position_classes(occupied.sum(axis=1))
            blocks.append(offsets)
            codes.append(decode_words(models[1], substreams[1], nonzeros, classes))
        coded = _coded.Coded(opened.codebook, head.order, head.form, head.block_majors, head.width, [], [], [])
        return from_offsets(record, coded, blocks, codes)

    @staticmethod
    def items(record: TensorRecord, payload: bytes, limits: Limits) -> dict[str, int]:
        """Head, codebook, tables (the models), entries, masks, codes."""
        return _read_structure(record, payload, limits)[3]


def _spans(lengths: list[int]) -> list[tuple[int, int]]:
    return [(sum(lengths[:index]), size) for index, size in enumerate(lengths)]


def _read_structure(
    record: TensorRecord, payload: bytes, limits: Limits
) -> tuple[_coded.Opened, tuple[Model, Model], list[Entry], dict[str, int], int]:
    """All but the data: (head and codebook, models of masks and codes, entries, bytes by category, offset of the data)."""
    opened = _coded.open_payload(record, payload, limits)
    masks, at = read_model(payload, opened.after, 1 << opened.head.width, read_table, may_be_positional=False)
    codes, at = read_model(payload, at, len(opened.codebook), read_table, may_be_positional=True)
    opened.check_blocks(payload, at)
    entries_at, entries = at, []
    for positions in opened.positions:
        entry, at = _read_entry(payload, at, positions, opened.head.width)
        entries.append(entry)
    size = opened.head.size
    items = {"head": size, "codebook": opened.after - size, "tables": entries_at - opened.after, "entries": at - entries_at}
    items["masks"] = sum(sum(entry[1]) for entry in entries)
    items["codes"] = sum(sum(entry[2]) for entry in entries)
    if sum(items.values()) != len(payload):
        raise FormatError(f"the entry table promises a payload of {sum(items.values())} bytes, not {len(payload)}", offset=at)
    check_decoded(record, opened.head, limits, sum(entry[0] for entry in entries))
    return opened, (masks, codes), entries, items, at


def _read_entry(payload: bytes, at: int, positions: int, group: int) -> tuple[Entry, int]:
    start = at
    nonzeros, at = read_varint(payload, at)
    if nonzeros > positions:
        raise FormatError(f"a block of {positions} positions with {nonzeros} nonzeros", offset=start)
    lengths: tuple[list[int], list[int]] = ([], [])
    for part, count in zip(lengths, (-(-positions // group), nonzeros), strict=True):
        for _ in substream_counts(count):
            length, at = read_varint(payload, at)
            part.append(length)
    return (nonzeros, *lengths), at
