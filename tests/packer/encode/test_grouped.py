from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec import codecs
from tersor.format_spec.codebooks import codebook_bytes, codebook_form, linear_levels, read_codebook
from tersor.format_spec.coding import HALF_FLAG, LINEAR_FLAG, CodecId
from tersor.format_spec.errors import FormatError
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import SharedTensor
from tersor.format_spec.word_models import masks_by_symbol
from tersor.packer.encode import encode
from tersor.packer.encode._contexts import find_phrases, growth
from tersor.packer.encode._forms import distinct
from tersor.packer.encode._sample import sample_of
from tersor.packer.encode._word_kernels import code_bits, count_pairs, merge_contexts
from tersor.packer.encode.compact import encode_sparse
from tersor.packer.encode.grouped import encode_grouped, group_sizes, plan_grouped
from tersor.packer.quantize.find_shared import find_shared
from tersor.runtime.decode import decode

FLOAT = TensorRecord("w", np.dtype("f4"), (2, 2), (0,), CodecId.SPARSE)


def clustered(shape: tuple[int, int, int, int], seed: int = 0) -> np.ndarray:
    """Kernels that are zero as a whole or have one sign, as trained ones do; levels 1 to 3."""
    rng = np.random.default_rng(seed)
    levels = np.minimum(rng.geometric(0.95, shape), 3) * (rng.random(shape) < 0.8)
    signs = rng.choice([-1, 0, 1], shape[:2], p=[0.2, 0.6, 0.2])
    return np.where(levels * signs[:, :, None, None] != 0, levels * signs[:, :, None, None] * np.float32(0.1), 0).astype(
        np.float32
    )


def sparse(array: np.ndarray) -> SharedTensor:
    found = find_shared(array, (0,))
    assert found is not None
    return found


def check(array: np.ndarray) -> int:
    encoded = encode(sparse(array))
    record = TensorRecord("w", array.dtype, array.shape, (0,), encoded.codec)
    for decoder in (codecs.decode, decode):
        assert decoder(record, encoded.payload, DEFAULT_LIMITS).dense().tobytes() == array.tobytes()
    assert encoded.codec == CodecId.GROUPED
    assert dict(encoded.items) == codecs.items(record, encoded.payload)
    return len(encoded.payload)


@pytest.mark.parametrize("shape", [(30, 20, 3, 3), (40, 30, 1, 3), (24, 30, 2, 2), (20, 10, 5, 5)])
def test_clustered_kernels_of_every_size(shape: tuple[int, int, int, int]) -> None:
    check(clustered(shape))


def test_masks_and_phrases_gain_on_clustered_kernels() -> None:
    array = clustered((120, 100, 3, 3))
    tensor = sparse(array)
    plan = plan_grouped(tensor, sample_of(tensor))
    assert plan is not None
    assert plan.codes.phrases
    assert check(array) < 0.7 * min(len(encode_sparse(tensor, size).payload) for size in (16, 64, 256))


