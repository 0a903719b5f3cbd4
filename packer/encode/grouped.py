"""Codec 8 for shared tensors: the size of groups, contexts and phrases from a sample, then the whole tensor."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ...format_spec.coding import MAX_GROUP, MAX_GROUPED_CODEBOOK, SPLIT_FROM, SUBSTREAMS, CodecId
from ...format_spec.huffman import canonical_codes, write_table
from ...format_spec.word_models import Model, masks_by_symbol, sizes_by_symbol, write_model
from ._assemble import Encoded, choose_block_majors, entry_table, opening
from ._contexts import Structure, Symbols, better, choose_structure, finish, growth, plain_bits
from ._kernels import histogram
from ._pairs import PAIR_GAIN, Pairs, choose_pairs
from ._word_kernels import encode_grouped as encode_words
from ._word_kernels import write_masks

if TYPE_CHECKING:
    from ...format_spec.tensors import SharedTensor
    from ._sample import Sample


@dataclass(frozen=True, eq=False)
class GroupedPlan:
    """What to encode, and about how many bits masks, codes and models take."""

    group: int
    masks: Structure
    codes: Structure
    pairs: Pairs | None
    bits: int


def group_sizes(tensor: SharedTensor) -> tuple[int, ...]:
    """Group sizes to try: whole kernels, their rows, or several of them, of four to eight positions where that fits."""
    columns = [d for a, d in enumerate(tensor.shape) if a not in tensor.row_axes]
    kernel = prod(columns[1:]) if tensor.order == "rows" and len(columns) > 1 else 1
    if kernel > MAX_GROUP:
        kernel = columns[-1] if columns[-1] <= MAX_GROUP else 1
    several = range(-(-(MAX_GROUP // 2) // kernel), (MAX_GROUP - 1) // kernel + 1)
    return tuple(sorted({kernel * count for count in several} | {kernel} - {1}))


def plan_grouped(tensor: SharedTensor, sample: Sample) -> GroupedPlan | None:
    """The best structure by a sample, for a normalised tensor that leaves its zeros out; ``None``: the codec cannot hold it."""
    if len(tensor.codebook) > MAX_GROUPED_CODEBOOK or not len(tensor.codes):
        return None
    part, scale = sample.tensor, round(sample.scale)
    block_majors = choose_block_majors(part.majors, part.minor_length, len(part.codes))
    tried = {group: mask_symbols(part, block_majors, group, classed=False)[0] for group in group_sizes(tensor)}
    group = min(tried, key=lambda group: plain_bits(tried[group], scale) if len(tried) > 1 else 0)
    masks, mask_choice = tried[group], choose_structure(tried[group], scale)
    codes = code_symbols(part, block_majors, mask_symbols(part, block_majors, group)[1])
    code_choice, pairs, total = choose_structure(codes, scale), None, 0.0
    paired = choose_pairs(codes, scale)
    if paired and better(code_choice, paired[1], PAIR_GAIN) is paired[1]:
        pairs, code_choice = paired
        codes = pairs.mark(codes)
    for sequence, choice in ((masks, mask_choice), (codes, code_choice)):
        model, bits = finish(sequence, choice.structure)
        total += sample.scale * bits + 8 * len(write_model(model, write_table))
    return GroupedPlan(group, mask_choice.structure, code_choice.structure, pairs, round(total))


def mask_symbols(tensor: SharedTensor, block_majors: int, group: int, *, classed: bool = True) -> tuple[Symbols, np.ndarray]:
    """The masks of a tensor that leaves its zeros out; if ``classed``, the position class of every nonzero, else none."""
    if tensor.starts is None or tensor.minors is None:
        raise ValueError("the tensor leaves nothing out")
    last = tensor.majors % block_majors
    groups = tensor.majors // block_majors * -(-block_majors * tensor.minor_length // group)
    groups += -(-last * tensor.minor_length // group)
    masks = masks_by_symbol(group)
    symbol_of = np.argsort(masks).astype(np.uint16)
    symbols, classes = np.zeros(groups, np.uint16), np.zeros(len(tensor.codes) if classed else 0, np.uint8)
    cuts = np.zeros(-(-tensor.majors // block_majors) + 1, np.int64)
    write_masks(tensor.starts, tensor.minors, tensor.minor_length, block_majors, group, symbol_of, symbols, cuts, classes)
    sizes = sizes_by_symbol(group)
    bounds = sorted({1, 1 + -(-group // 4), 1 + group // 2})
    class_cuts = tuple(int(np.searchsorted(sizes, bound)) for bound in bounds if bound <= group)
    return Symbols(symbols, cuts, 1 << group, class_cuts, np.zeros(0, np.uint8)), classes


def code_symbols(tensor: SharedTensor, block_majors: int, positions: np.ndarray) -> Symbols:
    """The codes of a tensor that leaves its zeros out; classes part signs, and small from large values of either sign."""
    if tensor.starts is None:
        raise ValueError("the tensor leaves nothing out")
    majors = np.minimum(np.arange(0, tensor.majors + block_majors, block_majors), tensor.majors)
    k = len(tensor.codebook)
    counts = np.zeros(k, np.int64)
    histogram(tensor.codes, counts)
    sign = int(np.count_nonzero(tensor.codebook > 0))
    cuts = {sign, *(begin + _median(counts[begin:end]) for begin, end in ((0, sign), (sign, k)))}
    class_cuts = tuple(sorted(cut for cut in cuts if 0 < cut < k))
    return Symbols(tensor.codes.astype(np.uint16), tensor.starts[majors], k, class_cuts, positions)


def _median(counts: np.ndarray) -> int:
    """The first entry that more than half of all are before or at, plus 1; 0 when there are none."""
    total = np.cumsum(counts)
    return int(np.searchsorted(2 * total, total[-1])) + 1 if len(counts) and total[-1] else 0


def encode_grouped(tensor: SharedTensor, plan: GroupedPlan) -> Encoded:
    """Codec 8, for a normalised tensor that leaves its zeros out."""
    block_majors = choose_block_majors(tensor.majors, tensor.minor_length, len(tensor.codes))
    masks, positions = mask_symbols(tensor, block_majors, plan.group, classed=plan.codes.positional)
    codes, codebook = code_symbols(tensor, block_majors, positions), tensor.codebook
    if plan.pairs:
        codes, codebook = plan.pairs.mark(codes), codebook[plan.pairs.entries]
    models, arguments, room = [], [], 8
    for sequence, structure in ((masks, plan.masks), (codes, plan.codes)):
        model, bits = finish(sequence, structure)
        models.append(model)
        arguments.append(_arguments(sequence, structure, model))
        room += bits // 8
    blocks = len(masks.cuts) - 1
    substreams = np.zeros(2 * SUBSTREAMS * blocks, np.int64)
    data = np.zeros(room + len(substreams), np.uint8)
    (*mask_arguments, _, mask_contexts, mask_words), code_arguments = arguments
    size, _ = encode_words(*mask_arguments, mask_contexts, mask_words, *code_arguments, SPLIT_FROM, data, substreams)
    tables = b"".join(write_model(model, write_table) for model in models)
    nonzeros = ((count,) for count in np.diff(codes.cuts).tolist())
    entries, (of_masks, of_codes) = entry_table(np.stack([masks.cuts, codes.cuts]), substreams, nonzeros)
    parts = opening(CodecId.GROUPED, codebook, tensor.order, block_majors, plan.group) | {"tables": tables, "entries": entries}
    return Encoded.of(CodecId.GROUPED, parts, data[:size].data, {"masks": of_masks, "codes": of_codes})


def _arguments(sequence: Symbols, structure: Structure, model: Model) -> tuple[np.ndarray, ...]:
    """What :func:`._word_kernels.encode_words` takes of one sequence."""
    words = np.stack([canonical_codes(lengths) << 4 | np.maximum(lengths, 0) for lengths in model.tables]).astype(np.uint64)
    positions = sequence.positions if structure.positional else sequence.positions[:0]
    classes = sequence.class_of(structure.class_cuts)
    grown = growth(sequence.base, structure.phrases)
    return sequence.symbols, sequence.cuts, grown, classes, positions, structure.contexts, words
