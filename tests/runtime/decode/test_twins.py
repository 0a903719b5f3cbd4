"""The jitted decoders and encoders equal the reference, bit for bit, on valid payloads and on damaged ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec import codecs
from tersor.format_spec.coding import MAX_CLASSES, MAX_GROUP, MAX_GROUPED_CODEBOOK, POSITION_CLASSES, SPLIT_FROM, CodecId
from tersor.format_spec.errors import FormatError, LimitError
from tersor.format_spec.limits import Limits
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import Order, SharedTensor
from tersor.packer.encode._contexts import Structure, find_phrases, finish
from tersor.packer.encode._forms import normalise
from tersor.packer.encode.grouped import code_symbols, mask_symbols
from tersor.runtime.decode import decode
from tersor.runtime.decode.coded import CodedTensor, open_coded

LIMITS = Limits(tensor_bytes=1 << 22)
CODED = (CodecId.SPARSE, CodecId.PAPER, CodecId.SHARED, CodecId.GROUPED)


def make(
    rows: int, columns: int, density: float, k: int, *, order: Order = "rows", whole: bool = False, seed: int = 0
) -> SharedTensor:
    """A random tensor; ``whole`` leaves no zeros out. Codes are skewed, so that their lengths differ; those that do not occur
    have no value."""
    rng = np.random.default_rng(seed)
    majors, minor_length = (rows, columns) if order == "rows" else (columns, rows)
    mask = rng.random((majors, minor_length)) < density
    count = rows * columns if whole else int(mask.sum())
    codes = np.minimum(rng.geometric(min(1, 3 / k), count) - 1, k - 1).astype(np.uint8 if k <= 256 else np.uint16)
    starts = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int64)
    minors = np.nonzero(mask)[1].astype(np.uint32)
    kept = (None, None) if whole else (starts, minors)
    codebook = np.arange(1, k + 1).astype(np.float32) * np.float32(0.1)
    return normalise(SharedTensor(np.dtype("f4"), (rows, columns), (0,), order, *kept, codes, codebook))


def largest(codec: CodecId, k: int) -> int:
    """``k``, or the largest codebook of the codec."""
    return min(k, MAX_GROUPED_CODEBOOK) if codec == CodecId.GROUPED else k


def record(tensor: SharedTensor, codec: int) -> TensorRecord:
    return TensorRecord("w", tensor.dtype, tensor.shape, tensor.row_axes, codec)


def encode(tensor: SharedTensor, codec: CodecId, block_majors: int, width: int) -> bytes:
    block_majors = min(block_majors, tensor.majors)
    if codec == CodecId.GROUPED:
        return encode_in_groups(tensor, block_majors, width)
    parameters = {CodecId.SPARSE: {"gap_symbols": width}, CodecId.PAPER: {"index_bits": min(width, 8)}}.get(codec, {})
    return codecs.find_codec(codec).encode(tensor, block_majors=block_majors, **parameters)


def encode_in_groups(tensor: SharedTensor, block_majors: int, width: int) -> bytes:
    """The grouped codec by its reference, with a structure that follows from ``width``: any is allowed."""
    group, tensor = 1 + width % MAX_GROUP, normalise(tensor)
    masks, positions = mask_symbols(tensor, block_majors, group)
    codes = code_symbols(tensor, block_majors, positions)
    models = []
    for sequence, positional in ((masks, False), (codes, width % 2 == 1)):
        cuts = sequence.class_cuts if width % 3 else ()
        contexts = np.zeros((MAX_CLASSES, POSITION_CLASSES), np.int64)
        used = contexts[: len(cuts) + 1, : POSITION_CLASSES if positional else 1]
        used[:] = np.arange(used.size).reshape(used.shape) % min(width, 5)
        phrases = find_phrases(sequence.symbols, sequence.base) if width != 8 else ()
        models.append(finish(sequence, Structure(phrases, cuts, positional, contexts))[0])
    encode = codecs.find_codec(CodecId.GROUPED).encode
    return encode(tensor, block_majors=block_majors, group=group, masks=models[0], codes=models[1])


def assert_same(first: Any, second: Any) -> None:
    assert isinstance(first, SharedTensor)
    assert (first.dtype, first.shape, first.row_axes, first.order) == (
        second.dtype,
        second.shape,
        second.row_axes,
        second.order,
    )
    for name in ("starts", "minors", "codes", "codebook"):
        one, other = getattr(first, name), getattr(second, name)
        assert (one is None) == (other is None), name
        if one is not None:
            assert one.dtype == other.dtype, name
            assert one.tobytes() == other.tobytes(), name


def check(tensor: SharedTensor, codec: CodecId, block_majors: int, width: int) -> None:
    payload = encode(tensor, codec, block_majors, width)
    kind = record(tensor, codec)
    assert_same(codecs.decode(kind, payload, LIMITS), tensor)
    assert_same(decode(kind, payload, LIMITS), tensor)
    assert sum(codecs.items(kind, payload).values()) == len(payload)


@settings(deadline=None, max_examples=80, derandomize=True)
@given(
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    density=st.sampled_from([0.02, 0.1, 0.5, 0.95, 1.0]),
    k=st.sampled_from([1, 2, 3, 32, 255, 256, 257, 700]),
    order=st.sampled_from(["rows", "columns"]),
    codec=st.sampled_from(CODED),
    block_majors=st.sampled_from([1, 2, 7, 1000]),
    width=st.sampled_from([2, 3, 8, 17, 256]),
    seed=st.integers(0, 1000),
)
def test_round_trip(
    rows: int, columns: int, density: float, k: int, order: Order, codec: CodecId, block_majors: int, width: int, seed: int
) -> None:
    tensor = make(rows, columns, density, largest(codec, k), order=order, whole=codec == CodecId.SHARED, seed=seed)
    check(tensor, codec, block_majors, width)


@pytest.mark.parametrize("codec", CODED)
@pytest.mark.parametrize("k", [5, 256, 65535])
def test_long_sequences_of_large_codebooks(codec: CodecId, k: int) -> None:
    check(make(90, 300, 0.5, largest(codec, k), whole=codec == CodecId.SHARED), codec, 40, 16)


@pytest.mark.parametrize("count", [SPLIT_FROM - 1, SPLIT_FROM, SPLIT_FROM + 1, SPLIT_FROM + 2, SPLIT_FROM + 3, 4099])
@pytest.mark.parametrize("k", [1, 2, 40])
def test_lengths_around_the_split(count: int, k: int) -> None:
    for codec in CODED:
        check(make(1, count, 1.0, k, whole=codec == CodecId.SHARED), codec, 1, 4)


@pytest.mark.parametrize("shape", [(), (1,), (3, 1, 2), (2, 3, 4, 5)])
def test_every_rank_and_row_axis(shape: tuple[int, ...]) -> None:
    for axis in range(max(len(shape), 1)):
        axes = (axis,) if shape else ()
        array = np.zeros(shape, np.float32)
        array.reshape(-1)[::2] = 3
        flat = np.ascontiguousarray(np.moveaxis(array, axes, range(len(axes)))).reshape(-1)
        minor_length = array.size // (shape[axis] if shape else 1)
        starts = np.searchsorted(np.flatnonzero(flat), np.arange(0, array.size + 1, minor_length))
        minors = (np.flatnonzero(flat) % minor_length).astype(np.uint32)
        codes = np.zeros(len(minors), np.uint8)
        tensor = SharedTensor(array.dtype, shape, axes, "rows", starts, minors, codes, np.array([3], np.float32))
        assert np.array_equal(tensor.dense(), array)
        check(tensor, CodecId.SPARSE, 1, 8)


def test_a_tensor_whose_nonzeros_are_all_gone_still_decodes() -> None:
    nothing = make(4, 5, 0.0, 3)
    for codec in (CodecId.SPARSE, CodecId.PAPER, CodecId.GROUPED):
        check(nothing, codec, 2, 8)


def test_ranges_of_blocks_and_an_executor_give_the_whole() -> None:
    with ThreadPoolExecutor(2) as executor:
        for codec in CODED:
            tensor = make(50, 130, 0.3, largest(codec, 300), whole=codec == CodecId.SHARED)
            coded = open_coded(record(tensor, codec), encode(tensor, codec, 3, 8), LIMITS)
            assert coded.block_count == 17
            assert_same(coded.decode(executor), tensor)
            for first, stop in [(0, 17), (0, 1), (5, 9), (16, 17)]:
                low, high = first * 3, min(stop * 3, 50)
                ends, minors, codes = decode_range(coded, first, stop)
                if tensor.starts is None or tensor.minors is None:
                    assert np.array_equal(codes, tensor.codes[low * 130 : high * 130])
                    continue
                begin, end = tensor.starts[low], tensor.starts[high]
                assert np.array_equal(ends, tensor.starts[low + 1 : high + 1] - begin)
                assert np.array_equal(minors, tensor.minors[begin:end])
                assert np.array_equal(codes, tensor.codes[begin:end])


def decode_range(coded: CodedTensor, first: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each major of the blocks ends, the minors (none when nothing is left out) and the codes."""
    count = int(coded.entries.ends[stop] - coded.entries.ends[first])
    ends = np.zeros(min(stop * coded.head.block_majors, coded.majors) - first * coded.head.block_majors, np.int64)
    minors = np.empty(count if coded.leaves_zeros_out else 0, np.uint32)
    low, high = np.empty(count, np.uint8), np.empty(count if coded.head.k > 256 else 0, np.uint8)
    coded.decode_into(first, stop, coded.scratch(first, stop), ends, minors, low, high)
    return ends, minors, low | high.astype(np.uint16) << 8 if len(high) else low


