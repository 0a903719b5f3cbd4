from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tersor.format_spec import codecs
from tersor.format_spec.codecs import grouped
from tersor.format_spec.coding import CodecId
from tersor.format_spec.limits import DEFAULT_LIMITS
from tersor.format_spec.planes_head import read_planes_head
from tersor.format_spec.records import TensorRecord
from tersor.format_spec.tensors import DenseTensor, Order, SharedTensor, scan_axes
from tersor.packer.encode import Encoded, encode
from tersor.packer.encode._assemble import BLOCK_ENTRIES, choose_block_majors
from tersor.packer.quantize.find_shared import find_shared
from tersor.runtime.decode import decode
from tersor.runtime.decode.coded import open_coded


def shared(
    matrix: np.ndarray, order: Order = "rows", *, whole: bool = False, codebook: np.ndarray | None = None
) -> SharedTensor:
    """The (rows, columns) matrix of codebook indices plus 1, 0 for zero; ``whole`` keeps zeros, as the first entry."""
    scan = np.ascontiguousarray(matrix.transpose(scan_axes(2, (0,), order)))
    k = max(int(matrix.max()), 1)
    book = np.linspace(-1, 1.1, k).astype(np.float32) if codebook is None else codebook
    code_type = np.uint8 if k + whole <= 256 else np.uint16
    if whole:
        book = np.concatenate([np.zeros(1, np.float32), book])
        return SharedTensor(np.dtype("f4"), matrix.shape, (0,), order, None, None, scan.reshape(-1).astype(code_type), book)
    starts = np.concatenate([[0], np.cumsum((scan > 0).sum(axis=1))])
    minors = np.nonzero(scan)[1].astype(np.uint32)
    codes = (scan[scan > 0] - 1).astype(code_type)
    return SharedTensor(np.dtype("f4"), matrix.shape, (0,), order, starts, minors, codes, book)


def random(rows: int, columns: int, density: float, k: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(1, k + 1, (rows, columns)) * (rng.random((rows, columns)) < density)


def record(tensor: Any, encoded: Encoded) -> TensorRecord:
    return TensorRecord("w", tensor.dtype, tensor.shape, getattr(tensor, "row_axes", ()), encoded.codec)


def check(tensor: Any, encoded: Encoded) -> None:
    """Both decoders give the tensor back, the items add up, and the reference writes the same bytes."""
    kind = record(tensor, encoded)
    assert len(encoded.payload) <= kind.dense_bytes
    assert dict(encoded.items) == codecs.items(kind, encoded.payload)
    assert sum(encoded.items.values()) == len(encoded.payload)
    expected = tensor.dense().tobytes()
    found = codecs.decode(kind, encoded.payload, DEFAULT_LIMITS)
    assert found.dense().tobytes() == expected
    assert decode(kind, encoded.payload, DEFAULT_LIMITS).dense().tobytes() == expected
    if encoded.codec == CodecId.PLANES:
        planes = read_planes_head(kind, encoded.payload)
        reference = codecs.find_codec(CodecId.PLANES).encode
        assert reference(tensor, block=planes.block, gap_symbols=planes.gap_symbols, signed=planes.signed) == encoded.payload
    if isinstance(found, SharedTensor):
        head = open_coded(kind, encoded.payload, DEFAULT_LIMITS).head
        widths: dict[int, dict[str, Any]]
        widths = {CodecId.SPARSE: {"gap_symbols": head.width}, CodecId.PAPER: {"index_bits": head.width}}
        if encoded.codec == CodecId.GROUPED:
            _, (masks, codes), *_ = grouped._read_structure(kind, encoded.payload, DEFAULT_LIMITS)
            widths[CodecId.GROUPED] = {"group": head.width, "masks": masks, "codes": codes}
        parameters = widths.get(encoded.codec, {})
        reference = codecs.find_codec(encoded.codec).encode
        assert reference(found, block_majors=head.block_majors, form=head.form, **parameters) == encoded.payload


@settings(deadline=None, max_examples=80, derandomize=True)
@given(
    rows=st.integers(1, 70),
    columns=st.integers(1, 70),
    density=st.sampled_from([0.0, 0.03, 0.3, 0.7, 1.0]),
    k=st.sampled_from([1, 2, 15, 255, 256, 257, 600]),
    order=st.sampled_from(["rows", "columns"]),
    whole=st.booleans(),
    profile=st.sampled_from(["compact", "paper"]),
    seed=st.integers(0, 100),
)
def test_encoded_tensors_decode_and_equal_the_reference(
    rows: int, columns: int, density: float, k: int, order: Order, whole: bool, profile: str, seed: int
) -> None:
    tensor = shared(random(rows, columns, density, k, seed), order, whole=whole)
    check(tensor, encode(tensor, profile, index_bits=1 + seed % 8))


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8", "i1", "i8", "?", "c8", "c16"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (7,), (40, 50)])
def test_dense_tensors(dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    for array in (np.zeros(shape, dtype), np.ones(shape, dtype), rng.normal(0, 3, shape).astype(dtype)):
        tensor = DenseTensor.of(array)
        check(tensor, encode(tensor))


def test_dense_codecs_are_chosen_by_size() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, 4000, np.uint8).view(np.float32)
    assert encode(DenseTensor.of(noise)).codec == CodecId.RAW
    assert encode(DenseTensor.of(rng.normal(size=4000).astype(np.float32))).codec == CodecId.PLANES
    assert encode(DenseTensor.of(rng.integers(-9, 9, 4000).astype(np.int32))).codec == CodecId.SHUFFLED_ZSTD
    assert encode(DenseTensor.of(np.full((30, 30), np.nan, np.float32))).codec == CodecId.FILL
    assert encode(DenseTensor.of(np.array([0.0, -0.0], np.float32))).codec == CodecId.RAW
    assert encode(DenseTensor.of(np.zeros((0, 2), np.float32))).codec == CodecId.RAW


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.sampled_from(["f4", "f2", "i8", "u2", "c8", "?"]), st.integers(1, 40), st.integers(1, 60), st.integers(0, 3))
def test_periodic_tables_keep_every_bit(dtype: str, period: int, times: int, tail: int) -> None:
    values = np.random.default_rng(period).integers(0, 256, (period, np.dtype(dtype).itemsize), np.uint8)
    table = np.resize((values & 1 if dtype == "?" else values).view(dtype).reshape(-1), period * times + tail)
    check(DenseTensor.of(table), encode(DenseTensor.of(table)))