def test_a_sample_decides_for_large_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    array = clustered((60, 50, 3, 3))
    whole = check(array)
    monkeypatch.setattr("tersor.packer.encode._sample.NONZEROS", 2000)
    assert whole <= check(array) < 1.1 * whole
    tensor = sparse(array)
    sample = sample_of(tensor)
    assert len(sample.tensor.codes) == pytest.approx(2000, rel=0.3)
    assert sample.scale * len(sample.tensor.codes) == pytest.approx(len(tensor.codes))
    plan = plan_grouped(tensor, sample)
    assert plan is not None
    assert 8 * len(encode_grouped(tensor, plan).payload) == pytest.approx(plan.bits, rel=0.2)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((8, 4, 3, 3), (9,)),
        ((8, 4, 1, 3), (3, 6)),
        ((8, 4, 5, 5), (5,)),
        ((8, 4, 2, 2), (4, 8)),
        ((8, 4), (4, 5, 6, 7, 8)),
        ((8, 4, 2), (2, 4, 6, 8)),
    ],
)
def test_groups_are_kernels_where_they_fit(shape: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    array = np.zeros(shape, np.float32)
    array[0] = 1
    assert group_sizes(sparse(array)) == sizes


def test_too_many_values_are_left_to_other_codecs() -> None:
    array = np.random.default_rng(0).permutation(600).reshape(20, 30).astype(np.float32) * (np.arange(30) % 2)
    tensor = sparse(array.astype(np.float32))
    assert plan_grouped(tensor, sample_of(tensor)) is None


def test_pairs_gain_where_lengths_are_far_from_whole_bits() -> None:
    magnitudes = np.random.default_rng(2).choice([1, 2, 3, 4], (64, 512), p=[0.37, 0.36, 0.25, 0.02])
    signs = np.random.default_rng(3).choice([-1, 1], magnitudes.shape)
    tensor = sparse((magnitudes * signs * (np.arange(512) % 3 > 0)).astype(np.float32))
    plan = plan_grouped(tensor, sample_of(tensor))
    assert plan is not None
    assert plan.pairs is not None
    assert plan.codes.phrases == plan.pairs.phrases
    assert plan.codes.tables == 2
    counts = np.bincount(tensor.codes)
    entropy = -(counts * np.log2(counts / counts.sum())).sum() / 8
    check(tensor.dense())
    assert encode_grouped(tensor, plan).items["codes"] < 1.01 * entropy


def test_codebooks_with_copies_come_back_distinct() -> None:
    magnitudes = np.random.default_rng(2).choice([1, 2, 3, 4], (64, 512), p=[0.37, 0.36, 0.25, 0.02])
    tensor = sparse((magnitudes * (np.arange(512) % 3 > 0)).astype(np.float32))
    copied = np.concatenate([tensor.codebook, tensor.codebook[::-1]])
    codes = np.where(np.arange(len(tensor.codes)) % 2, tensor.codes, len(copied) - 1 - tensor.codes).astype(np.uint8)
    twice = replace(tensor, codebook=copied, codes=codes)
    assert twice.dense().tobytes() == tensor.dense().tobytes()
    assert distinct(twice).codes.tobytes() == tensor.codes.tobytes()
    for profile in ("compact", "paper", "max"):
        assert encode(twice, profile) == encode(tensor, profile)


@pytest.mark.parametrize("group", range(1, 10))
def test_mask_symbols_are_ordered_by_size(group: int) -> None:
    masks = masks_by_symbol(group).tolist()
    assert masks == sorted(range(1 << group), key=lambda mask: (mask.bit_count(), mask))


def test_merged_contexts_never_cost_more() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 200, (12, 20)) * (rng.random((12, 1)) < 0.8)
    counts[3] = counts[4]
    owner = np.zeros(12, np.int64)
    bits = merge_contexts(counts, 4, 1, owner)
    groups = [counts[owner == one].sum(axis=0) for one in np.unique(owner[owner >= 0])]
    assert len(groups) <= 4
    assert bits == sum(code_bits(group, 1) for group in groups)
    assert owner[3] == owner[4]
    assert (owner[~counts.any(axis=1)] == -1).all()


def test_phrases_are_words_that_occur_often() -> None:
    symbols = np.tile(np.array([0, 0, 0, 1], np.uint16), 500)
    phrases = find_phrases(symbols, 2)
    grown, counts = growth(2, phrases), np.zeros((2 + len(phrases), 2), np.int64)
    assert count_pairs(symbols, grown, counts) <= len(symbols) / 4
    noise = np.random.default_rng(0).integers(0, 200, 5000).astype(np.uint16)
    assert find_phrases(noise, 200) == ()


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    step=st.floats(2.0**-100, 2.0**60, width=32),
    levels=st.lists(st.integers(-300, 300).filter(bool), min_size=1, max_size=40, unique=True),
)
def test_multiples_of_a_step_are_found_and_exact(step: float, levels: list[int]) -> None:
    codebook = np.float32(step) * np.array([1, *levels], np.float32)
    found = linear_levels(codebook)
    assert found is not None
    assert (found[0] * found[1].astype(np.float32)).tobytes() == codebook.tobytes()
    stored = codebook_bytes(codebook, LINEAR_FLAG)
    again, end = read_codebook(FLOAT, b"\1" + stored, 1, len(codebook), LINEAR_FLAG)
    assert end == len(stored) + 1
    assert again.tobytes() == codebook.tobytes()


def test_the_smallest_form_of_a_codebook() -> None:
    levels = np.concatenate([np.arange(1, 16), -np.arange(1, 16)]).astype(np.float32)
    assert codebook_form(np.float32(0.0123) * levels) == LINEAR_FLAG
    assert len(codebook_bytes(np.float32(0.0123) * levels, LINEAR_FLAG)) == 8
    assert codebook_form(np.array([0.5, 3, 7.25, 1000], np.float32)) == HALF_FLAG
    assert codebook_form(np.array([0.1, 0.7, -0.0], np.float32)) == 0
    for unfit in ([np.nan], [np.inf], [0.0], [-0.0, 1]):
        assert linear_levels(np.array(unfit, np.float32)) is None


@pytest.mark.parametrize(
    ("stored", "k"),
    [
        ("0000803f", 1),  # no levels
        ("000080bf 0201", 1),  # a step below zero
        ("0000807f 0201", 1),  # an infinite step
        ("0000803f 0200", 1),  # an empty run
        ("0000803f 0203", 2),  # a run of too many
        ("0000803f 0001", 1),  # a zero
        ("0000803f 8280801001", 1),  # a level beyond 2**24
        ("ffff7f7f 0401", 1),  # a value beyond float32
    ],
)
def test_malformed_linear_codebooks(stored: str, k: int) -> None:
    with pytest.raises(FormatError):
        read_codebook(FLOAT, bytes.fromhex(stored), 0, k, LINEAR_FLAG)