def test_many_tasks_cover_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tersor.runtime.decode._opened.ENTRIES", (100, 100))
    with ThreadPoolExecutor(2) as executor:
        tensor = make(64, 64, 0.2, 32)
        coded = open_coded(record(tensor, CodecId.SPARSE), encode(tensor, CodecId.SPARSE, 5, 8), LIMITS)
        assert_same(coded.decode(executor), tensor)


def outcome(decoder: Any, kind: TensorRecord, payload: bytes) -> Any:
    try:
        return decoder(kind, payload, LIMITS)
    except (FormatError, LimitError) as error:
        return type(error)


def assert_same_outcome(kind: TensorRecord, payload: bytes) -> None:
    expected, found = outcome(codecs.decode, kind, payload), outcome(decode, kind, payload)
    if isinstance(expected, type):
        assert found is expected
    else:
        assert_same(found, expected)


SMALL = [
    (codec, make(12, 30, 0.3, largest(codec, k), order=order, whole=codec == CodecId.SHARED), 5)
    for codec in CODED
    for k in (1, 20, 300)
    for order in ("rows", "columns")
]
LONG = [(codec, make(4, 1100, 0.9, 300 if codec == CodecId.PAPER else 30, whole=codec == CodecId.SHARED), 2) for codec in CODED]
PAYLOADS = [(record(t, codec), encode(t, codec, blocks, 4)) for codec, t, blocks in SMALL + LONG]