def test_elements_that_repeat_in_patterns_are_compressed_whole() -> None:
    angles = np.outer(np.arange(129), np.arange(256)) % 256 * (2 * np.pi / 256)
    basis = (np.cos(angles) * np.hanning(256)).astype(np.float32)
    found = encode(DenseTensor.of(basis))
    assert found.codec == CodecId.PLAIN_ZSTD
    check(DenseTensor.of(basis), found)
    assert len(found.payload) < len(codecs.find_codec(CodecId.SHUFFLED_ZSTD).encode(DenseTensor.of(basis), level=19))


def test_arrays_that_are_not_contiguous() -> None:
    array = np.random.default_rng(0).integers(0, 3, (40, 30)).astype(np.int16)[::2, ::-3]
    check(DenseTensor.of(array), encode(DenseTensor.of(array)))


@pytest.mark.parametrize("profile", ["compact", "paper"])
@pytest.mark.parametrize("whole", [False, True])
def test_one_value_is_a_fill(profile: str, whole: bool) -> None:
    for matrix in (np.zeros((9, 9), int), np.full((9, 9), 2)):
        tensor = shared(matrix, whole=whole)
        encoded = encode(tensor, profile)
        assert encoded.codec == CodecId.FILL
        check(tensor, encoded)


def test_a_fill_is_encoded_without_its_elements() -> None:
    tensor = DenseTensor.of(np.broadcast_to(np.float32(2.5), (1 << 14, 1 << 13)))
    tracemalloc.start()
    encoded = encode(tensor)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < tensor.size
    assert (encoded.codec, encoded.payload) == (CodecId.FILL, np.float32(2.5).tobytes())


def test_codecs_follow_the_density() -> None:
    codecs_of = {d: encode(shared(random(300, 300, d, 30))).codec for d in (0.05, 0.6, 1.0)}
    assert codecs_of == {0.05: CodecId.SPARSE, 0.6: CodecId.GROUPED, 1.0: CodecId.SHARED}
    assert encode(shared(random(300, 300, 0.97, 3), whole=True)).codec == CodecId.GROUPED
    assert encode(shared(random(300, 300, 0.05, 30), whole=True)).codec == CodecId.SPARSE


@pytest.mark.parametrize("order", ["rows", "columns"])
def test_the_scan_order_with_shorter_gaps_is_taken(order: Order) -> None:
    matrix = random(200, 300, 1.0, 8)
    matrix[:, np.random.default_rng(1).random(300) < 0.8] = 0
    encoded = encode(shared(matrix, order))
    assert open_coded(record(shared(matrix), encoded), encoded.payload, DEFAULT_LIMITS).head.order == "columns"
    scattered = shared(random(200, 300, 0.2, 8), order)
    encoded = encode(scattered)
    assert open_coded(record(scattered, encoded), encoded.payload, DEFAULT_LIMITS).head.order == order


def test_codebooks_are_fp16_where_that_is_exact() -> None:
    matrix = random(40, 40, 0.3, 4)
    for last, size in [(2.0, 8), (65504.0, 8), (6e-8, 16), (0.1, 16), (1e6, 16), (np.nan, 16), (-np.inf, 8), (2.0**-24, 8)]:
        codebook = np.array([0.5, 1, -0.0, last], np.float32)
        encoded = encode(shared(matrix, codebook=codebook))
        assert encoded.items["codebook"] == size
        check(shared(matrix, codebook=codebook), encoded)


