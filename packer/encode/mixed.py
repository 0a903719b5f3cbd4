"""The max profile for shared tensors: scan, kernel, references and modelling effort found by trial, then the whole tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.codebooks import codebook_bytes, codebook_form
from ...format_spec.coding import COLUMNS_FLAG, MAX_BLOCK_POSITIONS, CodecId
from ...format_spec.mixed_head import (
    MixedHead,
    block_sizes,
    count_positives,
    entry_numbers,
    write_head,
)
from ...format_spec.mixing import KERNEL_ZEROS_FLAG, MAX_KERNEL, MAX_LOW_BITS, MAX_STEPS, REFERENCES_FLAG
from ...format_spec.tensors import bit_patterns, from_scan, to_scan
from ...format_spec.varint import write_varint
from ...runtime.decode import byte_array
from ...runtime.decode.jitted.mixed_block import code_block
from ._assemble import Encoded
from ._forms import leave_zeros_out, normalise
from ._references import CLIPPED, find_references

if TYPE_CHECKING:
    from ...format_spec.tensors import SharedTensor

BLOCK_POSITIONS = 1 << 22
"""Positions of a block at most, about: what its models cost to learn is then lost in what they save."""

TRIAL_POSITIONS = 1 << 19
"""Positions, about, on which choices are tried: the first majors of the scan."""

TYPICAL_RANK = 8
"""Mean level at most: what is above is left to low bits."""

SPARSE_DENSITY = 0.3
"""Density under which whole kernels are expected to be zero."""

EFFORT_GAIN = 64
"""More mixing, which decodes slower, has to save one part in so many."""

SINGLES_GAIN = 96
"""Kernels of one position, which decode slower, have to save one part in so many."""

TRUSTS = (0.6, 0.35)
"""How readily rows are named: chance resembles more in sparse tensors."""


NOTHING = byte_array(b"")


@dataclass(frozen=True, eq=False)
class Ranks:
    """Signed ranks (rows, columns) int32, their codebook in the order the payload has, and how many entries are positive."""

    values: np.ndarray
    codebook: np.ndarray
    positives: int


@dataclass(frozen=True, eq=False)
class MixedPlan:
    """How to code: the head, and how readily rows are named (0: not at all)."""

    head: MixedHead
    trust: float


def encode_mixed(tensor: SharedTensor) -> Encoded | None:
    """The context-mixed payload of a tensor with nonzeros; ``None`` when its elements have no magnitude or no block fits."""
    if tensor.dtype.itemsize > 8 or tensor.dtype == np.bool_:
        return None
    ranks = rank(leave_zeros_out(normalise(tensor)))
    if max(tensor.rows, tensor.columns) * MAX_KERNEL > MAX_BLOCK_POSITIONS or not len(ranks.codebook):
        return None
    choice = choose(ranks, [tensor.shape[a] for a in range(len(tensor.shape)) if a not in tensor.row_axes])
    form = codebook_form(ranks.codebook)
    codebook = codebook_bytes(ranks.codebook, form)
    head = replace(choice.head, flags=choice.head.flags | form)
    blocks = encode_blocks(ranks, choice)
    entries = bytearray()
    for block in blocks:
        write_varint(entries, len(block))
    parts = {"head": write_head(len(ranks.codebook), head), "codebook": codebook, "entries": bytes(entries)}
    data = b"".join(blocks)
    return Encoded.of(CodecId.MIXED, parts, data, {"codes": len(data)})


def rank(sparse: SharedTensor) -> Ranks:
    """Sort the codebook, drop what is not used or twice there, and number its entries outward from zero."""
    used = np.unique(sparse.codes)
    patterns, places = np.unique(bit_patterns(sparse.codebook)[used], return_inverse=True)
    codebook = patterns.view(sparse.codebook.dtype)
    positives = count_positives(codebook)
    ranks = np.empty(len(codebook), np.int32)
    numbers = entry_numbers(codebook, positives)[1:]
    ranks[numbers[:positives]] = np.arange(1, positives + 1)
    ranks[numbers[positives:]] = -np.arange(1, len(codebook) - positives + 1)
    of_code = np.zeros(len(sparse.codebook), np.int32)
    of_code[used] = ranks[places]
    flat = np.zeros(sparse.size, np.int32)
    if sparse.starts is None or sparse.minors is None:
        flat[:] = of_code[sparse.codes]
    else:
        major = np.repeat(np.arange(sparse.majors, dtype=np.int64), np.diff(sparse.starts))
        flat[major * sparse.minor_length + sparse.minors] = of_code[sparse.codes]
    array = from_scan(flat, sparse.shape, sparse.row_axes, sparse.order)
    values = np.ascontiguousarray(to_scan(array, sparse.row_axes, "rows")).reshape(sparse.rows, sparse.columns)
    return Ranks(values, codebook, positives)


def _low_bits(ranks: Ranks, nonzeros: int) -> int:
    """Low bits that keep the steps few and the typical level small."""
    most = max(ranks.positives, len(ranks.codebook) - ranks.positives)
    low_bits = max((most - 1).bit_length() - MAX_STEPS.bit_length() + 1, 0)
    mean = float(np.abs(ranks.values).sum(dtype=np.int64)) / nonzeros
    while mean / (1 << low_bits) > TYPICAL_RANK and low_bits < MAX_LOW_BITS:
        low_bits += 1
    return low_bits


def choose(ranks: Ranks, dimensions: list[int]) -> MixedPlan:
    """Try what the shape of the columns, ``dimensions``, suggests; each step keeps the smallest."""
    nonzeros = int(np.count_nonzero(ranks.values))
    kernel, width = prod(dimensions[1:]), dimensions[-1] if len(dimensions) > 1 else 1
    if kernel > MAX_KERNEL:
        kernel, width = 1, 1
    is_sparse = nonzeros < SPARSE_DENSITY * ranks.values.size
    low_bits = _low_bits(ranks, nonzeros)
    shapes = [(kernel, width)] if kernel > 1 else [(1, 1), *_squares(ranks.values.shape[1])]
    heads = [MixedHead(KERNEL_ZEROS_FLAG if is_sparse and k > 1 else 0, k, w, low_bits, 1, 1) for k, w in shapes]
    heads[1:] = [_smallest(ranks, [MixedPlan(each, 0.0) for each in heads[1:]]).head] if len(heads) > 1 else []
    tries = [choice for head in heads for choice in _scans(head, ranks.values.shape[1])]
    choice = _smallest(ranks, tries)
    more = replace(choice, head=replace(choice.head, mixed_steps=MAX_STEPS))
    if _trial(ranks, more) * EFFORT_GAIN < _trial(ranks, choice) * (EFFORT_GAIN - 1):
        choice = more
    majors, minors = choice.head.matrix(*ranks.values.shape)
    blocks = min(-(-majors * minors // BLOCK_POSITIONS), majors)
    return replace(choice, head=replace(choice.head, block_majors=-(-majors // blocks)))


def _scans(head: MixedHead, columns: int) -> list[MixedPlan]:
    """Both scans where the kernel allows them, rows named readily, reluctantly, or not."""
    flags = [head.flags | (COLUMNS_FLAG if columns % head.kernel == 0 and columns > head.kernel else 0), head.flags]
    return [
        MixedPlan(replace(head, flags=each | (REFERENCES_FLAG if trust else 0)), trust)
        for each in sorted(set(flags))
        for trust in (*TRUSTS, 0.0)
    ]


def _squares(columns: int) -> list[tuple[int, int]]:
    """Kernels that flattened images suggest: squares of 2 to 8 positions a side that divide the columns."""
    return [(side * side, side) for side in range(2, 9) if columns % (side * side) == 0 and columns > side * side]


def _smallest(ranks: Ranks, tries: list[MixedPlan]) -> MixedPlan:
    if len(tries) == 1:
        return tries[0]
    sizes = [_trial(ranks, choice) * (1 + (choice.head.kernel == 1) / SINGLES_GAIN) for choice in tries]
    return tries[sizes.index(min(sizes))]


def _trial(ranks: Ranks, choice: MixedPlan) -> float:
    """Bytes per position of the first majors."""
    majors, minors = choice.head.matrix(*ranks.values.shape)
    count = min(majors, max(TRIAL_POSITIONS // minors, 8))
    levels = scanned(ranks.values, choice.head, count)
    return len(encode_block(levels, ranks, choice)) / levels.size


def scanned(values: np.ndarray, head: MixedHead, last: int, first: int = 0) -> np.ndarray:
    """Majors ``first`` to ``last`` of ``values`` (rows, columns) in scan order, (majors, minors)."""
    if not head.flags & COLUMNS_FLAG:
        return values[first:last]
    rows, kernel = len(values), head.kernel
    part = values[:, first * kernel : last * kernel].reshape(rows, -1, kernel)
    return np.ascontiguousarray(part.transpose(1, 0, 2)).reshape(-1, rows * kernel)


def encode_blocks(ranks: Ranks, choice: MixedPlan) -> list[bytes]:
    """The data of every block."""
    majors, _ = choice.head.matrix(*ranks.values.shape)
    blocks, first = [], 0
    for size in block_sizes(majors, choice.head.block_majors):
        blocks.append(encode_block(scanned(ranks.values, choice.head, first + size, first), ranks, choice))
        first += size
    return blocks


def encode_block(values: np.ndarray, ranks: Ranks, choice: MixedPlan) -> bytes:
    """The data of one block; ``values`` (majors, minors) are its signed ranks."""
    head = choice.head
    rows, columns = values.shape
    q = np.zeros((rows + 1, columns), np.int8)
    sizes = np.abs(values) - 1
    q[1:] = np.where(values, np.sign(values) * ((sizes >> head.low_bits) + 1), 0)
    low = np.zeros((rows + 1, columns) if head.low_bits else (1, 1), np.uint16)
    if head.low_bits:
        low[1:] = np.where(values, sizes & (1 << head.low_bits) - 1, 0)
    references = np.zeros((rows, 4), np.int32)
    if choice.trust:
        find_references(np.clip(q[1:], -CLIPPED, CLIPPED), choice.trust, references)
    room = values.size + 64
    while True:
        data = np.zeros(room, np.uint8)
        _, end = code_block(
            q, low, references, head.kernel, head.width, head.low_bits, head.mixed_steps,
            ranks.positives, len(ranks.codebook) - ranks.positives, bool(head.flags & KERNEL_ZEROS_FLAG),
            bool(head.flags & REFERENCES_FLAG), NOTHING, data, 0, room,
        )  # fmt: skip
        if end <= room:
            return data[:end].tobytes()
        room = end