@pytest.mark.parametrize("case", range(len(PAYLOADS)))
def test_every_truncation_is_an_error(case: int) -> None:
    kind, payload = PAYLOADS[case]
    for length in range(0, len(payload), 1 + len(payload) // 300):
        assert outcome(codecs.decode, kind, payload[:length]) is FormatError
        assert outcome(decode, kind, payload[:length]) is FormatError
    assert outcome(codecs.decode, kind, payload + b"\0") is FormatError
    assert outcome(decode, kind, payload + b"\0") is FormatError


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.sampled_from(PAYLOADS), st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(1, 255)), min_size=1, max_size=3))
def test_damage_has_the_same_outcome(case: tuple[TensorRecord, bytes], damage: list[tuple[int, int]]) -> None:
    kind, payload = case
    mutated = bytearray(payload)
    for index, (place, change) in enumerate(damage):
        span = len(mutated) if index else min(len(mutated), 200)  # heads and tables are where the branches are
        mutated[place % span] ^= change
    assert_same_outcome(kind, bytes(mutated))


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.sampled_from(CODED), st.binary(max_size=40))
def test_any_bytes_have_the_same_outcome(codec: CodecId, payload: bytes) -> None:
    assert_same_outcome(TensorRecord("w", np.dtype("u1"), (3, 4), (1,), codec), payload)


@pytest.mark.parametrize("case", range(len(SMALL)))
def test_flipped_bits_of_a_small_payload_flipped(case: int) -> None:
    kind, payload = PAYLOADS[case]
    for place in range(0, len(payload), 1 + len(payload) // 400):
        mutated = bytearray(payload)
        mutated[place] ^= 1 << place % 8
        assert_same_outcome(kind, bytes(mutated))


def test_limits_count_what_is_decoded() -> None:
    tensor = make(40, 50, 0.9, 4)
    payload = encode(tensor, CodecId.SPARSE, 40, 8)
    bytes_dense = TensorRecord("w", np.dtype("f4"), (40, 50), (0,), CodecId.SPARSE)
    assert codecs.decode(bytes_dense, payload, Limits(tensor_bytes=10_000)).size == 2000
    for decoder in (codecs.decode, decode):
        with pytest.raises(LimitError):
            decoder(bytes_dense, payload, Limits(tensor_bytes=8_000))


def test_a_tensor_that_keeps_its_zeros_has_no_minors_that_a_limit_counts() -> None:
    tensor = make(100, 100, 1, 300, whole=True)
    narrow = replace(tensor, dtype=np.dtype("i2"), codebook=np.arange(300, dtype=np.int16))
    kind, payload = record(narrow, CodecId.SHARED), encode(narrow, CodecId.SHARED, 100, 0)
    most = 2 * 100 * 100 + 8 * 101
    for decoder in (codecs.decode, decode, codecs.items):
        decoder(kind, payload, Limits(tensor_bytes=most))
        with pytest.raises(LimitError):
            decoder(kind, payload, Limits(tensor_bytes=most - 1))