def test_a_codebook_too_large_for_one_more_code() -> None:
    rng = np.random.default_rng(0)
    values = np.arange(1, 65537)
    matrix = np.zeros(300 * 300, int)
    matrix[:65536] = rng.permutation(values)
    tensor = shared(matrix.reshape(300, 300))
    for profile in ("compact", "paper"):
        check(tensor, encode(tensor, profile))


def test_paper_profile_writes_fillers_of_the_given_width() -> None:
    tensor = shared(random(100, 500, 0.02, 30))
    sizes = {}
    for bits in (3, 5, 8):
        encoded = encode(tensor, "paper", index_bits=bits)
        assert encoded.codec == CodecId.PAPER
        sizes[bits] = int(open_coded(record(tensor, encoded), encoded.payload, DEFAULT_LIMITS).entries.counts[:, 1].sum())
    assert sizes[3] > sizes[5] > sizes[8] >= len(tensor.codes)


@pytest.mark.parametrize(("profile", "bits"), [("tiny", 5), ("paper", 0), ("paper", 9)])
def test_unknown_profiles_and_widths_are_refused(profile: str, bits: int) -> None:
    with pytest.raises(ValueError, match="choose compact, paper or max"):
        encode(shared(random(3, 3, 0.5, 2)), profile, index_bits=bits)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.integers(1, 1 << 24), st.integers(1, 1 << 24), st.floats(0, 1))
def test_blocks_have_about_the_wanted_entries(majors: int, minor_length: int, density: float) -> None:
    entries = int(majors * minor_length * density)
    block = choose_block_majors(majors, minor_length, entries)
    assert 1 <= block <= majors
    assert block * minor_length < 1 << 31
    assert block == 1 or entries / majors * (block - 1) <= BLOCK_ENTRIES


def test_large_tensors_have_several_blocks() -> None:
    tensor = shared(random(400, 1000, 0.3, 16))
    encoded = encode(tensor)
    coded = open_coded(record(tensor, encoded), encoded.payload, DEFAULT_LIMITS)
    assert 2 <= coded.block_count <= 5
    check(tensor, encoded)


def test_array_types_do_not_change_the_bytes() -> None:
    tensor = shared(random(50, 50, 0.3, 20))
    assert tensor.starts is not None
    assert tensor.minors is not None
    odd = SharedTensor(
        tensor.dtype,
        tensor.shape,
        (0,),
        "rows",
        tensor.starts.astype(np.int32),
        tensor.minors.astype(np.int64),
        np.repeat(tensor.codes.astype(np.uint16), 2)[::2],
        tensor.codebook,
    )
    assert encode(odd).payload == encode(tensor).payload


@pytest.mark.parametrize("profile", ["compact", "paper", "max"])
def test_tables_are_stored_in_whichever_form_is_smaller(profile: str) -> None:
    places = np.clip(np.arange(256)[None] - np.arange(256)[:, None], -128, 127) + 128
    angles = np.outer(np.arange(512), 1e-4 ** (np.arange(32) / 32)).astype(np.float32)
    for table in (places, np.concatenate([np.cos(angles)] * 2, axis=1)):
        found = find_shared(table, ())
        assert found is not None
        encoded = encode(found, profile)
        check(found, encoded)
        assert len(encoded.payload) <= len(encode(DenseTensor.of(table)).payload)


def test_bytes_are_codes_of_their_own() -> None:
    rng = np.random.default_rng(0)
    weights = np.clip(np.rint(rng.standard_normal((64, 288)) * 20), -127, 127).astype(np.int8)
    found = find_shared(weights, (0,))
    assert found is not None
    sizes = {profile: len(encode(found, profile).payload) for profile in ("compact", "max")}
    assert sizes["max"] <= sizes["compact"] <= len(encode(DenseTensor.of(weights)).payload) < weights.nbytes
    check(found, encode(found, "max"))


def test_values_that_no_code_stands_for_are_dropped() -> None:
    codebook = np.linspace(-1, 1.1, 300).astype(np.float32)
    codes = np.random.default_rng(0).integers(0, 100, (60, 80)).astype(np.uint16)
    spare = SharedTensor(np.dtype("f4"), (60, 80), (0,), "rows", None, None, codes.reshape(-1), codebook)
    tight = SharedTensor(np.dtype("f4"), (60, 80), (0,), "rows", None, None, codes.reshape(-1).astype(np.uint8), codebook[:100])
    for profile in ("compact", "paper", "max"):
        assert encode(spare, profile).payload == encode(tight, profile).payload
    check(spare, encode(spare))


def test_elements_longer_than_integers_are_stored_one_by_one() -> None:
    codebook = np.array([0, 1 + 2j, 3 - 1j], np.complex128)
    tensor = SharedTensor(codebook.dtype, (4, 5), (0,), "rows", None, None, np.arange(20, dtype=np.uint8) % 3, codebook)
    check(tensor, encode(tensor))
    assert tensor.nonzeros == 13
